import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type GitError, git, gitLine } from "../git/git.ts";
import { ForgeError } from "./errors.ts";
import type { ForgeLimits } from "./limits.ts";
import { projectNameProblem } from "./names.ts";

/** Below the forge's folder: what is not a project, whose names never begin so. */
const OWN = ".drover";

/** The folder of bare repositories, `NAME.git` each. */
export class Repositories {
  readonly folder: string;
  readonly #maxPackBytes: number;

  /** @param folder Absolute. */
  constructor(folder: string, { maxPackBytes }: Pick<ForgeLimits, "maxPackBytes">) {
    this.folder = folder;
    this.#maxPackBytes = maxPackBytes;
    mkdirSync(this.#making, { recursive: true, mode: 0o700 });
    mkdirSync(this.hooks, { recursive: true });
  }

  /** Where the gate's own files are. */
  get own(): string {
    return join(this.folder, OWN);
  }

  get hooks(): string {
    return join(this.own, "hooks");
  }

  get #making(): string {
    return join(this.own, "making");
  }

  /** Of the repository of a project, which need not be there. */
  gitDir(project: string): string {
    return join(this.folder, `${project}.git`);
  }

  exists(project: string): boolean {
    return existsSync(join(this.gitDir(project), "HEAD"));
  }

  /** Throws away what a process before this one did not finish. */
  clean(): void {
    for (const name of readdirSync(this.#making))
      rmSync(join(this.#making, name), { recursive: true, force: true });
  }

  /**
   * Makes a repository beside the others, which `adopt` puts in its place.
   * @param source Folder or URL whose branches and tags it takes over.
   * @returns what `adopt` wants.
   * @throws ForgeError `PROJECT_NAME_INVALID`, `PROJECT_EXISTS`, `IMPORT_FAILED`; GitError
   */
  async make(project: string, branches: readonly string[], source: string | undefined): Promise<string> {
    const problem = projectNameProblem(project);
    if (problem !== null)
      throw new ForgeError("PROJECT_NAME_INVALID", `${JSON.stringify(project.slice(0, 80))}: ${problem}`);
    if (existsSync(this.gitDir(project)))
      throw new ForgeError(
        "PROJECT_EXISTS",
        `${this.gitDir(project)} is there already: move it away and import it`,
      );
    const made = join(this.#making, encodeURIComponent(project));
    rmSync(made, { recursive: true, force: true });
    try {
      await git([
        "init",
        "--quiet",
        "--bare",
        "--template=",
        `--initial-branch=${branches[0] ?? "main"}`,
        made,
      ]);
      if (source === undefined) await begin(made, project, branches);
      else await take(made, source);
      this.configure(made);
    } catch (error) {
      rmSync(made, { recursive: true, force: true });
      throw error;
    }
    return made;
  }

  adopt(made: string, project: string): void {
    mkdirSync(dirname(this.gitDir(project)), { recursive: true });
    renameSync(made, this.gitDir(project));
  }

  /**
   * Writes a repository's whole configuration. Every push goes through the hook, so that where the hook is gone nothing can
   * be pushed.
   */
  configure(gitDir: string): void {
    const path = join(gitDir, "config");
    writeFileSync(`${path}.new`, this.#configuration());
    renameSync(`${path}.new`, path);
  }

  #configuration(): string {
    const quoted = this.hooks.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
    return `# Written by Drover at each start.
[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
	hooksPath = "${quoted}"
	# Objects and refs are on the disk when a push or a merge is told of; git itself leaves most to the system.
	fsync = committed
[receive]
	procReceiveRefs = refs
	advertisePushOptions = true
	fsckObjects = true
	autogc = false
	maxInputSize = ${this.#maxPackBytes}
	hideRefs = refs/changes
	hideRefs = refs/drover
[uploadpack]
	hideRefs = refs/drover
	allowFilter = true
[http]
	receivepack = true
[gc]
	auto = 0
`;
  }
}

/** Branches of a new project begin with a commit that has nothing, so that there is something to push for. */
async function begin(gitDir: string, project: string, branches: readonly string[]): Promise<void> {
  const who = { NAME: "Drover", EMAIL: "drover@localhost", DATE: "@0 +0000" };
  const env = Object.fromEntries(
    Object.entries(who).flatMap(([key, value]) => [
      [`GIT_AUTHOR_${key}`, value],
      [`GIT_COMMITTER_${key}`, value],
    ]),
  );
  const tree = await gitLine(["mktree"], { gitDir, input: "" });
  const commit = await gitLine(["commit-tree", "-m", `Begin ${project}`, tree], { gitDir, env });
  for (const branch of branches.length === 0 ? ["main"] : branches) {
    await gitLine(["check-ref-format", "--branch", branch]);
    await git(["update-ref", `refs/heads/${branch}`, commit, ""], { gitDir });
  }
}

/** @throws ForgeError `IMPORT_FAILED` */
async function take(gitDir: string, source: string): Promise<void> {
  try {
    await git(
      [
        "fetch",
        "--quiet",
        "--no-auto-gc",
        "--no-write-fetch-head",
        "--end-of-options",
        source,
        "+refs/heads/*:refs/heads/*",
        "+refs/tags/*:refs/tags/*",
      ],
      { gitDir, env: { GIT_ALLOW_PROTOCOL: "file:git:http:https:ssh" }, timeoutMs: 3_600_000 },
    );
    const heads = (
      await git(["ls-remote", "--symref", "--end-of-options", source, "HEAD"], { gitDir })
    ).stdout.toString();
    const branch = /^ref: (refs\/heads\/\S+)\tHEAD$/m.exec(heads)?.[1];
    if (branch !== undefined) await git(["symbolic-ref", "HEAD", branch], { gitDir });
    if ((await gitLine(["for-each-ref", "--count=1", "refs/heads/"], { gitDir })) === "")
      throw new ForgeError("IMPORT_FAILED", "it has no branches");
  } catch (error) {
    // Without the source: its URL may have a password.
    const why = ((error as GitError).stderr || (error as Error).message).replaceAll(source, "the source");
    throw new ForgeError(
      "IMPORT_FAILED",
      why
        .split("\n")
        .filter((line) => line.trim() !== "")
        .slice(0, 3)
        .join(" | ")
        .replace(/\/\/[^/@\s]*@/g, "//"),
    );
  }
}
