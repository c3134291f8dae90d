import { parseArgs } from "node:util";
import { SCENARIOS as CACHE } from "./cache/scenarios.ts";
import { CURVES } from "./curves.ts";
import { DURABLE } from "./durable.ts";
import { PROBES } from "./memory.ts";
import type { Options } from "./plan.ts";
import type { Mode } from "./report.ts";
import { SCENARIOS } from "./scenarios.ts";
import { droverCommand, type ServerCommand } from "./servers.ts";
import { canPin, findBun } from "./tools.ts";
import { TRANSPORTS } from "./transports/transports.ts";

export const HELP = `Usage: npm run bench -- [part...] [options]

Parts (default: all that measure):
  compare    every scenario against gearmand's best configuration
  memory     what connections, jobs and submitters take, and what is given back
  durable    background jobs on disk: submissions, foreground jobs beside them, recovery
  transports HTTP against a bare server of the same stack, WebSocket, idle event streams
  curves     cost of a job by the number of functions, workers and queued jobs
  libraries  client and worker libraries
  cache      what caches do about herds: schemes side by side, and what goes wrong meanwhile
  gate       the gate: its core, its configuration, its merger beside git, and the whole; printed only, and only when named
  shyaml     the diff of YAML, beside diff -u of sorted files; printed only, and only when named
  report     no measurement: README.md and the charts anew from results/

Options:
  --quick               only check that every scenario's answers are right, in under a minute; no figures;
                        with the part cache or gate alone, only of it
  --rounds N            rounds (compare and libraries: 7, cache: 5, others: 3); tables show medians
  --scenarios LIST      the only scenarios, curves and memory figures to measure, separated by spaces
  --free, --pinned      compare only in this mode: cores shared as the system likes, or one for each side
  --seconds S           time measured in each run (3)
  --warmup S            time before it (1.5)
  --short               a tenth of the jobs, functions and idle connections
  --without-default-1m  without 1,000,000 jobs in gearmand's default configuration, which takes minutes
  --bun                 compare also with Drover run by Bun, found on the PATH or through npx
  --server NAME=CMD     compare also with this server: one process that listens on 127.0.0.1:$PORT; may be repeated
  --help

A measurement replaces the one of its name in results/. Exit codes: 0, 1 wrong answers, 2 wrong usage or something is
missing.
`;

const MEASURING = ["compare", "memory", "durable", "transports", "curves", "libraries", "cache"] as const;
/** Of which nothing is kept. */
const PRINTING = ["gate", "shyaml"] as const;
export type Part = (typeof MEASURING)[number] | (typeof PRINTING)[number] | "report";

function words() {
  return parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      scenarios: { type: "string" },
      free: { type: "boolean", default: false },
      pinned: { type: "boolean", default: false },
      seconds: { type: "string", default: "3" },
      warmup: { type: "string", default: "1.5" },
      short: { type: "boolean", default: false },
      "without-default-1m": { type: "boolean", default: false },
      bun: { type: "boolean", default: false },
      server: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", default: false },
    },
  });
}

type Values = ReturnType<typeof words>["values"];

export interface Request {
  readonly help: boolean;
  readonly quick: boolean;
  /** The part that is named, when no other is. */
  readonly onlyPart: Part | undefined;
  readonly parts: ReadonlySet<Part>;
  readonly modes: readonly Mode[];
  readonly options: Options;
  readonly withoutDefault1m: boolean;
  /** Servers to compare with besides gearmand. */
  readonly others: readonly ServerCommand[];
}

/** What the command line asks for. @throws With a sentence for the user when that makes no sense. */
export function readRequest(): Request {
  const { values, positionals } = words();
  const { help, quick, "without-default-1m": withoutDefault1m } = values;
  const options = optionsOf(values);
  const parts = partsOf(positionals, options);
  const onlyPart = positionals.length > 0 && parts.size === 1 ? [...parts][0] : undefined;
  const rest = { modes: modesOf(values), options, withoutDefault1m, others: othersOf(values) };
  return { help, quick, onlyPart, parts, ...rest };
}

function partsOf(positionals: readonly string[], { only }: Options): ReadonlySet<Part> {
  for (const word of positionals)
    if (!isAmong(word, [...MEASURING, ...PRINTING, "report"]))
      throw new Error(`there is no part ${word}; see --help`);
  if (positionals.length > 0) return new Set(positionals as Part[]);
  // What is told by name is of the other parts.
  return new Set(
    MEASURING.filter((part) => only === undefined || (part !== "libraries" && part !== "cache")),
  );
}

function optionsOf(values: Values): Options {
  const names = values.scenarios?.split(/[\s,]+/).filter((name) => name !== "");
  const known = [SCENARIOS, PROBES, DURABLE, TRANSPORTS, CURVES, CACHE].flatMap((all) =>
    all.map(({ name }) => name),
  );
  for (const name of names ?? [])
    if (!known.includes(name)) throw new Error(`there is no scenario ${name}; there are ${known.join(" ")}`);
  const rounds = values.rounds === undefined ? undefined : above0("rounds", values.rounds);
  if (rounds !== undefined && !Number.isInteger(rounds)) throw new Error("--rounds takes a whole number");
  return {
    rounds,
    seconds: above0("seconds", values.seconds),
    warmup: above0("warmup", values.warmup),
    short: values.short,
    only: names && new Set(names),
  };
}

function above0(name: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new Error(`--${name} takes a number above 0, not ${text}`);
}

function modesOf({ free, pinned }: Values): Mode[] {
  if (pinned && !canPin()) throw new Error("--pinned needs two cores");
  if (free !== pinned) return [free ? "free" : "pinned"];
  return canPin() ? ["free", "pinned"] : ["free"];
}

function othersOf(values: Values): ServerCommand[] {
  const others = values.server.map((text) => {
    const [, name, command] = /^([\w.-]+)=(.+)$/s.exec(text) ?? [];
    if (name === undefined || command === undefined)
      throw new Error(`--server takes NAME=COMMAND, not ${text}`);
    return { name, command };
  });
  return values.bun ? [droverCommand("drover-bun", findBun()), ...others] : others;
}

const isAmong = (word: string, all: readonly string[]): boolean => all.includes(word);
