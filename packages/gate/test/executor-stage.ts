import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import type { BuildOutcome, BuildRequest } from "../src/executor/build-request.ts";
import { Executor, type ExecutorOptions, type RunOptions } from "../src/executor/executor.ts";
import { git, gitLine } from "../src/git/git.ts";

const IDENTITY = {
  GIT_AUTHOR_NAME: "A",
  GIT_AUTHOR_EMAIL: "a@example.org",
  GIT_COMMITTER_NAME: "A",
  GIT_COMMITTER_EMAIL: "a@example.org",
  GIT_AUTHOR_DATE: "1700000000 +0000",
  GIT_COMMITTER_DATE: "1700000000 +0000",
};

/** Text, or a program. */
export type Content = string | { readonly program: string };

/** A bare repository that tests write commits into, without a work tree. */
export class TestRepository {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(path: string): Promise<TestRepository> {
    await git(["init", "--quiet", "--bare", path]);
    return new TestRepository(path);
  }

  /** A commit that holds exactly these files. */
  async commit(files: Readonly<Record<string, Content>>, parent?: string): Promise<string> {
    const env = { ...IDENTITY, GIT_INDEX_FILE: join(this.path, "test-index") };
    rmSync(env.GIT_INDEX_FILE, { force: true });
    const lines: string[] = [];
    for (const [path, content] of Object.entries(files)) {
      const text = typeof content === "string" ? content : content.program;
      const blob = await gitLine(["hash-object", "-w", "--stdin"], { gitDir: this.path, input: text });
      lines.push(`${typeof content === "string" ? "100644" : "100755"} ${blob}\t${path}\n`);
    }
    await git(["update-index", "--index-info"], { gitDir: this.path, env, input: lines.join("") });
    const tree = await gitLine(["write-tree"], { gitDir: this.path, env });
    const parents = parent === undefined ? [] : ["-p", parent];
    return await gitLine(["commit-tree", tree, ...parents, "-m", "a commit"], { gitDir: this.path, env });
  }
}

/** An executor in a folder of its own, and a project `org/app` whose branch `main` is a change on one commit. */
export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), "drover-executor-"));
  readonly #options: Partial<ExecutorOptions>;
  executor!: Executor;
  app!: TestRepository;
  base!: string;
  tip!: string;

  /** To be made once in a file or a group, outside of its tests. */
  constructor(options: Partial<ExecutorOptions> = {}) {
    this.#options = options;
    beforeAll(async () => {
      this.executor = await this.start();
      this.app = await TestRepository.create(join(this.folder, "state", "app.git"));
      this.base = await this.app.commit({ "README.md": "old\n" });
      this.tip = await this.app.commit(
        { "README.md": "new\n", "check.sh": { program: "#!/bin/sh\ncat README.md\n" } },
        this.base,
      );
    });
    afterAll(async () => {
      await this.executor?.close();
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  start(options: Partial<ExecutorOptions> = {}): Promise<Executor> {
    return Executor.start({
      folder: join(this.folder, "executor"),
      diskLookMs: 20,
      ...this.#options,
      ...options,
    });
  }

  request(...scripts: readonly string[]): BuildRequest {
    return {
      build: "build-1",
      job: "test",
      run: scripts.map(script),
      project: "org/app",
      repositories: [
        {
          project: "org/app",
          repository: this.app.path,
          branches: { main: this.tip },
          checkout: "main",
          before: { main: this.base },
        },
      ],
      zuul: { change: 7, patchset: 2, pipeline: "gate", branch: "main", project: { name: "org/app" } },
      timeoutMs: 60_000,
      postTimeoutMs: 60_000,
    };
  }

  /** Runs it and gives with its outcome what it wrote, without the executor's own lines. */
  async run(
    request: BuildRequest,
    options: RunOptions = {},
  ): Promise<{ outcome: BuildOutcome; log: string }> {
    const outcome = await this.executor.run(request, options);
    return { outcome, log: await this.logOf(outcome.execution) };
  }

  async logOf(execution: string): Promise<string> {
    return (await this.wholeLogOf(execution)).replace(/^drover: .*\n/gm, "");
  }

  async wholeLogOf(execution: string, of = this.executor): Promise<string> {
    const pieces: Uint8Array[] = [];
    for (let from = 0; ; ) {
      const piece = await of.readLog(execution, from);
      if (piece === undefined) throw new Error(`there is no execution ${execution}`);
      pieces.push(piece.bytes);
      from += piece.bytes.length;
      if (piece.isEnded || piece.bytes.length === 0) return Buffer.concat(pieces).toString();
    }
  }
}

export const script = (text: string) => ({ argv: ["sh", "-c", text] });

export async function write(path: string, text: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return path;
}
