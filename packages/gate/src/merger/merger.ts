import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GitError } from "../git/git.ts";
import { canResolve, OBJECT_ID } from "../git/objects.ts";
import { moveRefs, type RefState, readRefs } from "../git/refs.ts";
import { gitVersion } from "../git/version.ts";
import { MergeCache, type StepResult } from "./cache.ts";
import { checkRequest, isHoldId } from "./checks.ts";
import {
  type FileIds,
  type Files,
  findFiles,
  MAX_CHANGED_FILES,
  readFiles,
  type WantedFiles,
} from "./files.ts";
import { Repository } from "./repository.ts";
import {
  type BranchTip,
  type MergeAnswer,
  type MergeRequest,
  MergerError,
  type MergeStep,
} from "./request.ts";
import { type Committer, methodOf, StepMaker } from "./steps.ts";

export interface MergerOptions {
  /** The bare repository of a project. `undefined`: it has none. */
  readonly repositoryOf: (project: string) => string | undefined;
  /** Who commits what is made. Default: Drover. */
  readonly committer?: Committer;
  /** File that remembers results for later processes. Default: none. */
  readonly cacheFile?: string;
  /** Where a private folder for working in is made. Default: the system's. */
  readonly scratchDir?: string;
  /** For one merge, and for each git command. Default: 300,000. */
  readonly timeoutMs?: number;
  /** Repositories whose processes are kept, up to six each; more than that are ended as others are used. Default: 16. */
  readonly maxOpenRepositories?: number;
  /** Requests under way or waiting at a time; further ones are answered with an error. Default: 1,000. */
  readonly maxRequests?: number;
}

/** A commit that must not be collected. */
export interface HeldCommit {
  readonly project: string;
  readonly commit: string;
}

/** Goes up when equal input gives another commit than before. */
const ALGORITHM = 1;

const HOLDS = "refs/drover/hold";
const HEADS = "refs/heads/";

/**
 * Builds the commits that a chain of changes would become. It works in the bare repositories themselves: what it makes is
 * there at once for whoever builds, reads or merges it, and no ref points to it unless it is held. It keeps no copy, so there
 * is none to go stale; all that it owns is a scratch folder and the file of results, and both can be lost.
 *
 * Not for repositories that another git than this machine's works in at the same time with `gc --prune=now`.
 */
export class Merger {
  readonly #options: MergerOptions;
  readonly #committer: Committer;
  readonly #timeoutMs: number;
  readonly #scratch: string;
  readonly #cache: MergeCache;
  /** By project; the one that was used last is last. */
  readonly #open = new Map<string, Repository>();
  readonly #ending = new AbortController();
  #requests = 0;
  #made = 0;

