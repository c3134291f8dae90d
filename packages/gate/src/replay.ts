import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ReplayedSpan } from "./api/types.ts";
import { DATABASE_FILE, GATE_FILE, GateError } from "./gate.ts";
import { HistoryReader } from "./scheduler/history-reader.ts";

/**
 * Replays the log of a gate's folder, which may be one that runs or a copy, and compares with the states that were written down.
 * @throws GateError `GATE_FOLDER_INVALID`; HistoryError
 */
export async function replayGate(folder: string): Promise<ReplayedSpan[]> {
  if (!existsSync(join(folder, GATE_FILE)))
    throw new GateError("GATE_FOLDER_INVALID", `${folder} holds no ${GATE_FILE}`);
  return await new HistoryReader(join(folder, DATABASE_FILE)).replay();
}
