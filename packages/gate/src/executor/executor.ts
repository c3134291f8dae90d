import { createHash, randomUUID } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { RunResult } from "../core/index.ts";
import { BuildLog, type OutputChunk } from "./build-log.ts";
import {
  type BuildOutcome,
  type BuildRequest,
  checkRequest,
  ExecutorError,
  type ReturnedData,
} from "./build-request.ts";
import { DiskWatch } from "./disk-watch.ts";
import { Execution } from "./execution.ts";
import { readRecord, writeRecord } from "./execution-record.ts";
import { ExecutionStore } from "./execution-store.ts";
import { clearWork, type HeldWorkspace, heldIn, removeHeld } from "./held-workspaces.ts";
import { type Isolation, isRoot, Sandbox } from "./isolation.ts";
import { DEFAULT_EXECUTOR_LIMITS, type ExecutorLimits } from "./limits.ts";
import { endTrail, isSame, markOf, type ProcessMark } from "./processes.ts";
import { removeFolder } from "./workspace.ts";

export interface ExecutorOptions {
  /** Tells it from others. Default: `gate`, the one in the gate's own process. */
  readonly name?: string;
  /** Where logs, artifacts and workspaces are. Nobody else's. */
  readonly folder: string;
  /** Where logs and artifacts are. Default: one in the folder. */
  readonly store?: ExecutionStore;
  /** The best isolation that is wanted. Default: `bubblewrap`. */
  readonly isolation?: Isolation;
  /** Files and folders that builds are not to see, where a system folder would show them: state, tokens. */
  readonly hidden?: readonly string[];
  /** Folders that builds see besides `/usr`, `/etc` and `/opt`. Default: none. */
  readonly readOnly?: readonly string[];
  /** What runs playbooks: a name that is looked up in the system's folders of programs, or a path. Default: `ansible-playbook`. */
  readonly ansiblePlaybook?: string;
  /** Shared with the gate whose secrets builds are to have. Default: none, and a build with secrets cannot begin. */
  readonly sealingKey?: Uint8Array;
  readonly limits?: Partial<ExecutorLimits>;
  /**
   * Asked when a build has failed: for how long its workspace is to be kept, in milliseconds. `null`: it is not. Default: none is.
   */
  readonly holdMs?: (build: string, result: RunResult) => Promise<number | null>;
  /** Between two looks at how full builds have made the disk. Default: 1,000. */
  readonly diskLookMs?: number;
}

export interface RunOptions {
  /** Ends the build. */
  readonly signal?: AbortSignal;
  /** The execution has its name and its log. */
  readonly onStart?: (execution: string) => void;
  /** It will fail, though it goes on: why, in a sentence. Told once at most. */
  readonly onFailing?: (detail: string) => void;
  /** It has returned `zuul.pause`, and has run: before its post-run it waits for the promise. Default: it goes on at once. */
  readonly onPaused?: (data: ReturnedData) => Promise<void>;
  /** A promise is waited for before the build may write much more. */
  readonly onOutput?: (chunk: OutputChunk) => unknown;
}

/** Runs builds on this machine: each in a workspace of its own, isolated as well as the machine allows. */
export class Executor implements AsyncDisposable {
  readonly isolation: Isolation;
  /** What an operator should know of the isolation; `null` when it is as it should be. */
  readonly warning: string | null;
  /** Processes of earlier runs that were ended at the start could not all be ended: how many are left. */
  readonly leftovers: number;
  readonly limits: ExecutorLimits;
  readonly store: ExecutionStore;
  readonly #folder: string;
  readonly #work: string;
  readonly #sandbox: Sandbox;
  readonly #diskWatch: DiskWatch;
  readonly #ansiblePlaybook: string;
  readonly #sealingKey: Uint8Array | null;
  readonly #name: string;
  readonly #holdMs: NonNullable<ExecutorOptions["holdMs"]>;
  readonly #running = new Map<string, Promise<unknown>>();
  readonly #builds = new Map<string, string>();
  readonly #closing = new AbortController();

