import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { GitError, gitEnvironment } from "./git.ts";
import { started } from "./started.ts";

/** An answer and the bytes it took, or how many bytes there must be before it is worth looking again. */
export type Parsed<T> = { readonly value: T; readonly used: number } | number;

export interface CoprocessOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** For one answer, from when the one before it has come. Then the process is ended. */
  readonly timeoutMs: number;
  /** Of one answer. Then the process is ended. */
  readonly maxAnswerBytes: number;
}

interface Question {
  readonly parse: (bytes: Buffer) => Parsed<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const MAX_COMPLAINT_BYTES = 64 * 1024;

/**
 * A git process that answers one request after another, in their order. It is started by the first request, and again by
 * the first one after it died; the requests that were under way then fail, and whoever made them decides what to do.
 */
export class Coprocess {
  /** Processes started so far. */
  starts = 0;
  readonly #command: readonly string[];
  readonly #options: CoprocessOptions;
  #run: Run | undefined;

  constructor(command: readonly string[], options: CoprocessOptions) {
    this.#command = command;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#run?.child.pid;
  }

  /**
   * @param parse Reads the answer from the front of the bytes. What it throws ends the process, as does an answer to nothing.
   * @throws GitError
   */
  ask<T>(request: string | Uint8Array, parse: (bytes: Buffer) => Parsed<T>): Promise<T> {
    if (this.#run === undefined) {
      this.starts++;
      let run: Run;
      try {
        run = new Run(this.#command, this.#options, () => {
          if (this.#run === run) this.#run = undefined;
        });
      } catch (error) {
        return Promise.reject(new GitError("GIT_FAILED", (error as Error).message));
      }
      this.#run = run;
    }
    return this.#run.ask(request, parse);
  }

  /** Ends the process. Requests under way fail. */
  close(): void {
    this.#run?.end(new GitError("GIT_FAILED", `${this.#command[0]} was ended`));
  }
}

/** One life of the process. */
class Run {
  readonly child: ChildProcessWithoutNullStreams;
  readonly #questions: Question[] = [];
  readonly #options: CoprocessOptions;
  readonly #shown: string;
  readonly #gone: () => void;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #wanted = 1;
  #complaint = "";
  #failure: GitError | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(command: readonly string[], options: CoprocessOptions, gone: () => void) {
    this.#options = options;
    this.#gone = gone;
    const [program = "git", ...args] = command;
    this.#shown = command.filter((word) => !word.startsWith("-")).join(" ");
    this.child = started(
      spawn(program, args, {
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env: gitEnvironment(options.env),
        stdio: ["pipe", "pipe", "pipe"],
      }),
    );
    this.child.stdout.on("data", (chunk: Buffer) => this.#take(chunk));
    this.child.stderr.on("data", (chunk: Buffer) => {
      if (this.#complaint.length < MAX_COMPLAINT_BYTES) this.#complaint += chunk.toString();
    });
    // A program that ends before it has read its input is judged by how it ended.
    this.child.stdin.on("error", () => {});
    this.child.on("error", (error: NodeJS.ErrnoException) => {
      const code = error.code === "ENOENT" ? "GIT_MISSING" : "GIT_FAILED";
      this.end(new GitError(code, `${this.#shown}: ${error.message}`));
      this.#close(null);
    });
    this.child.on("close", (exitCode) => this.#close(exitCode));
  }

  ask<T>(request: string | Uint8Array, parse: (bytes: Buffer) => Parsed<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#questions.push({ parse, resolve: resolve as (value: unknown) => void, reject });
      if (this.#questions.length === 1) this.#startTimer();
      this.child.stdin.write(request);
    });
  }

  /** From here on new requests have a new process. */
  end(failure: GitError): void {
    this.#failure ??= failure;
    this.#gone();
    this.child.kill("SIGKILL");
  }

  #take(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= this.#wanted && this.#bytes > 0) {
      const question = this.#questions[0];
      if (question === undefined) {
        this.#unasked();
        return;
      }
      const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks, this.#bytes);
      this.#chunks = [bytes];
      let parsed: Parsed<unknown>;
      try {
        parsed = question.parse(bytes);
      } catch (error) {
        const failure = error instanceof GitError ? error : undefined;
        this.end(failure ?? new GitError("GIT_FAILED", `${this.#shown}: ${(error as Error).message}`));
        return;
      }
      if (typeof parsed === "number") {
        this.#wanted = Math.max(parsed, this.#bytes + 1);
        break;
      }
      // Then there is no telling which of it was the answer.
      if (this.#questions.length === 1 && parsed.used < bytes.length) {
        this.#unasked();
        return;
      }
      this.#questions.shift();
      this.#wanted = 1;
      this.#bytes = bytes.length - parsed.used;
      this.#chunks = this.#bytes === 0 ? [] : [bytes.subarray(parsed.used)];
      clearTimeout(this.#timer);
      if (this.#questions.length > 0) this.#startTimer();
      question.resolve(parsed.value);
    }
    const { maxAnswerBytes } = this.#options;
    if (Math.max(this.#bytes, this.#wanted - 1) > maxAnswerBytes)
      this.end(new GitError("GIT_TOO_MUCH_OUTPUT", `${this.#shown} gave more than ${maxAnswerBytes} bytes`));
  }

  #unasked(): void {
    this.end(new GitError("GIT_FAILED", `${this.#shown} said something that it was not asked`));
  }

  #startTimer(): void {
    const { timeoutMs } = this.#options;
    this.#timer = setTimeout(() => {
      this.end(new GitError("GIT_TIMEOUT", `${this.#shown} took longer than ${timeoutMs / 1000} s`));
    }, timeoutMs);
  }

  #close(exitCode: number | null): void {
    clearTimeout(this.#timer);
    this.#gone();
    const why = this.#complaint.trim().split("\n").slice(-3).join(" | ");
    const failure =
      this.#failure ??
      new GitError("GIT_FAILED", `${this.#shown} exited with ${exitCode}: ${why}`, exitCode, this.#complaint);
    for (const { reject } of this.#questions.splice(0)) reject(failure);
  }
}
