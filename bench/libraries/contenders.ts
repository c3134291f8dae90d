import { join } from "node:path";
import { startDrover, startGearmand } from "../../test/peers/servers.ts";
import { startRedis } from "./redis.ts";

export interface Scenario {
  /** Different jobs in flight. */
  readonly uniques: number;
  /** How many submit each of them. */
  readonly submitters: number;
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  echo: { uniques: 64, submitters: 1 },
  herd: { uniques: 8, submitters: 100 },
};

type Words = readonly [string, ...string[]];

/** A server, a worker and a client that do the same work as those of the other contenders. */
export interface Contender {
  readonly name: string;
  readonly scenarios: readonly (keyof typeof SCENARIOS)[];
  readonly startServer: () => Promise<RunningServer>;
  /** Command lines for a server's port. `measured` are the words that every client program takes. */
  readonly worker: (port: string) => Words;
  readonly client: (port: string, measured: readonly string[]) => Words;
}

export interface RunningServer {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

/** Jobs at a time, for workers that can do more than one. */
const CONCURRENCY = String(SCENARIOS.echo!.uniques);

const program = (name: string): Words => [process.execPath, join(import.meta.dirname, name)];

/** What all others are compared with. */
export const BASELINE = "libgearman";

/** @param build Folder of the compiled C programs. */
export function contenders(build: string): Contender[] {
  const drover = () => startDrover("--log-file", "none");
  const droverWorker = (port: string): Words => [...program("drover-worker.ts"), port, CONCURRENCY];
  const droverClient = (port: string, measured: readonly string[]): Words => [
    ...program("drover-client.ts"),
    port,
    ...measured,
  ];
  const libgearmanWorker = (port: string): Words => [join(build, "libgearman-worker"), port];
  const libgearmanClient = (port: string, measured: readonly string[]): Words => [
    join(build, "libgearman-client"),
    port,
    ...measured,
  ];
  const both = ["echo", "herd"];
  return [
    { name: "Drover", scenarios: both, startServer: drover, worker: droverWorker, client: droverClient },
    {
      name: "Drover, 100 clients",
      scenarios: ["herd"],
      startServer: drover,
      worker: droverWorker,
      client: (port, measured) => [...droverClient(port, measured), "100"],
    },
    {
      name: BASELINE,
      scenarios: both,
      startServer: drover,
      worker: libgearmanWorker,
      client: libgearmanClient,
    },
    {
      name: "Drover's client, libgearman's worker",
      scenarios: ["echo"],
      startServer: drover,
      worker: libgearmanWorker,
      client: droverClient,
    },
    {
      name: "libgearman's client, Drover's worker",
      scenarios: ["echo"],
      startServer: drover,
      worker: droverWorker,
      client: libgearmanClient,
    },
    {
      name: "libgearman on gearmand",
      scenarios: both,
      startServer: () => startGearmand("--threads=1"),
      worker: libgearmanWorker,
      client: libgearmanClient,
    },
    {
      name: "BullMQ on Redis",
      scenarios: both,
      startServer: startRedis,
      worker: (port) => [...program("bullmq-worker.js"), port, CONCURRENCY],
      client: (port, measured) => [...program("bullmq-client.js"), port, ...measured],
    },
  ];
}
