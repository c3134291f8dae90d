import type { ServerResponse } from "node:http";
import type { BuildId } from "../core/index.ts";
import type { Gate } from "../gate.ts";

/** Between two looks for more of a log that is followed. */
const LOOK_MS = 200;
const PING_MS = 15_000;

/** Logs that are followed at a time: each is looked at again and again. */
export const MAX_FOLLOWED_LOGS = 1_000;

/** Logs of builds that are followed. */
export class LogStreams {
  readonly #gate: Gate;
  readonly #limit: number;
  #followed = 0;

  constructor(gate: Gate, limit = MAX_FOLLOWED_LOGS) {
    this.#gate = gate;
    this.#limit = limit;
  }

  /**
   * Sends a build's log as server-sent events, from a byte on, until the build has ended and all of it is sent.
   * @returns false when too many are followed already.
   */
  async follow(build: BuildId, from: number, response: ServerResponse): Promise<boolean> {
    if (this.#followed >= this.#limit) return false;
    this.#followed++;
    try {
      await followLog(this.#gate, build, from, response);
    } finally {
      this.#followed--;
    }
    return true;
  }
}

async function followLog(gate: Gate, build: BuildId, from: number, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
  });
  response.write("retry: 2000\n\n");
  let at = from;
  let pingAt = Date.now() + PING_MS;
  while (!gone.signal.aborted) {
    const row = gate.builds.get(build);
    if (row === undefined) break;
    const chunk = row.execution === null ? undefined : await gate.executions.readLog(row.execution, at);
    if (chunk !== undefined && chunk.bytes.length > 0) {
      const text = Buffer.from(chunk.bytes).toString();
      const isTaken = response.write(
        `id: ${chunk.offset + chunk.bytes.length}\ndata: ${JSON.stringify({ from: chunk.offset, text })}\n\n`,
      );
      at = chunk.offset + chunk.bytes.length;
      if (!isTaken) await drained(response, gone.signal);
      continue;
    }
    if (row.endedMs !== null && (chunk === undefined || chunk.isEnded)) {
      response.end(`event: end\ndata: ${JSON.stringify({ result: row.result })}\n\n`);
      return;
    }
    if (Date.now() > pingAt) {
      response.write(": ping\n\n");
      pingAt = Date.now() + PING_MS;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  response.end();
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    response.once("drain", resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
