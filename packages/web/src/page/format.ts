/* Numbers and times as people read them. */

const WHOLE = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const TENTHS = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export function count(value: number): string {
  return value < 100_000 ? WHOLE.format(value) : COMPACT.format(value);
}

/** A number a second. */
export function rate(value: number): string {
  if (value === 0) return "0";
  return value < 100 ? TENTHS.format(value) : COMPACT.format(value);
}

/** Submissions for each run. */
export function joinRatio(submissions: number, runs: number): string {
  return runs === 0 ? "–" : TENTHS.format(submissions / runs);
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const units = ["KiB", "MiB", "GiB"];
  let size = value / 1024;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${TENTHS.format(size)} ${units[unit]}`;
}

const STEPS: readonly (readonly [seconds: number, unit: string])[] = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** `5 s`, `3 min`, `2 h 10 min`: two units at most. */
export function duration(ms: number): string {
  let rest = Math.round(Math.abs(ms) / 1000);
  const parts: string[] = [];
  for (const [seconds, unit] of STEPS) {
    const whole = Math.floor(rest / seconds);
    if (whole === 0 && parts.length === 0) continue;
    rest -= whole * seconds;
    if (whole > 0) parts.push(`${whole} ${unit}`);
    if (parts.length === 2 || whole === 0) break;
  }
  return parts.length === 0 ? "0 s" : parts.join(" ");
}
