import { writeFileSync } from "node:fs";
import { CommandFailed, UsageError } from "../errors.ts";
import { ProgressBar } from "../terminal/progress.ts";
import { grouped } from "../terminal/table.ts";
import { countOf, durationMs } from "../times.ts";
import { Load } from "./core/load.ts";
import { Order } from "./core/order.ts";
import { Waiting } from "./core/waiting.ts";
import { linesOfLog, sizeOf } from "./input.ts";
import { type DurationUnit, LineReader, type LineReading, type LogFormat } from "./log-formats.ts";
import { jsonOf, type Plan, textOf } from "./report.ts";
import { svgOf } from "./svg.ts";

export interface PlanFlags {
  readonly logFormat?: LogFormat;
  readonly unit?: DurationUnit;
  readonly stamp?: "begin" | "end";
  readonly unique: "request" | "path";
  readonly uniqueRegex?: string;
  readonly workers?: string;
  readonly top: string;
  readonly percentiles: string;
  readonly tolerance: string;
  readonly sort?: boolean;
  readonly maxBad: string;
  readonly plot?: boolean;
  readonly svg?: string;
  readonly json?: boolean;
}

const MAX_HELD = 20_000_000;
const MAX_HERDS = 1000;
const MAX_WORKERS = 1_000_000;
/** Bad lines that are shown. */
const SHOWN_BAD = 5;
/** Lines before which no share of bad ones ends the reading early. */
export const JUDGED_FROM = 10_000;
const MIB = 2 ** 20;

/**
 * Reads the logs and shows what they mean.
 * @param maxHeld Requests that are held to be put in order, at most.
 */
export async function plan(files: readonly string[], flags: PlanFlags, maxHeld = MAX_HELD): Promise<void> {
  const names = files.length === 0 ? ["-"] : files;
  if (names.includes("-") && process.stdin.isTTY) {
    throw new UsageError("OPTION_INVALID", "name a log, or send one to standard input");
  }
  const percentiles = flags.percentiles.split(",").map((text) => percentOf(text, "--percentiles"));
  const log = new Log(flags, maxHeld);
  await log.readAll(names);
  const made = log.end(percentiles);
  if (flags.svg !== undefined) write(flags.svg, svgOf(made.load));
  process.stdout.write(
    flags.json === true
      ? `${JSON.stringify(jsonOf(made), null, 2)}\n`
      : textOf(made, {
          plot: flags.plot ?? process.stdout.isTTY === true,
          width: process.stdout.columns ?? 80,
          colour: process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "",
        }),
  );
}

class Log {
  readonly #load: Load;
  readonly #waiting: { readonly alone: Waiting; readonly joined: Waiting } | undefined;
  readonly #order: Order;
  readonly #reader: LineReader;
  readonly #maxBadPercent: number;
  readonly #tolerance: string | undefined;
  readonly #maxHeld: number;
  #lines = 0;
  #bad = 0;
  #skipped = 0;

