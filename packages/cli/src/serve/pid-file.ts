import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { UsageError } from "../errors.ts";

/**
 * Writes this process's id. A file left by a process that no longer runs is replaced.
 * @returns Removes the file, if it is still ours.
 * @throws UsageError when a live process holds it, or it cannot be written.
 */
export function writePidFile(path: string): () => void {
  const text = `${process.pid}\n`;
  try {
    try {
      writeFileSync(path, text, { flag: "wx", mode: 0o644 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const holder = pidIn(path);
      if (holder !== undefined && holder !== process.pid && isAlive(holder)) {
        throw new UsageError(
          "PID_FILE_HELD",
          `${path} belongs to process ${holder}, which runs: stop it, or remove the file if it is something else`,
        );
      }
      writeFileSync(path, text);
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError("FILE_NOT_WRITABLE", `cannot write the pid file ${path} (${code ?? message})`);
  }
  return () => {
    try {
      if (pidIn(path) === process.pid) unlinkSync(path);
    } catch {
      // Its folder may belong to the user that we were before.
    }
  };
}

function pidIn(path: string): number | undefined {
  const text = readFileSync(path, "utf8").trim();
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process lives as well.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