  private constructor(
    folder: string,
    store: ExecutionStore,
    work: string,
    sandbox: Sandbox,
    limits: ExecutorLimits,
    options: ExecutorOptions,
    leftovers: number,
  ) {
    const { diskLookMs = 1_000, ansiblePlaybook = "ansible-playbook", sealingKey } = options;
    this.#name = options.name ?? "gate";
    this.#holdMs = options.holdMs ?? (async () => null);
    this.#folder = folder;
    this.store = store;
    this.#ansiblePlaybook = ansiblePlaybook;
    this.#sealingKey = sealingKey ?? null;
    this.#work = work;
    this.#sandbox = sandbox;
    this.#diskWatch = new DiskWatch(diskLookMs);
    this.isolation = sandbox.isolation;
    this.warning = WARNINGS[sandbox.isolation];
    this.limits = limits;
    this.leftovers = leftovers;
  }

  /**
   * Ends what an earlier run has left, and finds out how builds can be isolated.
   * @throws ExecutorError `EXECUTOR_UNUSABLE`
   */
  static async start(options: ExecutorOptions): Promise<Executor> {
    const folder = resolve(options.folder);
    const limits = { ...DEFAULT_EXECUTOR_LIMITS, ...options.limits };
    try {
      const store = options.store ?? new ExecutionStore(join(folder, "executions"));
      claim(folder);
      const terms = {
        readOnly: options.readOnly ?? [],
        hidden: [folder, "/etc/drover", ...(options.hidden ?? [])].map((path) => resolve(path)),
        maxProcesses: limits.maxProcesses,
        maxFileBytes: limits.diskBytes,
      };
      const sandbox = await Sandbox.find(folder, terms, options.isolation ?? "bubblewrap");
      const leftovers = await endLeftovers(store.folder);
      const work = sandbox.isolation === "user" ? openWorkFolder(folder) : join(folder, "work");
      await clearWork(work, store.folder, Date.now());
      await mkdir(work, { recursive: true, mode: sandbox.isolation === "user" ? 0o711 : 0o700 });
      return new Executor(folder, store, work, sandbox, limits, options, leftovers);
    } catch (error) {
      if (error instanceof ExecutorError) throw error;
      throw new ExecutorError("EXECUTOR_UNUSABLE", `${folder}: ${(error as Error).message}`);
    }
  }

  /** Builds that run now. */
  get running(): number {
    return this.#running.size;
  }

