import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommandFailed, EXIT } from "../errors.ts";

export interface OwnServer {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  stop(): Promise<void>;
}

/** Starts a job server in a process of its own, on a free port of loopback, with the settings that it has by default. */
export async function startOwnServer(): Promise<OwnServer> {
  const folder = mkdtempSync(join(tmpdir(), "drover-demo-"));
  const readyFile = join(folder, "ready");
  const settings = ["--listen", "127.0.0.1:0", "--log-file", "none", "--config", "/dev/null"];
  const child = spawn(process.execPath, [process.argv[1]!, "serve", ...settings, "--ready-file", readyFile], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: withoutOurs(process.env),
  });
  let said = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  // A demo that is interrupted leaves no server behind.
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => process.exit(EXIT.failed));
  }
  const ended = once(child, "exit");
  await Promise.race([once(child, "message"), ended]);
  if (child.exitCode !== null) {
    rmSync(folder, { recursive: true, force: true });
    throw new CommandFailed("START_FAILED", `the demo's server did not start: ${said.trim()}`);
  }
  const { listeners } = JSON.parse(readFileSync(readyFile, "utf8")) as { listeners: { port: number }[] };
  return {
    address: `127.0.0.1:${listeners[0]!.port}`,
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
      process.removeListener("exit", kill);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function withoutOurs(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith("DROVER_") && name !== "GEARMAND_PORT"),
  );
}
