import { spawn } from "node:child_process";
import type { CommandConnection } from "../config/index.ts";
import { killGroup } from "../executor/processes.ts";
import type { ReportBody } from "./body.ts";
import { DeliveryFailed, type DeliveryPlace } from "./delivery-failed.ts";

/** Characters of what it wrote last that are logged when it fails. */
const LOGGED_OUTPUT = 1_000;
/** How long the rest of its output is waited for when it has failed. */
const OUTPUT_MS = 1_000;

/**
 * Runs a program without a shell, as the gate's user and in its folder, with the report on its standard input. It takes the report by
 * ending with 0 within its time and output.
 * @throws DeliveryFailed
 */
export function deliverToCommand(
  { argv, timeoutMs, maxOutputBytes }: CommandConnection,
  id: string,
  body: ReportBody,
  { folder, signal }: DeliveryPlace,
): Promise<{ exitCode: number }> {
  const [program, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, {
      cwd: folder,
      env: {
        ...{ PATH: process.env.PATH ?? "/usr/bin:/bin", HOME: process.env.HOME ?? folder },
        ...{ LANG: process.env.LANG ?? "C.UTF-8" },
        ...{ DROVER_REPORT_ID: id, DROVER_REPORT: body.report, DROVER_PIPELINE: body.pipeline },
      },
      stdio: ["pipe", "pipe", "pipe"],
      // Of a group of its own, so that what it has started ends with it.
      detached: true,
    });
    let ended: string | undefined;
    let written = 0;
    let last = "";
    const end = (why: string): void => {
      ended ??= why;
      if (child.pid !== undefined) killGroup(child.pid);
    };
    // What has left its group is not ended, and may hold its output for ever.
    const letGo = (): void => {
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(() => end(`it had not ended after ${timeoutMs / 1_000} s`), timeoutMs);
    const onGateEnds = (): void => end("the gate ends");
    signal.addEventListener("abort", onGateEnds, { once: true });
    if (signal.aborted) onGateEnds();
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        written += chunk.length;
        last = (last + chunk.toString()).slice(-LOGGED_OUTPUT);
        if (written > maxOutputBytes) end(`it wrote more than ${maxOutputBytes} bytes`);
      });
    }
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onGateEnds);
      act();
    };
    child.on("error", (error: NodeJS.ErrnoException) =>
      settle(() => reject(new DeliveryFailed(`${program} could not be started: ${error.code}`))),
    );
    // What it has left behind goes with it.
    child.on("exit", (exitCode) => {
      if (child.pid !== undefined) killGroup(child.pid);
      setTimeout(letGo, exitCode === 0 ? 0 : OUTPUT_MS).unref();
    });
    child.on("close", (exitCode, signalName) =>
      settle(() => {
        if (ended === undefined && exitCode === 0) resolve({ exitCode });
        else {
          const how =
            ended ?? (exitCode === null ? `it was ended by ${signalName}` : `exit code ${exitCode}`);
          reject(
            new DeliveryFailed(`${program} failed: ${how}`, { exitCode, signal: signalName, output: last }),
          );
        }
      }),
    );
    // It need not read it.
    child.stdin.on("error", () => {});
    child.stdin.end(`${JSON.stringify(body)}\n`);
  });
}
