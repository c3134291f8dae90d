import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Log } from "@drover/server";
import type { Worker } from "@drover/worker";
import { mergerWorker } from "../bus/merge-bus.ts";
import { GitError } from "../git/git.ts";
import { packOf } from "../git/packs.ts";
import { checkRequest } from "../merger/checks.ts";
import { type MergeAnswer, type MergeRequest, Merger, MergerError } from "../merger/index.ts";
import { mergerFacts } from "../scheduler/worker-list.ts";
import type { HeldFile } from "../store/held-file.ts";
import { GateLink, type GateLinkOptions, RemoteError } from "./gate-link.ts";
import { jobServerNotices } from "./job-server-notices.ts";
import { Presence } from "./presence.ts";
import { RepositoryCache } from "./repository-cache.ts";
import { takeFolder } from "./worker-folder.ts";

export interface RemoteMergerOptions {
  /** For copies of repositories and the file of results. Nobody else's. */
  readonly folder: string;
  readonly gate: GateLinkOptions;
  /** Addresses of job servers, and the token of an identity with the role `merger` there. */
  readonly servers: readonly string[];
  readonly token?: string | undefined;
  /** Tells it from other mergers. */
  readonly name: string;
  readonly log: Log;
  /** Merges at a time. Default: one for each processor. */
  readonly slots?: number;
}

const TIDY_MS = 600_000;
/** What one merge may make, as a pack. */
const MAX_MADE_BYTES = 64 * 1024 * 1024;
/** For how long, and of how many commits, it counts as known that the gate has them. */
const HAD_MS = 3_600_000;
const MAX_HAD = 50_000;

/**
 * A merger that is a process of its own. It merges in copies of its own and brings what it made to the gate before it answers,
 * so that whoever reads the answer finds the commits. They are functions of the request: made or brought twice, they are the same.
 */
export class RemoteMerger {
  readonly #repositories: RepositoryCache;
  readonly #gate: GateLink;
  readonly #merger: Merger;
  readonly #worker: Worker;
  readonly #presence: Presence;
  readonly #timer: NodeJS.Timeout;
  readonly #closing = new AbortController();
  /** Commits by when they were brought. */
  readonly #had = new Map<string, number>();
  readonly #held: HeldFile;
  #isConnected = false;

  private constructor(options: RemoteMergerOptions, held: HeldFile) {
    const { folder, servers, token, log, name, slots = availableParallelism() } = options;
    this.#held = held;
    this.#gate = new GateLink(options.gate);
    this.#repositories = new RepositoryCache(join(folder, "repositories"), this.#gate);
    this.#merger = new Merger({
      repositoryOf: (project) =>
        this.#repositories.exists(project) ? this.#repositories.gitDir(project) : undefined,
      cacheFile: join(folder, "merges.db"),
    });
    this.#worker = mergerWorker(this, {
      servers,
      token,
      concurrency: slots,
      clientId: `gate-merger-${name}`.slice(0, 60),
      onNotice: jobServerNotices(log, (isConnected) => {
        this.#isConnected = isConnected;
      }),
    });
    this.#presence = new Presence(
      this.#gate,
      () => ({ ...mergerFacts(name, slots), isConnected: this.#isConnected }),
      ({ message }) => log.warn({ why: message }, "the gate does not hear of this merger"),
    );
    this.#timer = setInterval(() => {
      this.#repositories.tidy().catch((error: Error) => log.warn({ error }, "repositories were not tidied"));
    }, TIDY_MS).unref();
  }

  /** @throws RemoteError `WORKER_FOLDER_IN_USE`, `GATE_REFUSES_WORKER` */
  static async start(options: RemoteMergerOptions): Promise<RemoteMerger> {
    const remote = new RemoteMerger(options, takeFolder(options.folder));
    void remote.#worker.run();
    try {
      await remote.#presence.start();
    } catch (error) {
      await remote.close();
      throw error;
    }
    return remote;
  }

  /** As `Merger.merge`, and the gate has what was made. */
  async merge(request: MergeRequest): Promise<MergeAnswer> {
    try {
      checkRequest(request);
      const projects = Map.groupBy(request.steps, ({ project }) => project);
      await Promise.all(
        [...projects].map(([project, steps]) => {
          const bases = (request.bases ?? []).filter((tip) => tip.project === project);
          const commits = [...steps, ...bases].map(({ commit }) => commit);
          return this.#repositories.bring(project, commits, this.#closing.signal);
        }),
      );
      const answer = await this.#merger.merge(request);
      if (answer.kind === "merged") await this.#bring(request, answer);
      return answer;
    } catch (error) {
      if (!(error instanceof GitError || error instanceof MergerError || error instanceof RemoteError))
        throw error;
      return { kind: "error", detail: error.message };
    }
  }

  async #bring(
    { steps }: MergeRequest,
    answer: Extract<MergeAnswer, { readonly kind: "merged" }>,
  ): Promise<void> {
    const sinceMs = Date.now() - HAD_MS;
    for (const [project, at] of Map.groupBy(steps.keys(), (index) => steps[index]!.project)) {
      const there = new Set(
        answer.bases.filter((tip) => tip.project === project).map(({ commit }) => commit),
      );
      for (const index of at) there.add(steps[index]!.commit);
      const made = at.map((index) => answer.steps[index]!.commit).filter((commit) => !there.has(commit));
      const isNew = (commit: string): boolean => (this.#had.get(`${project} ${commit}`) ?? 0) < sinceMs;
      for (const commit of made) if (!isNew(commit)) there.add(commit);
      const wanted = made.filter(isNew);
      if (wanted.length === 0) continue;
      const pack = await packOf(this.#repositories.gitDir(project), wanted, [...there], MAX_MADE_BYTES);
      await this.#gate.ask("POST", `/packs/${project}`, () => new Uint8Array(pack), {
        signal: this.#closing.signal,
      });
      if (this.#had.size > MAX_HAD) this.#had.clear();
      for (const commit of wanted) this.#had.set(`${project} ${commit}`, Date.now());
    }
  }

  /** Takes no more, and finishes what it has begun. */
  async drain(): Promise<void> {
    await this.#worker.drain();
    await this.close();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#presence.stop();
    this.#closing.abort();
    await this.#worker.close();
    await this.#merger.close();
    this.#held.release();
  }
}
