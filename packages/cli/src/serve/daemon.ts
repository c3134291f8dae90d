import { spawn } from "node:child_process";
import { once } from "node:events";
import { type ConfigInputs, resolveConfig } from "../config/resolve.ts";
import { CommandFailed } from "../errors.ts";
import { checkServe } from "./run.ts";

const READY = "drover ready";
/** Set for the second process, which has the same arguments. */
const MARK = "DROVER_DETACHED";

/** Whether this process is the second one, in the background; that one never starts a third. */
export function isDetached(): boolean {
  return process.env[MARK] !== undefined;
}

/**
 * Starts the server anew without a terminal, and returns when it listens.
 * @throws CommandFailed with what the server said when it does not.
 */
export async function detach(inputs: ConfigInputs): Promise<void> {
  // What can be told without a second process is told by this one.
  const config = resolveConfig(inputs);
  await checkServe(config);
  const log = config.server.logFile ?? "stderr";
  const lost = log === "stderr" && config.server.syslog !== true;
  if (lost) {
    process.stderr.write("drover: --daemon without --log-file or --syslog: the log goes nowhere\n");
  }
  const args = [...process.execArgv, ...process.argv.slice(1), ...(lost ? ["--log-file=none"] : [])];
  const child = spawn(process.execPath, args, {
    detached: true,
    env: { ...process.env, [MARK]: "1" },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let said = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ready = new Promise<boolean>((resolve) => {
    child.once("message", (message) => resolve(message === READY));
    child.once("exit", () => resolve(false));
    child.once("error", (error) => {
      said += error.message;
      resolve(false);
    });
  });
  if (!(await ready)) {
    if (!child.stderr!.readableEnded) await once(child.stderr!, "end");
    throw new CommandFailed(
      "START_FAILED",
      said.trim().replace(/^drover: /, "") || "the server did not start",
    );
  }
  child.disconnect();
  child.stderr!.destroy();
  child.unref();
}

/** Tells the process that started this one in the background, if there is one, that the server listens. */
export function tellParent(): void {
  if (process.send === undefined || !process.connected) return;
  process.send(READY);
  process.disconnect();
}