  constructor(flags: PlanFlags, maxHeld: number) {
    this.#maxHeld = maxHeld;
    const workers = flags.workers === undefined ? undefined : atMost(flags.workers, "--workers", MAX_WORKERS);
    this.#load = new Load(flags.top === "0" ? 0 : atMost(flags.top, "--top", MAX_HERDS));
    this.#waiting =
      workers === undefined
        ? undefined
        : { alone: new Waiting(workers, false), joined: new Waiting(workers, true) };
    this.#maxBadPercent = percentOf(flags.maxBad, "--max-bad");
    this.#tolerance = flags.sort === true ? undefined : flags.tolerance;
    const toleranceUs =
      flags.sort === true ? Number.POSITIVE_INFINITY : durationMs(flags.tolerance, "--tolerance") * 1000;
    this.#order = new Order(toleranceUs, (request) => {
      this.#load.add(request);
      this.#waiting?.alone.add(request);
      this.#waiting?.joined.add(request);
    });
    this.#reader = new LineReader(readingOf(flags));
  }

  async readAll(files: readonly string[]): Promise<void> {
    const allBytes = await sizeOf(files);
    const progress = new ProgressBar(process.stderr, "MiB read");
    let bytes = 0;
    try {
      for (const file of files) {
        let number = 0;
        for await (const lines of linesOfLog(file, (count) => (bytes += count))) {
          for (const line of lines) this.#line(line, file, ++number);
          if (allBytes !== undefined) progress.show(Math.floor(bytes / MIB), Math.ceil(allBytes / MIB));
        }
      }
    } finally {
      progress.end();
    }
  }

  /** @throws CommandFailed `INPUT_BAD`. */
  end(percentiles: readonly number[]): Plan {
    this.#order.end();
    this.#judge();
    if (this.#bad > SHOWN_BAD) {
      process.stderr.write(`drover: ${grouped(this.#bad)} bad lines in all\n`);
    }
    const load = this.#load.end();
    if (load === undefined) {
      throw new CommandFailed("INPUT_BAD", `no request in ${grouped(this.#lines)} lines`);
    }
    return {
      format: this.#reader.format!,
      lines: this.#lines,
      badLines: this.#bad,
      skippedLines: this.#skipped,
      percentiles,
      load,
      waiting: this.#waiting && {
        alone: this.#waiting.alone.report(),
        joined: this.#waiting.joined.report(),
      },
    };
  }

  #line(line: string | undefined, file: string, number: number): void {
    if (line === "") return;
    this.#lines++;
    const read = line === undefined ? { bad: "too long" } : this.#reader.read(line);
    if (read === "skipped") {
      this.#skipped++;
      return;
    }
    const place = `${file === "-" ? "standard input" : file}:${number}`;
    if ("bad" in read) {
      this.#bad++;
      if (this.#bad <= SHOWN_BAD) process.stderr.write(`drover: ${place}: ${shown(read.bad)}\n`);
      if (this.#lines >= JUDGED_FROM) this.#judge();
      return;
    }
    const lateUs = this.#order.add(read);
    if (lateUs > 0) {
      const seconds = (lateUs / 1e6).toFixed(1);
      throw new CommandFailed(
        "INPUT_UNSORTED",
        `${place} begins ${seconds} s before a line above it, more than --tolerance ${this.#tolerance}: allow more, or use --sort`,
      );
    }
    if (this.#order.size > this.#maxHeld) {
      throw new CommandFailed(
        "INPUT_UNSORTED",
        `${place}: more than ${grouped(this.#maxHeld)} requests to be put in order: sort the log first, or allow less with --tolerance`,
      );
    }
  }

  #judge(): void {
    if (this.#bad * 100 <= this.#lines * this.#maxBadPercent) return;
    throw new CommandFailed(
      "INPUT_BAD",
      `${grouped(this.#bad)} of ${grouped(this.#lines)} lines are bad, more than --max-bad ${this.#maxBadPercent} (percent)`,
    );
  }
}

function readingOf(flags: PlanFlags): LineReading {
  let pattern: RegExp | undefined;
  try {
    pattern = flags.uniqueRegex === undefined ? undefined : new RegExp(flags.uniqueRegex);
  } catch (error) {
    throw new UsageError("OPTION_INVALID", `--unique-regex: ${(error as Error).message}`);
  }
  return { format: flags.logFormat, stamp: flags.stamp, unit: flags.unit, part: flags.unique, pattern };
}

function percentOf(text: string, option: string): number {
  if (/^\d+(?:\.\d+)?$/.test(text.trim()) && Number(text) <= 100) return Number(text);
  throw new UsageError("OPTION_INVALID", `${option} ${JSON.stringify(text)} is no percentage from 0 to 100`);
}

function atMost(text: string, option: string, limit: number): number {
  const count = countOf(text, option);
  if (count <= limit) return count;
  throw new UsageError("OPTION_INVALID", `${option} ${text} is more than ${grouped(limit)}`);
}

/** Of a foreign log: short, and without what a terminal would obey. */
function shown(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, "?").slice(0, 120);
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new UsageError("FILE_NOT_WRITABLE", `${file}: ${(error as Error).message}`, { cause: error });
  }
}
