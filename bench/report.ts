import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { findProgram } from "../test/peers/packages.ts";
import type { Series } from "./ratios.ts";
import { printed, ROOT } from "./tools.ts";

/** Whether the system places server and load generator as it likes, or each has a core of its own. */
export type Mode = "free" | "pinned";

export type Section = Mode | "memory" | "curves" | "durable" | "transports";

export interface Settings {
  readonly date: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmup: number;
  /** A tenth of the jobs, functions and idle connections. */
  readonly short: boolean;
  readonly pinned: boolean;
}

/** The figures of one scenario or curve: of each server or size, of each figure, round by round. */
export interface Measurement {
  readonly settings: Settings;
  readonly series: Readonly<Record<string, Readonly<Record<string, Series>>>>;
}

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly gearmand: string;
}

type Column = Record<string, (number | null)[]>;
interface Data {
  readonly machine: Machine;
  readonly sections: Record<Section, Record<string, { settings: Settings; series: Record<string, Column> }>>;
}

const FILE = join(ROOT, "bench/results/report.json");

/** bench/results/report.json: what was measured on one machine. A new measurement replaces the one of its name. */
export class Report {
  readonly #data: Data;

  private constructor(data: Data) {
    this.#data = data;
  }

  /** The report so far, or an empty one. */
  static read(): Report {
    try {
      return new Report(JSON.parse(readFileSync(FILE, "utf8")) as Data);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return Report.#empty();
      throw error;
    }
  }

  /** The report so far where it is of this machine, else an empty one: figures of two machines do not compare. */
  static ofThisMachine(): Report {
    const empty = Report.#empty();
    const { machine, sections } = Report.read().#data;
    const isSame = machine.processor === empty.machine.processor && machine.cores === empty.machine.cores;
    return isSame
      ? new Report({ machine: empty.machine, sections: { ...empty.#data.sections, ...sections } })
      : empty;
  }

  static #empty(): Report {
    const sections = { free: {}, pinned: {}, memory: {}, curves: {}, durable: {}, transports: {} };
    return new Report({ machine: thisMachine(), sections });
  }

  get machine(): Machine {
    return this.#data.machine;
  }

  section(section: Section): Readonly<Record<string, Measurement>> {
    return this.#data.sections[section] ?? {};
  }

  /** Forgets what was measured under this name. */
  begin(section: Section, name: string, settings: Settings): void {
    this.#data.sections[section][name] = { settings, series: {} };
  }

  record(
    section: Section,
    name: string,
    column: string,
    round: number,
    figures: Readonly<Record<string, number>>,
  ): void {
    const series = this.#data.sections[section][name]!.series;
    series[column] ??= {};
    const own = series[column];
    for (const [figure, value] of Object.entries(figures)) {
      own[figure] ??= [];
      const values = own[figure];
      while (values.length < round) values.push(null);
      values[round] = value;
    }
  }

  save(): void {
    mkdirSync(dirname(FILE), { recursive: true });
    writeFileSync(FILE, `${JSON.stringify(this.#data, null, 2)}\n`);
  }
}

function thisMachine(): Machine {
  return {
    cores: cpus().length,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    gearmand: gearmandVersion(),
  };
}

function gearmandVersion(): string {
  const program = findProgram("gearmand");
  return program === undefined ? "unknown" : printed(program, "--version").split(" ")[1]!;
}
