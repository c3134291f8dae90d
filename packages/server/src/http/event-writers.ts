import { isUtf8 } from "node:buffer";
import type { ServerResponse } from "node:http";
import type { Mode } from "./fields.ts";

/** The name of an event and its members: equal in every form. */
export type EventName =
  | "created"
  | "data"
  | "warning"
  | "status"
  | "restarted"
  | "trace"
  | "complete"
  | "fail"
  | "exception"
  | "detached"
  | "job"
  | "cancel";

/** Between two signs of life on a stream that has nothing to say. */
export const PING_MS = 15_000;
/** After how long a browser's EventSource connects again. */
const RETRY_MS = 2_000;

export type Members = Readonly<Record<string, string | number | boolean | undefined>>;

/** Bytes as text where they are UTF-8, else in base64. */
export function payload(bytes: Uint8Array): { data: string; encoding: "utf8" | "base64" } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return isUtf8(buffer)
    ? { data: buffer.toString("utf8"), encoding: "utf8" }
    : { data: buffer.toString("base64"), encoding: "base64" };
}

/** One form of an event stream. */
export interface EventWriter {
  readonly contentType: string;
  /** What the stream begins with. */
  readonly opening: string;
  /** A sign of life. */
  readonly ping: string;
  event(name: EventName, members: Members, id?: string): string;
}

const SSE: EventWriter = {
  contentType: "text/event-stream; charset=utf-8",
  opening: `retry: ${RETRY_MS}\n\n`,
  ping: ": ping\n\n",
  event: (name, members, id) =>
    `event: ${name}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(members)}\n\n`,
};

const NDJSON: EventWriter = {
  contentType: "application/x-ndjson; charset=utf-8",
  opening: "",
  ping: "\n",
  event: (name, members, id) =>
    `${JSON.stringify({ event: name, ...members, ...(id === undefined ? {} : { id }) })}\n`,
};

export function eventWriter(mode: Exclude<Mode, "body" | "packets">): EventWriter {
  return mode === "sse" ? SSE : NDJSON;
}

/**
 * Streams to a client that may read slowly: told what is unsent, and when it is sent.
 */
export class Outgoing {
  readonly #response: ServerResponse;
  readonly #onDrain: () => void;
  #isSlow = false;

  constructor(response: ServerResponse, onDrain: () => void) {
    this.#response = response;
    this.#onDrain = onDrain;
  }

  /** @returns what is not sent yet once the client reads slower than it is written to; 0 as long as it keeps up. */
  write(chunk: string | Uint8Array): number {
    const response = this.#response;
    if (response.write(chunk)) return 0;
    if (!this.#isSlow) {
      this.#isSlow = true;
      response.once("drain", () => {
        this.#isSlow = false;
        this.#onDrain();
      });
    }
    return Math.max(1, response.writableLength);
  }
}
