import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { projectNameProblem } from "../forge/names.ts";
import { GitError, git } from "../git/git.ts";
import { OBJECT_ID } from "../git/objects.ts";
import { moveRefs, readRefs } from "../git/refs.ts";
import { type GateLink, RemoteError } from "./gate-link.ts";

/** Commits that are asked for by name in one fetch; a chain is seldom longer than a window. */
const MAX_WANTED = 2_000;
/** What was brought for a build or a merge is kept so long after it was last wanted. */
const KEPT_MS = 24 * 3_600_000;
/** Packs from which on they are made one. */
const MANY_PACKS = 40;
const AGAIN_MS = 1_000;
const FETCH_TIMEOUT_MS = 3_600_000;

const KEPT = "refs/drover/kept";

interface Batch {
  readonly commits: Set<string>;
  readonly done: Promise<void>;
}

/**
 * Copies of the gate's repositories, brought up to date over git's HTTP whenever they are wanted: branches, tags, and commits
 * that no ref shows yet. Whoever asks while one is fetched shares the next fetch.
 */
export class RepositoryCache {
  readonly folder: string;
  readonly #gate: GateLink;
  readonly #waiting = new Map<string, Batch>();
  readonly #last = new Map<string, Promise<void>>();
  /** When each commit that has a ref here was wanted last. */
  readonly #wanted = new Map<string, Map<string, number>>();
  readonly #nowMs: () => number;

  /** @param folder Nobody else's. */
  constructor(folder: string, gate: GateLink, nowMs: () => number = Date.now) {
    this.folder = folder;
    this.#gate = gate;
    this.#nowMs = nowMs;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** Of a project whose repository was brought. */
  gitDir(project: string): string {
    return join(this.folder, `${project}.git`);
  }

  exists(project: string): boolean {
    return projectNameProblem(project) === null && existsSync(join(this.gitDir(project), "HEAD"));
  }

  /**
   * Brings a project's branches and tags as they are after this was called, and these commits.
   * @returns where the repository is
   * @throws RemoteError `GATE_UNREACHABLE`; GitError when the gate does not have a commit (any more)
   */
  async bring(project: string, commits: Iterable<string>, signal?: AbortSignal): Promise<string> {
    const problem = projectNameProblem(project);
    if (problem !== null) throw new GitError("GIT_FAILED", `${JSON.stringify(project)}: ${problem}`);
    const own = new Set(commits);
    for (const id of own)
      if (!OBJECT_ID.test(id)) throw new GitError("GIT_FAILED", `${JSON.stringify(id)} is no object id`);
    let batch = this.#waiting.get(project);
    if (batch === undefined || batch.commits.size + own.size > MAX_WANTED) {
      batch = this.#batch(project);
      this.#waiting.set(project, batch);
    }
    for (const id of own) batch.commits.add(id);
    try {
      await unlessAborted(batch.done, signal);
    } catch (error) {
      // It may have been somebody else's commit that is not there.
      if (!(error instanceof GitError) || batch.commits.size === own.size) throw error;
      await unlessAborted(this.#fetch(project, own, signal), signal);
    }
    return this.gitDir(project);
  }

  #batch(project: string): Batch {
    const commits = new Set<string>();
    const before = this.#last.get(project) ?? Promise.resolve();
    const batch: Batch = {
      commits,
      done: before.then(() => {
        if (this.#waiting.get(project) === batch) this.#waiting.delete(project);
        return this.#fetch(project, commits);
      }),
    };
    this.#last.set(
      project,
      batch.done.catch(() => {}),
    );
    return batch;
  }

  async #fetch(project: string, commits: ReadonlySet<string>, signal?: AbortSignal): Promise<void> {
    const gitDir = await this.#made(project);
    const missing = await missingOf(gitDir, commits);
    const words = ["fetch", "--quiet", "--no-write-fetch-head", "--no-auto-gc", "--no-tags", "--prune"];
    const refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
    for (const id of missing) refs.push(`+${id}:${KEPT}/${id}`);
    const url = `${this.#gate.url}/git/${project}.git`;
    const endMs = performance.now() + this.#gate.patienceMs;
    for (;;) {
      try {
        await git([...words, "--end-of-options", url, ...refs], {
          gitDir,
          timeoutMs: FETCH_TIMEOUT_MS,
          env: this.#environment(),
        });
        break;
      } catch (error) {
        if (!(error instanceof GitError) || isFinal(error)) throw error;
        if (signal?.aborted === true || performance.now() + AGAIN_MS > endMs)
          throw new RemoteError("GATE_UNREACHABLE", error.message);
      }
      await after(AGAIN_MS, undefined, { ref: false });
    }
    const wanted = this.#wantedOf(project);
    for (const id of commits) if (missing.has(id) || wanted.has(id)) wanted.set(id, this.#nowMs());
  }

  /** The token is not among the arguments, which everybody on the machine can read. */
  #environment(): Record<string, string> {
    const settings = [
      ["http.extraHeader", `Authorization: Bearer ${this.#gate.token}`],
      ["http.followRedirects", "false"],
      ["protocol.version", "2"],
      // A pack is there whole or not at all, wherever this is ended.
      ["fetch.unpackLimit", "1"],
    ] as const;
    const env: Record<string, string> = {
      GIT_CONFIG_COUNT: String(settings.length),
      GIT_ALLOW_PROTOCOL: "http:https",
    };
    for (const [at, [key, value]] of settings.entries()) {
      env[`GIT_CONFIG_KEY_${at}`] = key;
      env[`GIT_CONFIG_VALUE_${at}`] = value;
    }
    return env;
  }

