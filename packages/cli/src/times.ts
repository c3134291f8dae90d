import { UsageError } from "./errors.ts";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `1500`, `1500ms`, `1.5s`, `2m`, `1h` or `1d`; a bare number is milliseconds, as in Gearman's tools. */
export function durationMs(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text);
  if (match === null) {
    throw new UsageError(
      "OPTION_INVALID",
      `${option} ${JSON.stringify(text)} is no duration: write 1500 (milliseconds), 1.5s, 2m, 1h or 1d`,
    );
  }
  return Math.round(Number(match[1]) * UNIT_MS[match[2] ?? "ms"]!);
}

/** Milliseconds since 1970 of `2026-12-24T18:00:00Z`, `+10m` or Unix seconds. */
export function instantMs(text: string, option: string, nowMs: number): number {
  if (text.startsWith("+")) return nowMs + durationMs(text.slice(1), option);
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1000;
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new UsageError(
    "OPTION_INVALID",
    `${option} ${JSON.stringify(text)} is no time: write 2026-12-24T18:00:00Z, +10m or Unix seconds`,
  );
}

/** A whole number of at least 1. */
export function countOf(text: string, option: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) return Number(text);
  throw new UsageError(
    "OPTION_INVALID",
    `${option} ${JSON.stringify(text)} is no whole number of at least 1`,
  );
}
