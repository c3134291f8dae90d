import { availableParallelism, hostname } from "node:os";
import { resolve } from "node:path";
import type { GateLinkOptions } from "@drover/gate";
import type { WorkerView } from "@drover/gate/api";
import { printable } from "@drover/protocol";
import { EXIT, UsageError } from "../errors.ts";
import { createLog } from "../serve/log.ts";
import { StderrSink } from "../serve/log-sink.ts";
import { type ServerFlags, serverAddresses, tokenOf } from "../server-address.ts";
import { deliverSignals } from "../signals.ts";
import { tableLines } from "../terminal/table.ts";
import { GateApi } from "./api.ts";
import { sizeOf, slotsOf } from "./local.ts";
import { type GateFlags, gatePlace } from "./place.ts";

/* Executors and mergers as processes of their own, and what the gate knows of them. */

export interface ElsewhereFlags extends ServerFlags {
  readonly gate?: string;
  readonly gateTokenFile?: string;
  readonly name?: string;
  readonly slots?: string;
}

export interface ExecutorFlags extends ElsewhereFlags {
  readonly secretsKey?: string;
  readonly maxLoad: string;
  readonly minMemory: string;
  readonly minDisk: string;
  readonly maxStarting: string;
}

export async function runExecutor(dir: string, flags: ExecutorFlags): Promise<never> {
  const governors = {
    maxLoad: numberOf("--max-load", flags.maxLoad, 10_000),
    minMemoryPercent: numberOf("--min-memory", flags.minMemory, 100),
    minDiskBytes: flags.minDisk === "0" ? 0 : sizeOf("--min-disk", flags.minDisk),
    maxStarting: numberOf("--max-starting", flags.maxStarting, 10_000),
  };
  const { RemoteExecutor } = await import("@drover/gate");
  const slots = slotsOf(flags.slots) ?? availableParallelism();
  const common = commonOf(dir, flags);
  const secrets = flags.secretsKey === undefined ? {} : { sealingKey: await sealingKeyIn(flags.secretsKey) };
  const executor = await RemoteExecutor.start({ ...common, ...secrets, slots, governors });
  const { warning, isolation } = executor.executor;
  if (warning !== null) common.log.warn({ isolation }, warning);
  common.log.info({ name: common.name, slots, isolation, gate: common.gate.url }, "an executor runs");
  return untilEnded(executor);
}

export async function runMerger(dir: string, flags: ElsewhereFlags): Promise<never> {
  const { RemoteMerger } = await import("@drover/gate");
  const slots = slotsOf(flags.slots) ?? availableParallelism();
  const common = commonOf(dir, flags);
  const merger = await RemoteMerger.start({ ...common, slots });
  common.log.info({ name: common.name, slots, gate: common.gate.url }, "a merger runs");
  return untilEnded(merger);
}

/** @throws UsageError */
async function sealingKeyIn(file: string): Promise<Uint8Array> {
  const { readSealingKey } = await import("@drover/gate");
  try {
    return readSealingKey(file);
  } catch (error) {
    throw new UsageError("OPTION_INVALID", `--secrets-key: ${(error as Error).message}`);
  }
}

/** @throws UsageError, TransportError */
function commonOf(dir: string, flags: ElsewhereFlags) {
  const { name = hostname() } = flags;
  if (!/^[\x21-\x7e]{1,100}$/.test(name))
    throw new UsageError(
      "OPTION_INVALID",
      `--name ${JSON.stringify(name)}: 1 to 100 visible ASCII characters`,
    );
  return {
    folder: resolve(dir),
    gate: gateOf(flags),
    servers: serverAddresses(flags),
    token: tokenOf(flags),
    name,
    log: createLog(new StderrSink(), "INFO", process.stderr.isTTY ? "text" : "json"),
  };
}

/** @throws UsageError */
function gateOf({ gate, gateTokenFile }: ElsewhereFlags): GateLinkOptions {
  const { url } = gatePlace(gate === undefined ? {} : { server: gate });
  const token = tokenOf(gateTokenFile === undefined ? {} : { tokenFile: gateTokenFile }, {
    DROVER_TOKEN: process.env.DROVER_GATE_TOKEN,
  });
  if (token !== undefined) return { url, token };
  throw new UsageError(
    "TOKEN_UNREADABLE",
    "it needs a worker's token of the gate: drover gate user add NAME --worker > FILE, then --gate-token-file FILE",
  );
}

/** @throws UsageError */
function numberOf(option: string, text: string, most: number): number {
  const number = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && number <= most) return number;
  throw new UsageError("OPTION_INVALID", `${option} ${JSON.stringify(text)} is no number from 0 to ${most}`);
}

/** The first signal drains, the second one ends at once. */
function untilEnded(worker: { drain(): Promise<void>; close(): Promise<void> }): Promise<never> {
  let signals = 0;
  return new Promise<never>(() => {
    deliverSignals((signal) => {
      if (signal !== "SIGTERM" && signal !== "SIGINT") return;
      signals++;
      if (signals === 1) void worker.drain().then(() => process.exit(EXIT.ok));
      else void worker.close().then(() => process.exit(EXIT.failed));
    });
  });
}

export async function listWorkers(flags: GateFlags): Promise<void> {
  const workers = await new GateApi(gatePlace(flags)).get<WorkerView[]>("/workers");
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(workers)}\n`);
    return;
  }
  if (workers.length === 0) {
    process.stdout.write(
      "no executor and no merger has told of itself: drover gate executor --help, drover gate merger --help\n",
    );
    return;
  }
  const rows = workers.map((worker) => [
    worker.kind,
    worker.isHere ? `${worker.name} (here)` : printable(worker.name),
    worker.kind === "merger" ? `${worker.slots}` : `${worker.builds.length} of ${worker.slots}`,
    stateOf(worker),
    worker.builds.slice(0, 10).join(" "),
  ]);
  const columns = ["WORKER", "NAME", "RUNS", "STATE", "BUILDS"].map((title) => ({ title }));
  process.stdout.write(`${tableLines(columns, rows).join("\n")}\n`);
}

function stateOf({ isSilent, isConnected, accepts, why, seenMs }: WorkerView): string {
  if (isSilent) return `silent for ${Math.round((Date.now() - seenMs) / 1000)} s`;
  if (!isConnected) return "without its job server";
  return accepts ? "accepts" : `accepts nothing: ${printable(why ?? "", 200)}`;
}
