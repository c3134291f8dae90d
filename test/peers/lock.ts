import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Runs `work` while no other process runs under the same lock file. The lock is a child's, whose input we hold,
 * so that it ends with this process however that ends.
 */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const holder = spawn("flock", ["--exclusive", file, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(holder, "exit");
  const held = once(holder.stdout, "data");
  await Promise.race([
    held,
    ended.then(([code]) => Promise.reject(new Error(`flock ${file} ended with code ${code}`))),
  ]);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
