import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { started } from "./started.ts";

export type GitErrorCode =
  | "GIT_FAILED"
  | "GIT_TIMEOUT"
  | "GIT_TOO_MUCH_OUTPUT"
  | "GIT_MISSING"
  | "GIT_TOO_OLD";

/** Git could not do what was asked. */
export class GitError extends Error {
  override readonly name = "GitError";
  readonly code: GitErrorCode;
  /** Of the program, when it ended by itself. */
  readonly exitCode: number | null;
  readonly stderr: string;

  constructor(code: GitErrorCode, detail: string, exitCode: number | null = null, stderr = "") {
    super(`${code}: ${detail}`);
    this.code = code;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

export interface GitOptions {
  /** A bare repository, or the `.git` of another. */
  readonly gitDir?: string;
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Exit codes that are answers, not failures. Default: 0. */
  readonly allow?: readonly number[];
  /** Default: 300 s, as Zuul has it. */
  readonly timeoutMs?: number;
  /** Default: 64 MiB. */
  readonly maxOutputBytes?: number;
  /** What is beyond `maxOutputBytes` is left out rather than a failure. Default: false. */
  readonly cutOutput?: boolean;
}

export interface GitOutput {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** Whether there was more, with `cutOutput`. */
  readonly isCut: boolean;
}

/**
 * What git is told of the world: nothing of the machine's or the user's configuration may change what a merge gives, and
 * nothing may ask a person.
 */
export const GIT_ENVIRONMENT: Readonly<Record<string, string>> = {
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_OPTIONAL_LOCKS: "0",
  LC_ALL: "C.UTF-8",
  TZ: "UTC",
};

const TIMEOUT_MS = 300_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const MAX_COMPLAINT_BYTES = 64 * 1024;

/** The environment of a git process: the path and what is said here, so that no `GIT_DIR` of a hook leaks in. */
export function gitEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: process.env.PATH ?? "/usr/bin:/bin", HOME: "/nonexistent", ...GIT_ENVIRONMENT, ...more };
}

/**
 * Runs git once.
 * @throws GitError
 */
export function git(args: readonly string[], options: GitOptions = {}): Promise<GitOutput> {
  const { gitDir, cwd, input, allow = [0], timeoutMs = TIMEOUT_MS } = options;
  const maxBytes = options.maxOutputBytes ?? MAX_OUTPUT_BYTES;
  const words = [...(gitDir === undefined ? [] : [`--git-dir=${gitDir}`]), ...args];
  const shown = `git ${args[0] ?? ""}`;
  return new Promise((resolve, reject) => {
    let child: ChildProcessWithoutNullStreams;
    try {
      child = started(
        spawn("git", words, {
          ...(cwd === undefined ? {} : { cwd }),
          env: gitEnvironment(options.env),
          stdio: ["pipe", "pipe", "pipe"],
        }),
      );
    } catch (error) {
      reject(new GitError("GIT_FAILED", (error as Error).message));
      return;
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    let isCut = false;
    let complaint = "";
    let failure: GitError | undefined;
    const end = (error: GitError): void => {
      failure ??= error;
      child.kill("SIGKILL");
    };
    const timer = setTimeout(() => {
      end(new GitError("GIT_TIMEOUT", `${shown} took longer than ${timeoutMs / 1000} s`));
    }, timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => {
      if (isCut) return;
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
      else if (options.cutOutput === true) {
        isCut = true;
        chunks.push(chunk.subarray(0, chunk.length - (bytes - maxBytes)));
        child.kill("SIGKILL");
      } else end(new GitError("GIT_TOO_MUCH_OUTPUT", `${shown} gave more than ${maxBytes} bytes`));
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (complaint.length < MAX_COMPLAINT_BYTES) complaint += chunk.toString();
    });
    // A program that ends before it has read its input is judged by how it ended.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    child.on("error", (error: NodeJS.ErrnoException) => {
      failure ??= new GitError(
        error.code === "ENOENT" ? "GIT_MISSING" : "GIT_FAILED",
        error.code === "ENOENT" ? "there is no git; install Debian's package git" : error.message,
      );
    });
    child.on("close", (exitCode) => {
      clearTimeout(timer);
      if (failure !== undefined) reject(failure);
      else if (!isCut && (exitCode === null || !allow.includes(exitCode))) {
        const why = complaint.trim().split("\n").slice(-3).join(" | ");
        reject(new GitError("GIT_FAILED", `${shown} exited with ${exitCode}: ${why}`, exitCode, complaint));
      } else resolve({ exitCode: exitCode ?? 0, stdout: Buffer.concat(chunks), stderr: complaint, isCut });
    });
  });
}

/** As `git`, for the text of one line. */
export async function gitLine(args: readonly string[], options: GitOptions = {}): Promise<string> {
  return (await git(args, options)).stdout.toString().trim();
}
