import { type ChildProcess, spawn } from "node:child_process";
import { started } from "../git/started.ts";
import type { BuildLog } from "./build-log.ts";
import type { StepEnd } from "./build-request.ts";
import type { FailureOutput } from "./failure-output.ts";
import { killGroup } from "./processes.ts";

/** Joins the group that counts its processes before it becomes what it starts; output and complaints are one stream. */
const LAUNCHER = `if [ -n "$1" ]; then echo 0 > "$1/cgroup.procs" || exit 126; fi; shift; exec "$@" 2>&1`;
/** How long output may still be on its way when every process has ended. */
const LAST_OUTPUT_MS = 5_000;

export interface StepTerms {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** On this machine, where the command starts. */
  readonly cwd: string;
  readonly cgroup: string | null;
  /** 0: it has no time left. */
  readonly timeoutMs: number;
  readonly log: BuildLog;
  /** Looks at the output, too. */
  readonly failureOutput: FailureOutput | null;
  /** Told as soon as there is a process. */
  readonly started: (pid: number) => void;
  /** Ends what the process has started and left behind. */
  readonly cleanUp: () => Promise<void>;
}

/** One command of a build, from its start until no process of it is left. */
export class RunningStep {
  readonly ended: Promise<StepEnd>;
  #child: ChildProcess | undefined;
  #stopped: StepEnd | undefined;

  constructor(terms: StepTerms) {
    this.ended = this.#run(terms);
  }

  /** Ends it for a reason; the first one counts. */
  stop(reason: StepEnd): void {
    this.#stopped ??= reason;
    const pid = this.#child?.pid;
    if (pid !== undefined) killGroup(pid);
  }

  async #run(terms: StepTerms): Promise<StepEnd> {
    if (terms.timeoutMs <= 0) return { kind: "timeout" };
    const [shell, ...words] = ["/bin/sh", "-c", LAUNCHER, "sh", terms.cgroup ?? "", ...terms.command];
    const child = started(
      spawn(shell!, words, {
        cwd: terms.cwd,
        env: terms.env,
        detached: true,
        stdio: ["ignore", "pipe", "ignore"],
      }),
    );
    this.#child = child;
    if (child.pid !== undefined) terms.started(child.pid);
    const timer = setTimeout(() => this.stop({ kind: "timeout" }), terms.timeoutMs);
    const output = child.stdout!;
    output.on("data", (bytes: Buffer) => {
      this.#output(bytes, terms.log, output);
      terms.failureOutput?.write(bytes);
    });
    output.on("error", () => {});
    const closed = new Promise<void>((resolve) => output.once("close", resolve));
    const end = await new Promise<StepEnd>((resolve) => {
      child.once("error", (error) => resolve({ kind: "unusable", detail: error.message }));
      child.once("exit", (code, signal) =>
        resolve(code === null ? { kind: "signalled", signal: signal ?? "?" } : exitOf(code)),
      );
    });
    clearTimeout(timer);
    await terms.cleanUp();
    // A stream that somebody still holds open is not waited for.
    const giveUp = setTimeout(() => output.destroy(), LAST_OUTPUT_MS);
    await closed;
    clearTimeout(giveUp);
    terms.failureOutput?.end();
    return this.#stopped ?? end;
  }

  #output(bytes: Buffer, log: BuildLog, output: NodeJS.ReadableStream): void {
    if (this.#stopped?.kind === "output limit" || this.#stopped?.kind === "disk full") return;
    try {
      const { accepted, taken } = log.output(bytes);
      if (!accepted) this.stop({ kind: "output limit" });
      else if (taken instanceof Promise) {
        output.pause();
        const resume = () => void output.resume();
        taken.then(resume, resume);
      }
    } catch {
      // The log is on a disk that is full.
      this.stop({ kind: "disk full" });
    }
  }
}

/** What a shell and bubblewrap make of a signal. */
function exitOf(code: number): StepEnd {
  const signal = SIGNALS[code - 128];
  return signal === undefined ? { kind: "exited", code } : { kind: "signalled", signal };
}

const SIGNALS: Readonly<Record<number, string>> = {
  4: "SIGILL",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  11: "SIGSEGV",
  15: "SIGTERM",
  25: "SIGXFSZ",
};

/** In words, for the log. */
export function describeEnd(end: StepEnd): string {
  switch (end.kind) {
    case "exited":
      return `exited with ${end.code}`;
    case "signalled":
      return `was ended by ${end.signal}`;
    case "timeout":
      return "took longer than it may, and was ended";
    case "cancelled":
      return "was cancelled";
    case "output limit":
      return "wrote more output than it may, and was ended";
    case "disk full":
      return "filled the disk, and was ended";
    case "unreachable":
      return `could not reach ${end.host}`;
    case "unusable":
      return end.detail;
  }
}
