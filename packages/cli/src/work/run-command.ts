import { spawn } from "node:child_process";
import { JobFailure, type WorkerJob } from "@drover/worker";
import { allOf, linesOf } from "../lines.ts";

/** What running a command needs of a job. */
export type CommandJob = Pick<
  WorkerJob,
  "function" | "handle" | "unique" | "attempt" | "workload" | "signal" | "data"
>;

/** Process groups of commands that run. */
const running = new Set<number>();

/** Ends all commands: the worker ends without waiting for them. */
export function killCommands(): void {
  for (const pid of running) killGroup(pid);
}

/**
 * Runs a command for a job: workload in, result out. With `lines`, each line is sent as partial data, and the result
 * is empty.
 * @throws JobFailure when the command fails; what it printed was sent as data then.
 */
export async function runCommand(
  job: CommandJob,
  command: string,
  args: readonly string[],
  lines: "whole" | "stripped" | undefined,
): Promise<Uint8Array> {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "inherit"],
    env: {
      ...process.env,
      DROVER_FUNCTION: job.function,
      DROVER_HANDLE: job.handle,
      DROVER_UNIQUE: job.unique,
      DROVER_ATTEMPT: String(job.attempt),
    },
    // A signal for the worker, from a terminal, is not for its commands: those are to finish.
    detached: true,
  });
  const end = new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) =>
      resolve(code === 0 ? undefined : signal === null ? `exit code ${code}` : `signal ${signal}`),
    );
  });
  const kill = () => killGroup(child.pid);
  const { pid } = child;
  if (pid !== undefined) running.add(pid);
  job.signal.addEventListener("abort", kill, { once: true });
  if (job.signal.aborted) kill();
  // Not every command reads all of its input.
  child.stdin.on("error", () => {});
  child.stdin.end(job.workload);
  try {
    let output: Uint8Array = new Uint8Array(0);
    if (lines === undefined) output = await allOf(child.stdout);
    else for await (const line of linesOf(child.stdout, lines === "whole")) await job.data(line);
    const problem = await end;
    if (problem === undefined) return output;
    if (output.length > 0) await job.data(output);
    throw new JobFailure(problem);
  } finally {
    if (pid !== undefined) running.delete(pid);
    job.signal.removeEventListener("abort", kill);
  }
}

/** Ends a command with everything that it started. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGTERM");
  } catch {
    // It has ended.
  }
}
