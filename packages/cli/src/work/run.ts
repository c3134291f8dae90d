import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { printable } from "@drover/protocol";
import { Worker } from "@drover/worker";
import { EXIT, UsageError } from "../errors.ts";
import { writePidFile } from "../serve/pid-file.ts";
import { serverAddresses, tokenOf } from "../server-address.ts";
import { durationText } from "../terminal/table.ts";
import { countOf, durationMs } from "../times.ts";
import { functionsOf, type ToolFlags } from "../tool-flags.ts";
import { type CommandJob, killCommands, runCommand } from "./run-command.ts";

export interface WorkFlags extends ToolFlags {
  readonly count?: string;
  readonly concurrency?: string;
  readonly jobTimeout?: string;
  readonly clientId?: string;
}

/** Does jobs with a command until a signal or the count ends it. */
export async function work(words: readonly string[], flags: WorkFlags): Promise<void> {
  const functions = functionsOf(flags);
  const [command, ...args] = words;
  if (command !== undefined) mustBeThere(command);
  const servers = serverAddresses(flags);
  const removePidFile = flags.pidFile === undefined ? undefined : writePidFile(flags.pidFile);
  const jobsLeft = {
    count: flags.count === undefined ? Number.POSITIVE_INFINITY : countOf(flags.count, "--count"),
  };
  const say = (text: string) => process.stderr.write(`drover: ${text}\n`);
  const unreachable = new Set<string>();
  const worker = new Worker({
    servers,
    token: tokenOf(flags),
    concurrency: flags.concurrency === undefined ? 1 : countOf(flags.concurrency, "--concurrency"),
    drainOnSignals: true,
    ...(flags.clientId === undefined ? {} : { clientId: flags.clientId }),
    ...(flags.timeout === undefined ? {} : { connectTimeoutMs: durationMs(flags.timeout, "--timeout") }),
    onNotice: (notice) => {
      const { server } = notice;
      if (notice.type === "unreachable" && !unreachable.has(server)) {
        // Once for each outage; the worker goes on trying.
        unreachable.add(server);
        say(`${notice.error.message}; trying again`);
      } else if (notice.type === "connected") {
        if (unreachable.delete(server) || flags.verbose === true) say(`connected to ${server}`);
      } else if (notice.type === "server error") {
        say(`${server}: ${printable(notice.code, 100)} ${printable(notice.text, 200)}`);
      }
    },
  });
  const timeoutMs = flags.jobTimeout === undefined ? 0 : durationMs(flags.jobTimeout, "--job-timeout");
  for (const name of new Set(functions)) {
    worker.handle(
      name,
      async (job) => {
        jobsLeft.count--;
        // Before the job runs: a worker asks for its next job as soon as it may.
        if (jobsLeft.count === 0) void worker.drain();
        return doJob(job, command, args, flags, say);
      },
      { timeoutMs },
    );
  }
  endOnSecondSignal(say);
  await worker.run();
  if (flags.verbose === true)
    say(`waiting for jobs of ${functions.map((name) => printable(name)).join(", ")}`);
  await worker.stopped;
  removePidFile?.();
}

async function doJob(
  job: CommandJob & { readonly handle: string },
  command: string | undefined,
  args: readonly string[],
  flags: WorkFlags,
  say: (text: string) => void,
): Promise<Uint8Array> {
  const startMs = performance.now();
  const name = `${printable(job.function, 80)} ${printable(job.handle)}`;
  const tell = (how: string) => {
    if (flags.verbose === true) say(`${name} ${how} after ${durationText(performance.now() - startMs)}`);
  };
  if (command === undefined) {
    process.stdout.write(job.workload);
    tell("printed");
    return new Uint8Array(0);
  }
  const lines = flags.strippedLines === true ? "stripped" : flags.lines === true ? "whole" : undefined;
  try {
    const result = await runCommand(job, command, args, lines);
    tell("done");
    return result;
  } catch (error) {
    tell(`failed (${(error as Error).message})`);
    throw error;
  }
}

/** The first signal drains, which the worker does by itself; at the second one its commands end too. */
function endOnSecondSignal(say: (text: string) => void): void {
  let signals = 0;
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      signals++;
      if (signals === 1) return say("taking no more jobs, finishing those that run; once more ends at once");
      killCommands();
      process.exit(EXIT.failed);
    });
  }
}

/** A worker whose command is not there would fail every job of the function. */
function mustBeThere(command: string): void {
  const places = command.includes("/")
    ? [command]
    : (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, command));
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK);
      return;
    } catch {
      // The next place.
    }
  }
  throw new UsageError("OPTION_INVALID", `${JSON.stringify(command)} is no command that can be run here`);
}
