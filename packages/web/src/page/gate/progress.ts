import type { ItemView, JobView } from "@drover/gate/api";
import { duration } from "../format.ts";

/* How far jobs and items are, as far as past runs tell. */

export type Look = "good" | "bad" | "warn" | "quiet" | "busy" | "";

const BAD: ReadonlySet<string> = new Set([
  "FAILURE",
  "TIMED_OUT",
  "POST_FAILURE",
  "RETRY_LIMIT",
  "NODE_FAILURE",
  "DISK_FULL",
  "ERROR",
]);

export function lookOfResult(result: string | null, voting = true): Look {
  if (result === null) return "busy";
  if (result === "SUCCESS") return "good";
  if (!BAD.has(result)) return "quiet";
  return voting ? "bad" : "warn";
}

export function lookOfJob({ state, result, voting }: JobView): Look {
  if (state === "ended") return lookOfResult(result, voting);
  return state === "running" ? "busy" : "";
}

/** In a word: its result, or what it is at. */
export const wordOf = ({ state, result }: JobView): string => result ?? state;

/** From 0 to 1, and less than 1 until the end; `null`: it runs, and nothing tells how long it may take. */
export function shareOf({ state, startedMs, estimatedMs }: JobView, nowMs: number): number | null {
  if (state === "ended") return 1;
  if (state !== "running" || startedMs === null) return 0;
  if (estimatedMs === null || estimatedMs <= 0) return null;
  return Math.min(0.98, Math.max(0, nowMs - startedMs) / estimatedMs);
}

/** How long it took, or may still take. */
export function timeOf({ state, startedMs, endedMs, estimatedMs }: JobView, nowMs: number): string {
  if (startedMs === null)
    return state === "ended" || estimatedMs === null ? "" : `about ${duration(estimatedMs)}`;
  if (state === "ended") return endedMs === null ? "" : duration(endedMs - startedMs);
  const elapsedMs = Math.max(0, nowMs - startedMs);
  if (estimatedMs === null) return `for ${duration(elapsedMs)}`;
  const leftMs = estimatedMs - elapsedMs;
  return leftMs >= 0 ? `${duration(leftMs)} left` : `${duration(leftMs)} longer than usual`;
}

/** Until the last of its jobs ends. @param atMs When that was told. */
export function remainingOf({ remainingMs }: ItemView, atMs: number, nowMs: number): number | null {
  return remainingMs === null ? null : Math.max(0, remainingMs - Math.max(0, nowMs - atMs));
}

/** `3 of 10 jobs ended, 1 failed`. */
export function summaryOf({ jobs }: ItemView): string {
  if (jobs.length === 0) return "no jobs yet";
  const ended = jobs.filter(({ state }) => state === "ended").length;
  const failed = jobs.filter((job) => lookOfJob(job) === "bad").length;
  return `${ended} of ${jobs.length} jobs ended${failed === 0 ? "" : `, ${failed} failed`}`;
}
