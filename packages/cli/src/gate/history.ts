import { resolve } from "node:path";
import type { ReplayedSpan } from "@drover/gate/api";
import { printable } from "@drover/protocol";
import { UsageError } from "../errors.ts";
import { durationMs } from "../times.ts";
import { GateApi } from "./api.ts";
import { type GateFlags, gatePlace } from "./place.ts";

/* What the gate's log of events tells of the past. */

const NO_ZONE = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?$/;

/**
 * Milliseconds since 1970 of `2026-12-24T18:00:00Z`, of the same without a zone, which is UTC as all times that are printed, or of
 * `20m`, so long ago.
 * @throws UsageError
 */
export function pastTime(text: string, option: string, nowMs = Date.now()): number {
  if (/^\d+(?:\.\d+)?(?:ms|s|m|h|d)$/.test(text)) return nowMs - durationMs(text, option);
  const [, day, time] = NO_ZONE.exec(text) ?? [];
  const isDay = /^\d{4}-\d\d-\d\d/.test(text);
  const at =
    day === undefined ? (isDay ? Date.parse(text) : Number.NaN) : Date.parse(`${day}T${time ?? "00:00"}Z`);
  if (at > nowMs)
    throw new UsageError("OPTION_INVALID", `${option} ${JSON.stringify(text)} is still to come (in UTC)`);
  if (at >= 0) return at;
  throw new UsageError(
    "OPTION_INVALID",
    `${option} ${JSON.stringify(text)} is no time: write 2026-12-24T18:00:00Z, or 20m for 20 minutes ago`,
  );
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}

/** `drover gate replay` */
export async function replay(dir: string | undefined, flags: GateFlags): Promise<void> {
  let spans: readonly ReplayedSpan[];
  if (dir === undefined) spans = await new GateApi(gatePlace(flags)).get<ReplayedSpan[]>("/replay");
  else {
    const { replayGate } = await import("@drover/gate");
    spans = await replayGate(resolve(dir));
  }
  const lines = replayLines(spans);
  process.stdout.write(flags.json === true ? `${JSON.stringify(spans)}\n` : `${lines.join("\n")}\n`);
  if (spans.some(({ difference }) => difference !== null)) process.exitCode = 1;
}

const COMPARED = {
  snapshot: "as it was written down",
  "running gate": "as the gate that runs has it",
} as const;

function replayLines(spans: readonly ReplayedSpan[]): string[] {
  if (spans.length === 0) return ["Nothing has happened yet."];
  return spans.flatMap(({ fromSeq, toSeq, fromMs, toMs, comparedWith, difference }) => {
    if (fromSeq === toSeq && comparedWith === null) return ["Nothing has happened yet."];
    const batches = toSeq - fromSeq === 1 ? "1 batch" : `${toSeq - fromSeq} batches`;
    const span = `${timeText(fromMs)} to ${timeText(toMs)}, ${batches} of events: `;
    if (comparedWith === null) return [`${span}replayed, and there is nothing to compare it with`];
    if (difference === null) return [`${span}the state is ${COMPARED[comparedWith]}`];
    const { path, recorded, replayed } = difference;
    return [
      `${span}the state is not ${COMPARED[comparedWith]}, first of all at ${printable(path, 500)}`,
      `  recorded: ${printable(recorded ?? "nothing", 500)}`,
      `  replayed: ${printable(replayed ?? "nothing", 500)}`,
    ];
  });
}
