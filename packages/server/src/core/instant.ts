/** Bounds of `SUBMIT_JOB_SCHED`'s fields in order: minute, hour, day of month, month, day of week (0 = Monday). */
const BOUNDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 6],
] as const;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** 29 February on a given weekday comes at least once in 40 years, centuries without leap day included. */
const SEARCH_DAYS = 366 * 41;

/**
 * The next whole minute after `afterMs` that matches all five fields of `SUBMIT_JOB_SCHED`, in UTC.
 * @param fields Decimal numbers; `*` or empty means any.
 * @returns Milliseconds since 1970, or null when a field is out of range or no such time ever comes (31 June).
 */
export function nextInstant(fields: readonly string[], afterMs: number): number | null {
  const wanted: (number | undefined)[] = [];
  for (let i = 0; i < BOUNDS.length; i++) {
    const field = fields[i] ?? "";
    if (field === "" || field === "*") {
      wanted.push(undefined);
      continue;
    }
    const [low, high] = BOUNDS[i]!;
    const value = Number(field);
    if (!/^\d{1,2}$/.test(field) || value < low || value > high) return null;
    wanted.push(value);
  }
  const [minute, hour, day, month, weekday] = wanted;
  const first = (Math.floor(afterMs / MINUTE_MS) + 1) * MINUTE_MS;
  const firstDay = Math.floor(first / DAY_MS) * DAY_MS;
  for (let i = 0; i <= SEARCH_DAYS; i++) {
    const midnight = firstDay + i * DAY_MS;
    const date = new Date(midnight);
    if (month !== undefined && date.getUTCMonth() + 1 !== month) continue;
    if (day !== undefined && date.getUTCDate() !== day) continue;
    if (weekday !== undefined && (date.getUTCDay() + 6) % 7 !== weekday) continue;
    const found = timeOfDay(minute, hour, i === 0 ? first - midnight : 0);
    if (found !== null) return midnight + found;
  }
  return null;
}

/** Milliseconds into the day of the first match at or after `fromMs`, or null. */
function timeOfDay(minute: number | undefined, hour: number | undefined, fromMs: number): number | null {
  for (let h = hour ?? 0; h <= (hour ?? 23); h++) {
    for (let m = minute ?? 0; m <= (minute ?? 59); m++) {
      const at = (h * 60 + m) * MINUTE_MS;
      if (at >= fromMs) return at;
    }
  }
  return null;
}
