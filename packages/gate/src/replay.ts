import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { ReplayedSpan } from "./api/types.ts";
import { DATABASE_FILE, GATE_FILE, GateError } from "./gate.ts";
import { replay } from "./scheduler/history.ts";

/**
 * Replays the log of a gate's folder, which may be one that runs or a copy, and compares with the states that were written down.
 * @throws GateError `GATE_FOLDER_INVALID`; HistoryError
 */
export function replayGate(folder: string): ReplayedSpan[] {
  if (!existsSync(join(folder, GATE_FILE)))
    throw new GateError("GATE_FOLDER_INVALID", `${folder} holds no ${GATE_FILE}`);
  const db = new DatabaseSync(join(folder, DATABASE_FILE), { readOnly: true, timeout: 10_000 });
  try {
    // All of it is read as it is at one moment.
    db.exec("BEGIN");
    return replay(db);
  } finally {
    db.close();
  }
}