  async #made(project: string): Promise<string> {
    const gitDir = this.gitDir(project);
    if (existsSync(join(gitDir, "HEAD"))) return gitDir;
    const making = join(this.folder, `.making-${encodeURIComponent(project)}`);
    rmSync(making, { recursive: true, force: true });
    await git(["init", "--quiet", "--bare", "--template=", "--initial-branch=main", making]);
    writeFileSync(join(making, "config"), CONFIGURATION);
    mkdirSync(dirname(gitDir), { recursive: true });
    renameSync(making, gitDir);
    return gitDir;
  }

  #wantedOf(project: string): Map<string, number> {
    const known = this.#wanted.get(project) ?? new Map<string, number>();
    this.#wanted.set(project, known);
    return known;
  }

  /** Keeps commits that are here for another day. */
  want(project: string, commits: Iterable<string>): void {
    const wanted = this.#wantedOf(project);
    for (const id of commits) wanted.set(id, this.#nowMs());
  }

  /** Lets go what was not wanted for a day, and packs what has become many packs. @throws GitError */
  async tidy(): Promise<void> {
    for (const project of await projectsIn(this.folder)) {
      const gitDir = this.gitDir(project);
      const wanted = this.#wantedOf(project);
      const gone: string[] = [];
      for (const [ref, id] of await readRefs(gitDir, [KEPT])) {
        const at = wanted.get(id) ?? this.#nowMs();
        wanted.set(id, at);
        if (at >= this.#nowMs() - KEPT_MS) continue;
        wanted.delete(id);
        gone.push(ref);
      }
      await moveRefs(
        gitDir,
        gone.map((ref) => ({ ref, new: null })),
      );
      const packs = await readdir(join(gitDir, "objects", "pack"));
      if (packs.filter((name) => name.endsWith(".pack")).length >= MANY_PACKS)
        await git(["gc", "--quiet", "--prune=1.day.ago"], { gitDir, timeoutMs: FETCH_TIMEOUT_MS });
    }
  }
}

const CONFIGURATION = `[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
[gc]
	auto = 0
`;

/** What trying again does not change. */
function isFinal({ stderr, code }: GitError): boolean {
  return (
    code === "GIT_MISSING" ||
    /not our ref|remote error|Authentication failed|returned error: 40[0134]|could not read Username/i.test(
      stderr,
    )
  );
}

async function missingOf(gitDir: string, commits: ReadonlySet<string>): Promise<Set<string>> {
  if (commits.size === 0) return new Set();
  const { stdout } = await git(["cat-file", "--batch-check=%(objectname)"], {
    gitDir,
    input: `${[...commits].join("\n")}\n`,
  });
  const lines = stdout.toString("latin1").split("\n");
  return new Set(lines.flatMap((line) => (line.endsWith(" missing") ? [line.slice(0, -8)] : [])));
}

async function projectsIn(folder: string, below = ""): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name.startsWith(".")) continue;
    const name = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.name.endsWith(".git")) found.push(name.slice(0, -4));
    else found.push(...(await projectsIn(folder, name)));
  }
  return found;
}

/** Others may go on waiting for what one has given up. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(new RemoteError("GATE_UNREACHABLE", "it was given up"));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  promise.catch(() => {});
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
