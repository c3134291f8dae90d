import { availableParallelism } from "node:os";
import type { FunctionRule, JobServer, JobServerOptions } from "@drover/server";
import type { HttpExtension } from "@drover/server/http";
import type { ServerLog } from "../serve/log.ts";

/** The gate that a process is to run beside its job server. */
export interface GateWanted {
  readonly folder: string;
  /** Builds at a time. Default: one for each processor. */
  readonly slots?: number | undefined;
  /** Builds run in this process. Default: true. */
  readonly hasExecutor?: boolean;
  /** Merges are made in this process. Default: true. */
  readonly hasMerger?: boolean;
  /** A job server elsewhere that carries builds and merges, with the token to show. Default: the one beside it. */
  readonly jobServer?: { readonly servers: string; readonly token: string | undefined } | undefined;
  /** Operators may push to gated branches. Default: false. */
  readonly directPush?: boolean;
  /** What is installed for builds, in any words: results of another one are not reused. */
  readonly image?: string;
  /** Addresses by which people reach it, besides those at which it listens; the first is shown. */
  readonly urls?: readonly string[];
  /** Milliseconds. Default: 30 days. */
  readonly keepMs?: number;
  /** Default: 10 GiB. */
  readonly keepBytes?: number;
}

/** A gate that runs. */
export interface StartedGate {
  readonly folder: string;
  readonly http: HttpExtension;
  readonly projects: readonly string[];
  /** `null`: it runs no builds itself. */
  readonly isolation: string | null;
  /** Where HTTP listens, which is known only when it does. */
  reachedAt(addresses: readonly string[]): void;
  close(): Promise<void>;
}

/** What a job server beside a gate has more than others. */
export async function gateServerOptions(
  rules: readonly FunctionRule[],
): Promise<Required<Pick<JobServerOptions, "functions" | "reserved">>> {
  const { GATE_FUNCTION_RULES, GATE_FUNCTIONS } = await import("@drover/gate");
  return { functions: [...GATE_FUNCTION_RULES, ...rules], reserved: [GATE_FUNCTIONS] };
}

/** @throws GateError, GateStoreError, GitError, ExecutorError */
export async function startGate(
  { folder, slots = availableParallelism(), urls = [], jobServer, ...wanted }: GateWanted,
  server: JobServer,
  log: ServerLog,
  { onLost, readsNeedToken }: { readonly onLost: () => void; readonly readsNeedToken: boolean },
): Promise<StartedGate> {
  const { Gate, gateHttp } = await import("@drover/gate");
  const gate = await Gate.open({ ...wanted, folder, server: jobServer ?? server, log, slots, onLost });
  let closing: Promise<void> | undefined;
  return {
    folder,
    http: gateHttp(gate, { log, readsNeedToken }),
    projects: [...gate.tenant.projects.keys()],
    isolation: gate.executor?.isolation ?? null,
    reachedAt: (addresses) => {
      const own = addresses.map((address) => `http://${address.replace("127.0.0.1", "localhost")}`);
      gate.forge.urls = [...urls, ...own];
    },
    close: () => {
      closing ??= gate.close();
      return closing;
    },
  };
}
