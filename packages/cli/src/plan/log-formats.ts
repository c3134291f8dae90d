import type { Request } from "./core/order.ts";

/** Whether a log's time says when a request began or when it ended. */
export type Stamp = "begin" | "end";
export type DurationUnit = keyof typeof UNIT_US;
/** What makes two requests of an access log the same. */
export type UniquePart = "request" | "path";

export const UNIT_US = { s: 1_000_000, ms: 1000, us: 1 } as const;
export const UNIQUE_PARTS: readonly UniquePart[] = ["request", "path"];

/** The formats that `--log-format` names. */
export const LOG_FORMATS = {
  csv: { access: false, stamp: "begin", unit: "s" },
  apache: { access: true, stamp: "begin", unit: "us" },
  "apache-ms": { access: true, stamp: "begin", unit: "ms" },
  "apache-s": { access: true, stamp: "begin", unit: "s" },
  nginx: { access: true, stamp: "end", unit: "s" },
} as const satisfies Readonly<Record<string, { access: boolean; stamp: Stamp; unit: DurationUnit }>>;

export type LogFormat = keyof typeof LOG_FORMATS;

export interface LineReading {
  /** Default: that of the first line that has one. */
  readonly format: LogFormat | undefined;
  readonly stamp: Stamp | undefined;
  readonly unit: DurationUnit | undefined;
  readonly part: UniquePart;
  /** What it matches, or its first group, is the unique; what it does not match is left out. */
  readonly pattern: RegExp | undefined;
}

/** A line that is no request of the format. The message says why. */
export interface BadLine {
  readonly bad: string;
}

export type Line = Request | BadLine | "skipped";

const ACCESS =
  /^[^[]*\[(\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "((?:[^"\\]|\\.)*)" .*?(\S+)\s*$/;
const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?) ?(Z|[+-]\d\d:?\d\d)?)?$/;
/** A number of seconds from here on would be beyond the year 5000, so it is one of milliseconds. */
const MILLISECONDS_FROM = 1e11;
const MICROSECONDS_FROM = 1e14;
/** Durations beyond are mistakes of the unit. */
const MAX_DURATION_US = 366 * 86_400 * 1e6;

/** Reads the lines of one log. */
export class LineReader {
  readonly #reading: LineReading;
  #format: LogFormat | undefined;
  #header = true;
  #clock = "";
  #clockUs: number | undefined;

  constructor(reading: LineReading) {
    this.#reading = reading;
    this.#format = reading.format;
  }

  /** Undefined until a line has shown it. */
  get format(): LogFormat | undefined {
    return this.#format;
  }

  read(line: string): Line {
    const access = this.#format === undefined || LOG_FORMATS[this.#format].access ? ACCESS.exec(line) : null;
    if (this.#format === undefined) {
      // Apache's %D is a whole number, nginx's $request_time has a point.
      if (access !== null) this.#format = bare(access[3]!).includes(".") ? "nginx" : "apache";
      else if (line.startsWith('"') || line.split(",").length >= 3) this.#format = "csv";
      else return { bad: "neither a line of an access log nor unique,timestamp,duration" };
    }
    if (!LOG_FORMATS[this.#format].access) return this.#csv(line);
    if (access === null) return { bad: 'not of the form … [time] "request" … duration' };
    return this.#access(access[1]!, access[2]!, bare(access[3]!));
  }

  #access(clock: string, request: string, duration: string): Line {
    const words = / /.test(request) ? request.replace(/ HTTP\/[\d.]+$/, "") : undefined;
    if (words === undefined) return { bad: `no request: "${request}"` };
    if (clock !== this.#clock) {
      this.#clock = clock;
      this.#clockUs = clockUs(clock);
    }
    if (this.#clockUs === undefined) return { bad: `no time: ${clock}` };
    const query = this.#reading.part === "path" ? words.indexOf("?") : -1;
    return this.#request(query < 0 ? words : words.slice(0, query), this.#clockUs, duration);
  }

  #csv(line: string): Line {
    const last = line.lastIndexOf(",");
    const middle = line.lastIndexOf(",", last - 1);
    const isHeader = this.#header && /^[\s"]*[a-z][^,]*,[^,\d]+,[^,\d]+$/i.test(line);
    this.#header = false;
    if (isHeader) return "skipped";
    if (last < 0 || middle < 0) return { bad: "not of the form unique,timestamp,duration" };
    const time = bare(line.slice(middle + 1, last).trim());
    const atUs = timestampUs(time);
    if (atUs === undefined) return { bad: `no time: ${time}` };
    const first = line.slice(0, middle);
    const quoted = /^\s*"(.*)"\s*$/.exec(first);
    const unique = quoted === null ? first : quoted[1]!.replaceAll('""', '"');
    return this.#request(unique, atUs, bare(line.slice(last + 1).trim()));
  }

  #request(whole: string, stampUs: number, duration: string): Line {
    const { pattern } = this.#reading;
    let unique = whole;
    if (pattern !== undefined) {
      const match = pattern.exec(whole);
      if (match === null) return "skipped";
      unique = match[1] ?? match[0];
    }
    if (!/^\d+(?:\.\d+)?(?:e-\d+)?$/i.test(duration)) return { bad: `no duration: ${duration}` };
    const format = LOG_FORMATS[this.#format!];
    const durationUs = Math.round(Number(duration) * UNIT_US[this.#reading.unit ?? format.unit]);
    if (durationUs > MAX_DURATION_US)
      return { bad: `longer than a year, perhaps of another unit: ${duration}` };
    const ended = (this.#reading.stamp ?? format.stamp) === "end";
    return { unique, atUs: ended ? stampUs - durationUs : stampUs, durationUs };
  }
}

/** `rt="0.005"` as `0.005`. */
function bare(field: string): string {
  // Most are plain.
  if (/^\d/.test(field)) return field;
  return field.replace(/^[a-z_]+[=:]/i, "").replace(/^"(.*)"$/, "$1");
}

/** Microseconds since 1970 of `10/Oct/2000:13:55:36 -0700`. */
function clockUs(text: string): number | undefined {
  const month = MONTHS.indexOf(text.slice(3, 6));
  if (month < 0 || month % 3 !== 0) return undefined;
  const [hours, minutes, seconds] = text.slice(12, 20).split(":").map(Number);
  const ms = Date.UTC(
    Number(text.slice(7, 11)),
    month / 3,
    Number(text.slice(0, 2)),
    hours,
    minutes,
    seconds,
  );
  const zoneMinutes = Number(text.slice(22, 24)) * 60 + Number(text.slice(24, 26));
  return (ms - (text[21] === "-" ? -1 : 1) * zoneMinutes * 60_000) * 1000;
}

/** Microseconds since 1970 of seconds, milliseconds or ISO 8601, which is UTC where it names no zone. */
function timestampUs(text: string): number | undefined {
  if (/^\d+(?:\.\d+)?$/.test(text)) {
    const value = Number(text);
    if (value >= MICROSECONDS_FROM) return undefined;
    return Math.round(value * (value >= MILLISECONDS_FROM ? 1000 : 1e6));
  }
  const iso = ISO.exec(text);
  if (iso === null) return undefined;
  const [, day, clock = "00:00", zone = "Z"] = iso;
  const ms = Date.parse(`${day}T${clock.replace(",", ".")}${zone}`);
  return Number.isNaN(ms) ? undefined : ms * 1000;
}