  /** @throws MergerError `MERGER_REQUEST_INVALID` when a committer is not one that git takes. */
  constructor(options: MergerOptions) {
    this.#options = options;
    this.#committer = options.committer ?? { name: "Drover", email: "drover@localhost" };
    this.#timeoutMs = options.timeoutMs ?? 300_000;
    for (const text of [this.#committer.name, this.#committer.email]) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they would end the line of the commit.
      if (!/^[^<>\x00-\x1f\x7f]+$/.test(text) || text.trim() !== text)
        throw new MergerError("MERGER_REQUEST_INVALID", `no committer: ${JSON.stringify(text)}`);
    }
    this.#scratch = mkdtempSync(join(options.scratchDir ?? tmpdir(), "drover-merger-"));
    this.#cache = new MergeCache(options.cacheFile);
  }

  /** Processes that merge now, or wait for a merge. */
  get pids(): number[] {
    return [...this.#open.values()].flatMap(({ trees }) => trees.pids);
  }

  /** Merges a chain. Whatever goes wrong is an answer, of which none is remembered but a conflict. */
  async merge(request: MergeRequest): Promise<MergeAnswer> {
    const maxRequests = this.#options.maxRequests ?? 1_000;
    this.#requests++;
    try {
      if (this.#requests > maxRequests)
        throw new MergerError("MERGER_BUSY", `${maxRequests} requests are under way; ask again later`);
      checkRequest(request);
      return await this.#merge(request);
    } catch (error) {
      if (error instanceof GitError || error instanceof MergerError)
        return { kind: "error", detail: error.message };
      throw error;
    } finally {
      this.#requests--;
    }
  }

  /**
   * Paths that a commit changes against where it parted from a base, as `textOf` has them; of a rename both names.
   * @throws GitError, MergerError
   */
  async filesChanged(project: string, base: string, commit: string): Promise<string[]> {
    for (const id of [base, commit]) checkId(id);
    const repository = await this.#repository(project);
    const paths = await repository.reading(async () => {
      try {
        return await repository.differences(base, commit, true);
      } catch (error) {
        if (!(error instanceof GitError) || !error.stderr.includes("no merge base found")) throw error;
        return repository.differences(base, commit, false);
      }
    });
    if (paths.length > MAX_CHANGED_FILES)
      throw new MergerError("MERGER_LIMIT", `${paths.length} files differ, limit ${MAX_CHANGED_FILES}`);
    return paths;
  }

  /**
   * Regular files of a commit: those of these paths, and all below these folders. What is not there is left out.
   * @throws GitError, MergerError `MERGER_LIMIT`
   */
  async readFiles(project: string, commit: string, wanted: WantedFiles): Promise<Files> {
    return this.readFound(project, await this.findFiles(project, commit, wanted));
  }

  /** The same, but only where their contents are: equal ids are equal contents. @throws GitError, MergerError `MERGER_LIMIT` */
  async findFiles(project: string, commit: string, wanted: WantedFiles): Promise<FileIds> {
    checkId(commit);
    const repository = await this.#repository(project);
    return repository.reading(async () =>
      findFiles(repository.reader, (await repository.commit(commit)).tree, wanted),
    );
  }

  /** Contents of what `findFiles` has found. @throws GitError, MergerError `MERGER_LIMIT` */
  async readFound(project: string, found: FileIds): Promise<Files> {
    const repository = await this.#repository(project);
    return repository.reading(() => readFiles(repository.reader, found));
  }

  /** The tree of a commit. @throws GitError, MergerError */
  async treeOf(project: string, commit: string): Promise<string> {
    checkId(commit);
    const repository = await this.#repository(project);
    return repository.reading(async () => (await repository.commit(commit)).tree);
  }

  /** What a branch is at now; `undefined`: there is none. @throws GitError, MergerError */
  async tipOf(project: string, branch: string): Promise<string | undefined> {
    const ref = HEADS + branch;
    if (!canResolve(ref)) return (await readRefs(this.#gitDir(project), [ref])).get(ref);
    const repository = await this.#repository(project);
    return repository.reading(() => repository.reader.resolve(ref));
  }

  /** Branches and tags as they are now, by full name. */
  async refState(project: string): Promise<RefState> {
    return readRefs(this.#gitDir(project), ["refs/heads", "refs/tags"]);
  }

  /**
   * Keeps commits, and everything that they need, until `release`; by refs that no clone is shown. Holding again under
   * the same id adds to it.
   * @param id Letters, digits, `.`, `_` and `-`.
   */
  async hold(id: string, commits: readonly HeldCommit[]): Promise<void> {
    if (!isHoldId(id)) throw new MergerError("MERGER_REQUEST_INVALID", `no id: ${JSON.stringify(id)}`);
    for (const { commit } of commits) checkId(commit);
    for (const [project, held] of Map.groupBy(commits, (held) => held.project)) {
      const ids = new Set(held.map(({ commit }) => commit));
      const moves = [...ids].map((commit) => ({ ref: `${HOLDS}/${id}/${commit}`, new: commit }));
      const repository = await this.#repository(project);
      await repository.reading(async () => {
        try {
          await repository.refs.move(moves);
        } catch {
          // Another's may have failed, and this one with it.
          await moveRefs(repository.gitDir, moves);
        }
      });
    }
  }

  /** Lets go what `hold` kept in these projects. */
  async release(id: string, projects: Iterable<string>): Promise<void> {
    if (!isHoldId(id)) throw new MergerError("MERGER_REQUEST_INVALID", `no id: ${JSON.stringify(id)}`);
    for (const project of new Set(projects)) {
      const gitDir = this.#gitDir(project);
      const refs = await readRefs(gitDir, [`${HOLDS}/${id}`]);
      await moveRefs(
        gitDir,
        [...refs.keys()].map((ref) => ({ ref, new: null })),
      );
    }
  }

  /** Ids under which something of a project is held. */
  async held(project: string): Promise<string[]> {
    const refs = await readRefs(this.#gitDir(project), [HOLDS]);
    return [...new Set([...refs.keys()].map((ref) => ref.split("/")[3]!))];
  }

  /** Ends the processes. Requests under way are answered with an error. */
  async close(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    const open = [...this.#open.values()];
    await Promise.all(open.map((repository) => repository.close()));
    await Promise.all(open.map((repository) => repository.serially(async () => {})));
    this.#cache.close();
    rmSync(this.#scratch, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #merge({ steps, bases: frozen = [] }: MergeRequest): Promise<MergeAnswer> {
    const git = await gitVersion();
    const bases = await this.#bases(steps, frozen);
    const heads = new Map(bases.map((tip) => [branchKey(tip), tip]));
    const done: { base: string; commit: string }[] = [];
    const warnings = new Set<string>();
    let merges = 0;
    for (const [link, step] of steps.entries()) {
      const { project, branch } = step;
      const base = heads.get(branchKey(step))!.commit;
      if (step.mode === "merge-resolve")
        warnings.add(`${project}: merge-resolve is done as merge-ort, which resolves more`);
      const repository = await this.#repository(project);
      const result = await repository.serially(async () => {
        const key = this.#key(git, base, step);
        const known = await this.#known(repository, key);
        if (known !== undefined) return known;
        merges++;
        const made = await new StepMaker(repository, this.#committer).make(base, step);
        this.#cache.remember(key, made);
        return made;
      });
      if (result.kind === "conflict") {
        const [change, tip] = [step.commit.slice(0, 12), base.slice(0, 12)];
        const detail = `${project}: ${change} does not merge into ${branch} at ${tip}: ${result.detail}`;
        return { kind: "conflict", link, detail, paths: result.paths, bases, merges };
      }
      done.push({ base, commit: result.commit });
      heads.set(branchKey(step), { project, branch, commit: result.commit });
    }
    return {
      kind: "merged",
      steps: done,
      heads: [...heads.values()],
      bases,
      merges,
      warnings: [...warnings],
    };
  }

  /** What the branches of the steps are, in the order in which they come first. */
  async #bases(steps: readonly MergeStep[], frozen: readonly BranchTip[]): Promise<BranchTip[]> {
    const given = new Map(frozen.map((tip) => [branchKey(tip), tip]));
    const branches = new Map(steps.map((step) => [branchKey(step), step]));
    const missing = [...branches.values()].filter((step) => !given.has(branchKey(step)));
    const read = new Map<string, string | undefined>();
    for (const step of missing) read.set(branchKey(step), await this.tipOf(step.project, step.branch));
    return [...branches].map(([key, { project, branch }]) => {
      const commit = given.get(key)?.commit ?? read.get(key);
      if (commit === undefined) throw new GitError("GIT_FAILED", `${project} has no branch ${branch}`);
      return { project, branch, commit };
    });
  }

  /** A remembered result whose commit is still there. */
  async #known(repository: Repository, key: Uint8Array): Promise<StepResult | undefined> {
    const known = this.#cache.find(key);
    if (known?.kind !== "merged") return known;
    return (await repository.reader.info(known.commit))?.type === "commit" ? known : undefined;
  }

  #key(git: string, base: string, { commit, mode, since }: MergeStep): Uint8Array {
    const { name, email } = this.#committer;
    const input = [ALGORITHM, git, methodOf(mode), base, commit, since ?? null, name, email];
    return createHash("sha256").update(JSON.stringify(input)).digest();
  }

  #gitDir(project: string): string {
    const gitDir = this.#options.repositoryOf(project);
    if (gitDir !== undefined) return gitDir;
    throw new MergerError("MERGER_REQUEST_INVALID", `there is no repository of ${JSON.stringify(project)}`);
  }

  /** @throws GitError, MergerError */
  async #repository(project: string): Promise<Repository> {
    if (this.#ending.signal.aborted) throw new MergerError("MERGER_BUSY", "it was closed");
    await gitVersion();
    const gitDir = this.#gitDir(project);
    let repository = this.#open.get(project);
    this.#open.delete(project);
    if (repository !== undefined && repository.gitDir !== gitDir) {
      void repository.close();
      repository = undefined;
    }
    repository ??= new Repository(gitDir, join(this.#scratch, String(this.#made++)), this.#timeoutMs);
    this.#open.set(project, repository);
    this.#closeOthers();
    return repository;
  }

  #closeOthers(): void {
    let over = this.#open.size - (this.#options.maxOpenRepositories ?? 16);
    for (const [project, repository] of [...this.#open].slice(0, -1)) {
      if (over <= 0) return;
      if (repository.isBusy) continue;
      void repository.close();
      this.#open.delete(project);
      over--;
    }
  }
}

function branchKey({ project, branch }: { readonly project: string; readonly branch: string }): string {
  return JSON.stringify([project, branch]);
}

function checkId(id: string): void {
  if (!OBJECT_ID.test(id))
    throw new MergerError("MERGER_REQUEST_INVALID", `${JSON.stringify(id)} is no full object id`);
}
