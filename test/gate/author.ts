import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

/** What a push of an author is beside its files. */
export interface Proposal {
  /** Changes that it needs, as `Depends-On:` names them: `gate:PROJECT/NUMBER`. */
  readonly dependsOn?: readonly string[];
  /** The change that it is a new revision of, on what that one was made on. */
  readonly revises?: number;
}

/** One who pushes changes of several projects over HTTP, from clones of their own. */
export class Author {
  readonly #folder: string;
  readonly #gate: () => { readonly url: string; readonly token: string };
  readonly #clones = new Set<string>();
  /** Of each change, the newest commit. */
  readonly #commits = new Map<number, string>();
  #pushed = 0;

  /** @param folder Its clones go there. @param gate Where it is now, and alice's token. */
  constructor(folder: string, gate: () => { readonly url: string; readonly token: string }) {
    this.#folder = folder;
    this.#gate = gate;
  }

  /** Pushes a change, on top of the branch as it is, or a new revision of one. @returns its number */
  async push(
    project: string,
    files: Readonly<Record<string, string>>,
    { dependsOn = [], revises }: Proposal = {},
  ): Promise<number> {
    const { url, token } = this.#gate();
    const clone = join(this.#folder, project);
    const remote = `${url.replace("//", `//alice:${token}@`)}/git/${project}.git`;
    if (!this.#clones.has(project)) {
      mkdirSync(clone, { recursive: true });
      await this.#git(["init", "-q"], clone);
      this.#clones.add(project);
    }
    await this.#git(["fetch", "-q", remote, "main"], clone);
    const before = revises === undefined ? "FETCH_HEAD" : this.#commits.get(revises)!;
    await this.#git(["checkout", "-q", "-f", "-B", "work", before], clone);
    for (const [path, text] of Object.entries(files)) writeFileSync(join(clone, path), text);
    await this.#git(["add", "-A"], clone);
    const needs = dependsOn.map((needed) => `Depends-On: ${needed}`);
    const message = [`Change ${++this.#pushed}`, ...(needs.length > 0 ? ["", ...needs] : [])].join("\n");
    const amend = revises === undefined ? [] : ["--amend"];
    await this.#git(["commit", "-q", ...amend, "-m", message], clone);
    const to = revises === undefined ? "refs/for/main" : `refs/for/main%change=${revises}`;
    const said = await this.#git(["push", remote, `HEAD:${to}`], clone);
    const number = revises ?? Number(/Change (\d+) is new/.exec(said)?.[1]);
    if (!(number > 0)) throw new Error(`a push was not answered with its change: ${said}`);
    this.#commits.set(number, (await this.#git(["rev-parse", "HEAD"], clone)).trim());
    return number;
  }

  async #git(args: readonly string[], cwd: string): Promise<string> {
    const { stdout, stderr } = await promisify(execFile)("git", [...args], {
      cwd,
      env: {
        PATH: process.env.PATH,
        HOME: "/nonexistent",
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_AUTHOR_NAME: "Alice",
        GIT_AUTHOR_EMAIL: "alice@example.org",
        GIT_COMMITTER_NAME: "Alice",
        GIT_COMMITTER_EMAIL: "alice@example.org",
      },
    });
    return stdout + stderr;
  }
}
