import type { BuildOutcome, BuildRequest, Executor, RunOptions } from "../executor/index.ts";
import { ExecutorError } from "../executor/index.ts";
import { GitError } from "../git/git.ts";
import { type GateLink, RemoteError } from "./gate-link.ts";
import { HandIn } from "./hand-in.ts";
import type { RepositoryCache } from "./repository-cache.ts";

/** How long the log of a build that nobody waits for is still brought to the gate. */
const CANCELLED_PATIENCE_MS = 5_000;

/**
 * Runs builds for a gate that is elsewhere: brings its commits here, hands in log and artifacts there, and keeps nothing of a
 * build whose result is told, but a workspace that is held.
 */
export class RemoteBuilds {
  readonly #executor: Executor;
  readonly #repositories: RepositoryCache;
  readonly #gate: GateLink;
  #starting = 0;

  constructor(executor: Executor, repositories: RepositoryCache, gate: GateLink) {
    this.#executor = executor;
    this.#repositories = repositories;
    this.#gate = gate;
  }

  /** Builds whose commits are on their way here. */
  get starting(): number {
    return this.#starting;
  }

  /** As `Executor.run`. @throws also ExecutorError `EXECUTOR_UNUSABLE` when the commits cannot be had. */
  async run(request: BuildRequest, options: RunOptions = {}): Promise<BuildOutcome> {
    const here = await this.#prepare(request, options.signal);
    let handIn: HandIn | undefined;
    let execution = "";
    try {
      const outcome = await this.#executor.run(here, {
        ...options,
        onStart: (id) => {
          execution = id;
          handIn = new HandIn(this.#gate, this.#executor.store, id);
          options.onStart?.(id);
        },
        onOutput: () => handIn?.more(),
      });
      const problems = (await handIn?.finish(outcome.artifacts)) ?? [];
      if (problems.length === 0 && outcome.held === undefined) await this.#executor.store.remove(execution);
      const { data } = outcome;
      return { ...outcome, data: { ...data, warnings: [...data.warnings, ...problems] } };
    } catch (error) {
      if (error instanceof ExecutorError && error.code === "BUILD_CANCELLED") {
        const patience = { patienceMs: CANCELLED_PATIENCE_MS };
        // What is left of it is removed when the next process begins.
        handIn
          ?.finish([], patience)
          .then(() => this.#executor.store.remove(execution))
          .catch(() => {});
      }
      throw error;
    }
  }

  async #prepare(request: BuildRequest, signal: AbortSignal | undefined): Promise<BuildRequest> {
    const entries = [...(request.preRun ?? []), ...request.run, ...(request.postRun ?? [])];
    this.#starting++;
    try {
      const repositories = await Promise.all(
        request.repositories.map(async (one) => {
          const commits = new Set([...Object.values(one.branches), ...Object.values(one.before ?? {})]);
          if (/^[0-9a-f]{40}$/.test(one.checkout)) commits.add(one.checkout);
          for (const entry of entries) {
            if (!("project" in entry)) continue;
            for (const file of [entry, ...(entry.roles ?? [])])
              if (file.project === one.project) commits.add(file.commit);
          }
          return { ...one, repository: await this.#repositories.bring(one.project, commits, signal) };
        }),
      );
      return { ...request, repositories };
    } catch (error) {
      if (!(error instanceof GitError || error instanceof RemoteError)) throw error;
      throw new ExecutorError("EXECUTOR_UNUSABLE", error.message);
    } finally {
      this.#starting--;
    }
  }
}
