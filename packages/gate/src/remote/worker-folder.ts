import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { HeldFile } from "../store/held-file.ts";
import { GATE_FILE } from "../tenant-file.ts";
import { RemoteError } from "./gate-link.ts";

const LOCK_FILE = "worker.lock";

/**
 * Makes the folder of an executor or a merger elsewhere its own. Two of them would fetch and tidy the same copies of repositories, and
 * in a gate's folder those would be the repositories that it serves.
 * @throws RemoteError `WORKER_FOLDER_IN_USE`
 */
export function takeFolder(folder: string): HeldFile {
  const remedy = "give each executor and merger a folder of its own";
  if (existsSync(join(folder, GATE_FILE)))
    throw new RemoteError("WORKER_FOLDER_IN_USE", `${folder} is a gate's; ${remedy}`);
  let held: HeldFile | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    held = HeldFile.take(join(folder, LOCK_FILE));
  } catch (error) {
    throw new RemoteError("WORKER_FOLDER_IN_USE", `${folder} cannot be used: ${(error as Error).message}`);
  }
  if (held === undefined)
    throw new RemoteError("WORKER_FOLDER_IN_USE", `another process works in ${folder}; ${remedy}`);
  return held;
}
