import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "../../test/peers/packages.ts";
import { until } from "../../test/peers/until.ts";
import type { RunningServer } from "./contenders.ts";
import { endWithBench } from "./measure.ts";

/** Starts Redis on a free port of loopback, with everything in memory: nothing is written to disk. */
export async function startRedis(): Promise<RunningServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "drover-bench-redis-"));
  const options = ["--bind", "127.0.0.1", "--port", String(port), "--save", "", "--appendonly", "no"];
  const child = spawn(findProgram("redis-server")!, options, {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  endWithBench(child);
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  const ended = once(child, "exit");
  const stop = async () => {
    child.kill();
    await ended;
    rmSync(folder, { recursive: true });
  };
  await until("redis-server accepts connections", 30_000, () => {
    if (child.exitCode !== null) throw new Error(`redis-server ended: ${output}`);
    return output.includes("Ready to accept connections");
  });
  return { pid: child.pid!, port, stop };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}
