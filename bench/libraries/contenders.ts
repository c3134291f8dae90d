import { join } from "node:path";
import { droverCommand, gearmandCommands, type ServerCommand } from "../servers.ts";
import { need } from "../tools.ts";

export interface Scenario {
  readonly name: "echo" | "herd";
  /** Different jobs in flight. */
  readonly uniques: number;
  /** How many submit each of them. */
  readonly submitters: number;
}

export const SCENARIOS: readonly Scenario[] = [
  { name: "echo", uniques: 64, submitters: 1 },
  { name: "herd", uniques: 8, submitters: 100 },
];

/** What all others are compared with. */
export const BASELINE = "libgearman";

/** A program, and the words in front of its server's port. */
export type Command = readonly [program: string, ...words: string[]];

/** A server, a worker and a client that do the same work as those of the other contenders. */
export interface Contender {
  readonly name: string;
  readonly server: ServerCommand;
  readonly worker: Command;
  readonly client: Command;
  /** Connections over which the client spreads its submitters. Default: as is best for it. */
  readonly clients?: number;
  /** Default: all. */
  readonly only?: Scenario["name"];
}

/** @param build Folder of the compiled C programs. */
export async function contenders(build: string): Promise<Contender[]> {
  const drover = droverCommand();
  const gearmand = (await gearmandCommands()).find(({ name }) => name === "gearmand-1")!;
  const redis = await redisCommand();
  const ours = { worker: onNode("drover-worker.ts"), client: onNode("drover-client.ts") };
  const libgearman = {
    worker: [join(build, "libgearman-worker")] as const,
    client: [join(build, "libgearman-client")] as const,
  };
  const bullmq = { worker: onNode("bullmq-worker.js"), client: onNode("bullmq-client.js") };
  return [
    { name: "Drover", server: drover, ...ours },
    { name: "Drover, 100 clients", server: drover, ...ours, clients: 100, only: "herd" },
    { name: BASELINE, server: drover, ...libgearman },
    {
      name: "Drover's client, libgearman's worker",
      server: drover,
      client: ours.client,
      worker: libgearman.worker,
      only: "echo",
    },
    {
      name: "libgearman's client, Drover's worker",
      server: drover,
      client: libgearman.client,
      worker: ours.worker,
      only: "echo",
    },
    { name: "libgearman on gearmand", server: gearmand, ...libgearman },
    { name: "BullMQ on Redis", server: redis, ...bullmq },
  ];
}

function onNode(program: string): Command {
  return [process.execPath, join(import.meta.dirname, program)];
}

/** Redis as fast as it goes: with everything in memory. */
async function redisCommand(): Promise<ServerCommand> {
  const program = await need("redis-server", ["redis-server"]);
  return { name: "redis", command: `${program} --bind 127.0.0.1 --port $PORT --save '' --appendonly no` };
}
