import type { ServerResponse } from "node:http";
import type { Gate } from "../gate.ts";
import { statusView } from "./views.ts";

/** Readers at a time. */
export const MAX_READERS = 1_000;
/** Between two events: whatever happens meanwhile is told at once. */
const COALESCE_MS = 250;
const PING_MS = 15_000;

/** Sends the status to whoever follows it, made once for all of them. Who reads slowly gets fewer, and the newest. */
export class StatusStream {
  readonly #gate: Gate;
  readonly #readers = new Set<ServerResponse>();
  readonly #slow = new Set<ServerResponse>();
  #timer: NodeJS.Timeout | undefined;
  #pinging: NodeJS.Timeout | undefined;
  #unwatch: (() => void) | undefined;

  constructor(gate: Gate) {
    this.#gate = gate;
  }

  /** @returns false when there are too many already. */
  add(response: ServerResponse): boolean {
    if (this.#readers.size >= MAX_READERS) return false;
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
    });
    response.write(`retry: 2000\n\n${this.#event()}`);
    this.#readers.add(response);
    response.once("close", () => this.#remove(response));
    response.on("drain", () => this.#caughtUp(response));
    this.#unwatch ??= this.#gate.watch(() => {
      this.#timer ??= setTimeout(() => this.#tell(), COALESCE_MS);
    });
    this.#pinging ??= setInterval(() => this.#ping(), PING_MS).unref();
    return true;
  }

  close(): void {
    for (const reader of [...this.#readers]) {
      reader.end();
      this.#remove(reader);
    }
  }

  #remove(response: ServerResponse): void {
    this.#readers.delete(response);
    this.#slow.delete(response);
    if (this.#readers.size > 0) return;
    this.#unwatch?.();
    this.#unwatch = undefined;
    clearTimeout(this.#timer);
    clearInterval(this.#pinging);
    this.#timer = undefined;
    this.#pinging = undefined;
  }

  #tell(): void {
    this.#timer = undefined;
    const event = this.#event();
    for (const reader of this.#readers) {
      if (reader.writableNeedDrain) this.#slow.add(reader);
      else reader.write(event);
    }
  }

  #caughtUp(response: ServerResponse): void {
    if (this.#slow.delete(response)) response.write(this.#event());
  }

  #ping(): void {
    for (const reader of this.#readers) if (!reader.writableNeedDrain) reader.write(": ping\n\n");
  }

  #event(): string {
    return `event: status\ndata: ${JSON.stringify(statusView(this.#gate, Date.now()))}\n\n`;
  }
}
