import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { startChild } from "./children.ts";
import type { RunningServer } from "./servers.ts";
import { LOAD_CORE, ROOT } from "./tools.ts";

const PROGRAM = join(ROOT, "bench/gearbench/build/gearbench");

/** What a run of the load generator found. */
export interface Outcome {
  /** Whether every answer was right. */
  readonly ok: boolean;
  readonly figures: Readonly<Record<string, number>>;
  /** The first things that were wrong. */
  readonly complaint: string;
}

/** Runs one scenario of gearbench/README.md against a server. */
export async function gearbench(
  args: readonly string[],
  server: Pick<RunningServer, "port" | "pid">,
  pinned: boolean,
): Promise<Outcome> {
  const pin = pinned ? ["taskset", "-c", String(LOAD_CORE)] : [];
  const target = ["--port", String(server.port), "--server-pid", String(server.pid), "--json"];
  const [program, ...rest] = [...pin, PROGRAM, ...args, ...target];
  const child = startChild(program!, rest, { stdio: ["ignore", "pipe", "pipe"] });
  const [line, complaint] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, "close"),
  ]);
  if (line === "") return { ok: false, figures: {}, complaint: complaint.trim() };
  const { ok, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const numbers = Object.entries(fields).filter(
    (field): field is [string, number] => typeof field[1] === "number",
  );
  return { ok: ok === true, figures: Object.fromEntries(numbers), complaint: complaint.trim() };
}

/** The outcome with only these of its figures, in this order. */
export function withFigures(outcome: Outcome, names: readonly string[]): Outcome {
  const present = names.filter((name) => name in outcome.figures);
  return { ...outcome, figures: Object.fromEntries(present.map((name) => [name, outcome.figures[name]!])) };
}
