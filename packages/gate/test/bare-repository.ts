import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { git, gitLine } from "../src/git/git.ts";
import { textOf } from "../src/git/text.ts";

/** What a path is to hold: text of a plain file, or what and how. `null`: nothing. Text has one character for each byte. */
export type Entry = string | { readonly mode: string; readonly content: string } | null;

export interface CommitOptions {
  /** Default: the ref as it is, or nothing when it is not there yet. `null`: nothing. */
  readonly from?: string | null;
  readonly merge?: string;
  readonly message?: string;
  readonly author?: string;
  readonly committer?: string;
  readonly encoding?: string;
}

/** A bare repository that is filled without a work tree. Paths have one character for each byte. */
export class BareRepository implements AsyncDisposable {
  readonly gitDir: string;
  readonly #folder: string;
  #commits = 0;

  private constructor(folder: string) {
    this.#folder = folder;
    this.gitDir = join(folder, "project.git");
  }

  static async make(format: "sha1" | "sha256" = "sha1"): Promise<BareRepository> {
    const repository = new BareRepository(await mkdtemp(join(tmpdir(), "drover-bare-")));
    await git(["init", "-q", "--bare", "-b", "main", `--object-format=${format}`, repository.gitDir]);
    return repository;
  }

  /** Commits these changes of files to a ref, and gives the commit. */
  async commit(
    ref: string,
    files: Readonly<Record<string, Entry>>,
    options: CommitOptions = {},
  ): Promise<string> {
    const name = ref.startsWith("refs/") ? ref : `refs/heads/${ref}`;
    const who = `Someone <someone@localhost> ${1_700_000_000 + this.#commits++} +0000`;
    const { from = await this.tip(name), merge, message = `Change ${ref}\n`, author = who } = options;
    const lines = [`commit ${name}`, `author ${author}`, `committer ${options.committer ?? who}`];
    if (options.encoding !== undefined) lines.push(`encoding ${options.encoding}`);
    lines.push(`data ${message.length}\n${message}`);
    if (from !== null) lines.push(`from ${from}`);
    if (merge !== undefined) lines.push(`merge ${merge}`);
    for (const [path, entry] of Object.entries(files)) {
      const quoted = `"${path.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;
      const { mode, content } =
        typeof entry === "string" ? { mode: "100644", content: entry } : (entry ?? {});
      if (content === undefined) lines.push(`D ${quoted}`);
      else if (mode === "160000") lines.push(`M ${mode} ${content} ${quoted}`);
      else lines.push(`M ${mode} inline ${quoted}`, `data ${content.length}\n${content}`);
    }
    // The ref starts anew from where it is told to.
    if (from === null) await git(["update-ref", "-d", name], { gitDir: this.gitDir });
    const input = Buffer.from(`${lines.join("\n")}\n`, "latin1");
    await git(["fast-import", "--quiet", "--force"], { gitDir: this.gitDir, input });
    return (await this.tip(name))!;
  }

  async tip(ref: string): Promise<string | null> {
    const words = ["for-each-ref", "--format=%(objectname)", textOf(Buffer.from(ref, "latin1"))];
    return (await gitLine(words, { gitDir: this.gitDir })) || null;
  }

  /** A line for each file: its mode and path, and its content in brackets. */
  async files(commit: string): Promise<string[]> {
    const { stdout } = await git(["ls-tree", "-r", "-z", "--full-tree", commit], { gitDir: this.gitDir });
    const entries = stdout.toString("latin1").split("\0").filter(Boolean);
    return Promise.all(
      entries.map(async (entry) => {
        const [, mode, type, id, path] = /^(\d+) (\w+) (\w+)\t(.*)$/s.exec(entry)!;
        if (type !== "blob") return `${mode} ${path} [${id}]`;
        const blob = await git(["cat-file", "blob", id!], { gitDir: this.gitDir });
        return `${mode} ${path} [${blob.stdout.toString("latin1")}]`;
      }),
    );
  }

  /** The commit as git has it, with one character for each byte. */
  async raw(commit: string): Promise<string> {
    const { stdout } = await git(["cat-file", "commit", commit], { gitDir: this.gitDir });
    return stdout.toString("latin1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
