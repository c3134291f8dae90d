import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Commit } from "../git/commits.ts";
import { Coprocess, type Parsed } from "../git/coprocess.ts";
import { GitError, git } from "../git/git.ts";
import { type Attributes, writeAttributes } from "./attributes.ts";
import { parseTreeAnswer, type TreeAnswer } from "./tree-answer.ts";

/**
 * Merge processes of a repository: each serves one set of attributes, since git reads those of the top folder once only.
 * The one that was used least lately goes.
 */
const MAX_PROCESSES = 3;

/** Then a process is replaced, since it keeps every commit that it has seen. */
const MAX_MERGES_OF_PROCESS = 5_000;

/** Deaths in a row, with no merge between them, after which each merge has a process of its own. */
const MAX_DEATHS = 3;

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** What decides how git merges, so that no configuration of a repository does. */
const SETTINGS: Readonly<Record<string, string>> = {
  "core.attributesFile": "/dev/null",
  "core.autocrlf": "false",
  "core.fsmonitor": "false",
  "core.hooksPath": "/dev/null",
  "merge.conflictStyle": "merge",
  "merge.default": "text",
  "merge.directoryRenames": "conflict",
  "merge.renameLimit": "7000",
  "merge.renames": "true",
  "merge.renormalize": "false",
};

/** @param scratch The only work tree that git is to see. */
export function mergeEnvironment(scratch: string): Record<string, string> {
  const env: Record<string, string> = { GIT_WORK_TREE: scratch };
  const settings = Object.entries(SETTINGS);
  env.GIT_CONFIG_COUNT = String(settings.length);
  settings.forEach(([key, value], i) => {
    env[`GIT_CONFIG_KEY_${i}`] = key;
    env[`GIT_CONFIG_VALUE_${i}`] = value;
  });
  return env;
}

interface Process {
  readonly scratch: string;
  readonly coprocess: Coprocess;
  merges: number;
}

/** Merges the trees of two commits of one repository, by what their history says. */
export class TreeMerger {
  readonly #gitDir: string;
  readonly #scratch: string;
  readonly #timeoutMs: number;
  /** By attributes; the one that was used last is last. */
  readonly #processes = new Map<string, Process>();
  #made = 0;
  #deaths = 0;

  /** @param scratch An existing folder of its own. */
  constructor(gitDir: string, scratch: string, timeoutMs: number) {
    this.#gitDir = gitDir;
    this.#scratch = scratch;
    this.#timeoutMs = timeoutMs;
  }

  /** Of the long-lived processes. */
  get pids(): number[] {
    return [...this.#processes.values()].flatMap(({ coprocess }) => coprocess.pid ?? []);
  }

  /** The private work tree that holds these attributes and nothing else. */
  workTree(attributes: Attributes): string {
    return this.#process(attributes).scratch;
  }

  /** @throws GitError */
  async merge(
    ours: Pick<Commit, "id" | "tree">,
    theirs: Pick<Commit, "id">,
    attributes: Attributes,
  ): Promise<TreeAnswer> {
    const process = this.#process(attributes);
    if (this.#deaths < MAX_DEATHS) {
      try {
        const questions = `${ours.id} ${theirs.id}\n${ours.id} ${ours.id}\n`;
        const answer = await process.coprocess.ask(questions, (bytes) => parseProven(bytes, ours.tree));
        this.#deaths = 0;
        process.merges++;
        return answer;
      } catch (error) {
        if (isUnrelated(error)) return UNRELATED;
        if (error instanceof GitError && error.code === "GIT_TIMEOUT") throw error;
        this.#deaths++;
      }
    }
    return this.mergeAlone(ours, theirs, attributes);
  }

  /** The same in a process of its own. */
  async mergeAlone(
    ours: Pick<Commit, "id">,
    theirs: Pick<Commit, "id">,
    attributes: Attributes,
  ): Promise<TreeAnswer> {
    const { scratch } = this.#process(attributes);
    try {
      const { exitCode, stdout } = await git(["merge-tree", "--write-tree", "-z", ours.id, theirs.id], {
        gitDir: this.#gitDir,
        cwd: scratch,
        env: mergeEnvironment(scratch),
        allow: [0, 1],
        timeoutMs: this.#timeoutMs,
        maxOutputBytes: MAX_ANSWER_BYTES,
      });
      const status = exitCode === 0 ? "1\0" : "0\0";
      const bytes = Buffer.concat([Buffer.from(status), stdout, Buffer.from("\0")]);
      const parsed = parseTreeAnswer(bytes);
      if (typeof parsed === "number" || parsed.used !== bytes.length)
        throw new GitError("GIT_FAILED", "git merge-tree gave half an answer, or more than one");
      return parsed.value;
    } catch (error) {
      if (isUnrelated(error)) return UNRELATED;
      throw error;
    }
  }

  #process(attributes: Attributes): Process {
    const { key } = attributes;
    let process = this.#processes.get(key);
    this.#processes.delete(key);
    if (process !== undefined && process.merges >= MAX_MERGES_OF_PROCESS) {
      end(process);
      process = undefined;
    }
    if (process === undefined) {
      const [oldest] = this.#processes;
      if (oldest !== undefined && this.#processes.size >= MAX_PROCESSES) {
        this.#processes.delete(oldest[0]);
        end(oldest[1]);
      }
      process = this.#start(attributes);
    }
    this.#processes.set(key, process);
    return process;
  }

  #start(attributes: Attributes): Process {
    const scratch = join(this.#scratch, `attributes-${this.#made++}`);
    mkdirSync(scratch);
    writeAttributes(scratch, attributes);
    // Git does not flush after each answer.
    const words = ["stdbuf", "-o0", "git", `--git-dir=${this.#gitDir}`, "merge-tree", "--write-tree"];
    const coprocess = new Coprocess([...words, "--stdin", "-z"], {
      cwd: scratch,
      env: mergeEnvironment(scratch),
      timeoutMs: this.#timeoutMs,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
    return { scratch, coprocess, merges: 0 };
  }

  close(): void {
    for (const process of this.#processes.values()) end(process);
    this.#processes.clear();
  }
}

/**
 * An answer, and after it that of a commit merged with itself, whose tree is known: so an answer that belongs to another
 * question is never taken for this one's.
 */
function parseProven(bytes: Buffer, tree: string): Parsed<TreeAnswer> {
  const answer = parseTreeAnswer(bytes);
  if (typeof answer === "number") return answer;
  const proof = parseTreeAnswer(bytes.subarray(answer.used));
  if (typeof proof === "number") return answer.used + proof;
  if (proof.value.tree !== tree) throw new Error("it answered another question");
  return { value: answer.value, used: answer.used + proof.used };
}

const UNRELATED: TreeAnswer = {
  tree: null,
  conflict: { detail: "the two have no history in common", paths: [] },
};

function isUnrelated(error: unknown): boolean {
  return error instanceof GitError && error.stderr.includes("refusing to merge unrelated histories");
}

function end({ coprocess, scratch }: Process): void {
  coprocess.close();
  rmSync(scratch, { recursive: true, force: true });
}