  /** Their names. */
  get builds(): string[] {
    return [...this.#builds.values()];
  }

  /**
   * Runs a build to its end. Whatever the build does is told by the outcome.
   * @throws ExecutorError `BUILD_REQUEST_INVALID`; `BUILD_CANCELLED` when the signal aborted or the executor was closed, and
   * no process of it is left; `EXECUTOR_CLOSED`; `EXECUTOR_UNUSABLE` when its log cannot be made.
   */
  async run(request: BuildRequest, options: RunOptions = {}): Promise<BuildOutcome> {
    const checked = checkRequest(request);
    if (this.#closing.signal.aborted) throw new ExecutorError("EXECUTOR_CLOSED", "the executor was closed");
    const id = randomUUID();
    const folder = join(this.store.folder, id);
    const { signal, onStart, onOutput = () => {}, onFailing = () => {}, onPaused = async () => {} } = options;
    let execution: Execution;
    let log: BuildLog | undefined;
    try {
      mkdirSync(folder, { mode: 0o700 });
      log = new BuildLog(join(folder, "log"), this.limits.maxOutputBytes, onOutput);
      execution = new Execution({
        id,
        request: checked,
        folder,
        work: join(this.#work, id),
        log,
        sandbox: this.#sandbox,
        limits: this.limits,
        ansiblePlaybook: this.#ansiblePlaybook,
        sealingKey: this.#sealingKey,
        diskWatch: this.#diskWatch,
        onFailing,
        onPaused,
        holdMs: (result) => this.#holdMs(checked.build, result),
        roomFor: (bytes) => this.#roomForHeld(bytes),
        executor: this.#name,
        signal: AbortSignal.any([this.#closing.signal, ...(signal === undefined ? [] : [signal])]),
      });
    } catch (error) {
      log?.close();
      throw new ExecutorError("EXECUTOR_UNUSABLE", `${folder}: ${(error as Error).message}`);
    }
    onStart?.(id);
    const outcome = execution.run().finally(() => {
      log.close();
      this.#running.delete(id);
      this.#builds.delete(id);
      this.store.running.delete(id);
    });
    this.#running.set(id, outcome);
    this.#builds.set(id, checked.build);
    this.store.running.add(id);
    return await outcome;
  }

  /** As `store` does. */
  readLog(...args: Parameters<ExecutionStore["readLog"]>): ReturnType<ExecutionStore["readLog"]> {
    return this.store.readLog(...args);
  }

  folderOf(execution: string): string | undefined {
    return this.store.folderOf(execution);
  }

  sweep(...terms: Parameters<ExecutionStore["sweep"]>): Promise<string[]> {
    return this.store.sweep(...terms);
  }

  /** Workspaces that it holds. */
  held(): Promise<HeldWorkspace[]> {
    return heldIn(this.#work, this.store.folder);
  }

  /** Why a workspace of so many bytes cannot be held besides those that are, in a sentence. `null`: it can. */
  async #roomForHeld(bytes: number): Promise<string | null> {
    const { maxHeld, maxHeldBytes } = this.limits;
    const held = await this.held();
    if (held.length >= maxHeld) return `this executor holds ${maxHeld} workspaces at most`;
    const taken = held.reduce((sum, one) => sum + one.bytes, bytes);
    return taken > maxHeldBytes
      ? `the workspaces that this executor holds may take ${maxHeldBytes} bytes together`
      : null;
  }

  /** Removes the workspace that is held of an execution, and ends the shells in it. */
  async letGo(execution: string): Promise<void> {
    const folder = this.store.folderOf(execution);
    if (folder !== undefined) await removeHeld(folder);
  }

  /** Removes workspaces that are held until now at most. @returns their executions */
  async letGoExpired(nowMs: number): Promise<string[]> {
    const over = (await this.held()).filter(({ untilMs }) => untilMs <= nowMs);
    for (const { execution } of over) await this.letGo(execution);
    return over.map(({ execution }) => execution);
  }

  /** Cancels what runs. Resolves when no process of it is left. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#running.values());
    await clearWork(this.#work, this.store.folder, Date.now());
    await rm(join(this.#folder, OWNER), { force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const WARNINGS: Readonly<Record<Isolation, string | null>> = {
  bubblewrap: null,
  user: "there is no working bubblewrap: builds run as users of their own, with the network; install Debian's package bubblewrap",
  none: "there is no working bubblewrap: a build can do what the gate can, also control it; install Debian's package bubblewrap",
};

/** Which process has the folder: a second one would end the builds of the first. */
const OWNER = "owner.json";

function claim(folder: string): void {
  const path = join(folder, OWNER);
  const owner = readOwner(path);
  if (owner !== null && isSame(owner))
    throw new ExecutorError("EXECUTOR_UNUSABLE", `process ${owner.pid} runs the executor of ${folder}`);
  writeFileSync(path, JSON.stringify(markOf(process.pid)), { mode: 0o600 });
}

/** One that was killed while it wrote this, or had no room for it, does not run. */
function readOwner(path: string): ProcessMark | null {
  try {
    return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as ProcessMark | null) : null;
  } catch {
    return null;
  }
}

async function endLeftovers(executions: string): Promise<number> {
  let left = 0;
  for (const id of await readdir(executions)) {
    const folder = join(executions, id);
    const record = readRecord(folder);
    if (record === undefined || record.endedMs !== null) continue;
    left += await endTrail(record.trail);
    await removeFolder(record.work);
    await rm(join(folder, "execution.json.new"), { force: true });
    writeRecord(folder, { ...record, endedMs: Date.now(), bytes: record.bytes });
  }
  return left;
}

/** Where other users can reach what is theirs, though the executor's own folder is closed to them. */
function openWorkFolder(folder: string): string {
  const path = join(
    "/var/tmp",
    `drover-builds-${createHash("sha256").update(folder).digest("hex").slice(0, 16)}`,
  );
  mkdirSync(path, { recursive: true, mode: 0o711 });
  const facts = lstatSync(path);
  if (!facts.isDirectory() || facts.uid !== process.getuid?.() || !isRoot())
    throw new ExecutorError("EXECUTOR_UNUSABLE", `${path} is somebody else's; remove it`);
  return path;
}
