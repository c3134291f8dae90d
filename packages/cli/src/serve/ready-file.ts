import { renameSync, unlinkSync, writeFileSync } from "node:fs";
import type { PeerAddress } from "@drover/transport";
import { UsageError } from "../errors.ts";
import { VERSION } from "../version.ts";

/**
 * Tells others that the server listens, and where. The file appears whole or not at all.
 * @param http Where HTTP is, as `host:port`.
 * @returns Removes the file.
 * @throws UsageError when it cannot be written.
 */
export function writeReadyFile(
  path: string,
  listeners: readonly PeerAddress[],
  http: readonly string[],
): () => void {
  const text = `${JSON.stringify({ pid: process.pid, version: VERSION, listeners, http })}\n`;
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, text);
    renameSync(draft, path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError("FILE_NOT_WRITABLE", `cannot write the ready file ${path} (${code ?? message})`);
  }
  return () => {
    try {
      unlinkSync(path);
    } catch {
      // Somebody took it away, or its folder belongs to the user that we were before.
    }
  };
}
