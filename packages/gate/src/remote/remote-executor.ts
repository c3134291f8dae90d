import { statfs } from "node:fs/promises";
import { availableParallelism, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import type { Log } from "@drover/server";
import type { Worker } from "@drover/worker";
import { acceptBuilds, buildWorker, refuseBuilds } from "../bus/build-worker.ts";
import type { RunResult } from "../core/index.ts";
import { Executor, type Isolation, readHeldShell } from "../executor/index.ts";
import { executorFacts } from "../scheduler/worker-list.ts";
import type { HeldFile } from "../store/held-file.ts";
import { GateLink, type GateLinkOptions } from "./gate-link.ts";
import { DEFAULT_GOVERNORS, type Governors, refusalOf } from "./governors.ts";
import { jobServerNotices } from "./job-server-notices.ts";
import { Presence } from "./presence.ts";
import { RemoteBuilds } from "./remote-builds.ts";
import { RepositoryCache } from "./repository-cache.ts";
import { takeFolder } from "./worker-folder.ts";

export interface RemoteExecutorOptions {
  /** For workspaces and copies of repositories. Nobody else's. */
  readonly folder: string;
  readonly gate: GateLinkOptions;
  /** Addresses of job servers, and the token of an identity with the role `executor` there. */
  readonly servers: readonly string[];
  readonly token?: string | undefined;
  /** Tells it from other executors. */
  readonly name: string;
  /** Builds at a time. */
  readonly slots: number;
  readonly log: Log;
  /** Default: `local`. */
  readonly zone?: string;
  readonly governors?: Partial<Governors>;
  /** Shared with the gate. Default: none, and builds with secrets cannot begin. */
  readonly sealingKey?: Uint8Array;
  /** The best isolation that is wanted. Default: `bubblewrap`. */
  readonly isolation?: Isolation;
}

/** How often the machine is looked at. */
const LOOK_MS = 2_000;
const TIDY_MS = 600_000;

/** An executor that is a process of its own: builds come by a job server, commits from the gate, logs go there. */
export class RemoteExecutor {
  readonly executor: Executor;
  readonly #options: RemoteExecutorOptions;
  readonly #builds: RemoteBuilds;
  readonly #worker: Worker;
  readonly #presence: Presence;
  readonly #zone: string;
  readonly #governors: Governors;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #held: HeldFile;
  #isConnected = false;
  #isDraining = false;
  #why: string | null = null;

  private constructor(options: RemoteExecutorOptions, executor: Executor, gate: GateLink, held: HeldFile) {
    this.#held = held;
    const { folder, zone = "local", slots, servers, token, log, name } = options;
    this.#options = options;
    this.executor = executor;
    this.#zone = zone;
    this.#governors = { ...DEFAULT_GOVERNORS, ...options.governors };
    const repositories = new RepositoryCache(join(folder, "repositories"), gate);
    this.#builds = new RemoteBuilds(executor, repositories, gate);
    this.#worker = buildWorker(this.#builds, {
      zone,
      slots,
      servers,
      token,
      clientId: `gate-executor-${name}`.slice(0, 60),
      onNotice: jobServerNotices(log, (isConnected) => {
        this.#isConnected = isConnected;
      }),
    });
    this.#presence = new Presence(
      gate,
      async () => ({
        ...executorFacts(name, executor, slots),
        held: await executor.held(),
        isConnected: this.#isConnected,
        accepts: this.#why === null && !this.#isDraining,
        why: this.#isDraining ? "it ends when its builds have" : this.#why,
      }),
      ({ message }) => log.warn({ why: message }, "the gate does not hear of this executor"),
      ({ letGo = [] }) => void this.#letGo(letGo),
    );
    this.#timers.push(
      setInterval(() => void this.#look(), LOOK_MS).unref(),
      setInterval(() => void this.#letGoExpired(), LOOK_MS).unref(),
      setInterval(() => {
        this.#wantHeld(repositories)
          .then(() => repositories.tidy())
          .catch((error: Error) => log.warn({ error }, "repositories were not tidied"));
      }, TIDY_MS).unref(),
    );
  }

  /**
   * Ends what an earlier process left, and takes builds as soon as a job server is there.
   * @throws ExecutorError `EXECUTOR_UNUSABLE`; RemoteError `WORKER_FOLDER_IN_USE`, `GATE_REFUSES_WORKER`
   */
  static async start(options: RemoteExecutorOptions): Promise<RemoteExecutor> {
    const held = takeFolder(options.folder);
    const gate = new GateLink(options.gate);
    const executor = await Executor.start({
      folder: options.folder,
      name: options.name,
      holdMs: (build, result) => askToHold(gate, options.log, build, result),
      ...(options.sealingKey === undefined ? {} : { sealingKey: options.sealingKey }),
      ...(options.isolation === undefined ? {} : { isolation: options.isolation }),
    });
    // What an earlier process did not hand in belongs to builds that were run again.
    const stays = new Set((await executor.held()).map(({ execution }) => execution));
    await executor.sweep(Number.POSITIVE_INFINITY, 0, stays);
    const remote = new RemoteExecutor(options, executor, gate, held);
    await remote.#look();
    void remote.#worker.run();
    try {
      await remote.#presence.start();
    } catch (error) {
      await remote.close();
      throw error;
    }
    return remote;
  }

  /** Why it takes no builds now; `null`: it does. */
  get why(): string | null {
    return this.#why;
  }

  /** Takes no more builds, and resolves when those that run have ended. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await this.#worker.drain();
    await this.close();
  }

  /** Ends its builds, which run again elsewhere. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#presence.stop();
    await this.executor.close();
    await this.#worker.close();
    this.#held.release();
  }

  /** Of what is let go nothing stays: its log is the gate's. */
  async #letGo(executions: readonly string[]): Promise<void> {
    for (const execution of executions) {
      try {
        await this.executor.letGo(execution);
        await this.executor.store.remove(execution);
      } catch (error) {
        this.#options.log.warn({ execution, error }, "a held workspace was not removed");
      }
    }
  }

  async #letGoExpired(): Promise<void> {
    const nowMs = Date.now();
    const over = (await this.executor.held()).filter(({ untilMs }) => untilMs <= nowMs);
    await this.#letGo(over.map(({ execution }) => execution));
  }

  /** What held workspaces have checked out is borrowed from the copies of repositories. */
  async #wantHeld(repositories: RepositoryCache): Promise<void> {
    for (const { execution } of await this.executor.held()) {
      const folder = this.executor.folderOf(execution);
      const commits = folder === undefined ? undefined : readHeldShell(folder)?.commits;
      for (const [project, ids] of Object.entries(commits ?? {})) repositories.want(project, ids);
    }
  }

  async #look(): Promise<void> {
    if (this.#isDraining) return;
    const disk = await statfs(this.#options.folder).catch(() => ({ bavail: 0, bsize: 0 }));
    const why = refusalOf(this.#governors, {
      processors: availableParallelism(),
      load: loadavg()[0]!,
      freeMemoryBytes: process.availableMemory(),
      memoryBytes: Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
      freeDiskBytes: disk.bavail * disk.bsize,
      starting: this.#builds.starting,
    });
    const before = this.#why;
    this.#why = why;
    if (before === null && why !== null) {
      refuseBuilds(this.#worker, this.#zone);
      this.#options.log.warn({ why }, "this executor takes no builds for now");
    } else if (before !== null && why === null) {
      const { servers, token } = this.#options;
      acceptBuilds(this.#worker, this.#builds, this.#zone, { servers, token });
      this.#options.log.info({}, "this executor takes builds again");
    }
  }
}

/** A build's result does not wait long for that. */
const ASK_PATIENCE_MS = 10_000;

async function askToHold(gate: GateLink, log: Log, build: string, result: RunResult): Promise<number | null> {
  try {
    const body = JSON.stringify({ build, result });
    const terms = { patienceMs: ASK_PATIENCE_MS };
    return (await gate.ask<{ readonly holdMs: number | null }>("POST", "/holds", () => body, terms)).holdMs;
  } catch (error) {
    log.warn(
      { build, error },
      "the gate was not asked whether the workspace of a failed build is to be held",
    );
    return null;
  }
}
