import { afterEach, beforeEach } from "vitest";
import { Client, type ClientOptions, type JobEvent, type Notice } from "../src/index.ts";
import { ScriptedServers } from "./scripted-server.ts";

/** What each test of the client stands on: servers that follow a script, and clients that are closed after it. */
export class Stage {
  servers = new ScriptedServers();
  readonly notices: Notice[] = [];
  readonly #clients: Client[] = [];

  /** To be made once in a file, outside of its tests. */
  constructor() {
    beforeEach(() => {
      this.servers = new ScriptedServers();
      this.notices.length = 0;
    });
    afterEach(async () => {
      for (const client of this.#clients.splice(0)) await client.close();
    });
  }

  /** A client of the server `gm1`. */
  readonly clientOf = (options: ClientOptions = {}): Client => {
    const client = new Client({
      servers: "gm1",
      dial: (server) => this.servers.dial(server),
      backoff: { initialMs: 1, maxMs: 5 },
      heartbeatMs: 0,
      onNotice: (notice) => this.notices.push(notice),
      ...options,
    });
    this.#clients.push(client);
    return client;
  };
}

/** Reads a job's events into words until they end or throw. */
export async function wordsOf(job: AsyncIterable<JobEvent>, into: string[] = []): Promise<string[]> {
  try {
    for await (const event of job) {
      if (event.type === "created") into.push(`created ${event.handle}`);
      else if (event.type === "status") into.push(`status ${event.numerator}/${event.denominator}`);
      else if (event.type === "restarted") into.push(`restarted ${event.reason}`);
      else if (event.type === "fail") into.push("fail");
      else into.push(`${event.type} ${Buffer.from(event.data).toString("latin1")}`);
    }
  } catch (error) {
    into.push(`threw ${(error as { code?: string }).code ?? (error as Error).message}`);
  }
  return into;
}

export const text = async (result: Promise<Uint8Array>): Promise<string> =>
  Buffer.from(await result).toString("latin1");
