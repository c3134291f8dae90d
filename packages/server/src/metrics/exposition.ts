import { setImmediate as nextTurn } from "node:timers/promises";
import { FUNCTION_FAMILIES, FUNCTION_HISTOGRAMS, SERVER_FAMILIES, SERVER_HISTOGRAMS } from "./families.ts";
import type { Figures } from "./figures.ts";
import type { HistogramFigures } from "./function-figures.ts";

/*
 * The text format of Prometheus, version 0.0.4. prom-client writes it too, but all of a registry in one go: with 1,000
 * functions jobs would wait for some 60,000 lines.
 */

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** So many characters are written before jobs get their turn again. */
const CHARACTERS_PER_TURN = 64 * 1024;

/** The figures as text. Jobs get their turn in between. */
export async function exposition(figures: Figures): Promise<string> {
  const parts: string[] = [];
  let part = "";
  for (const lines of blocks(figures)) {
    part += lines;
    if (part.length < CHARACTERS_PER_TURN) continue;
    parts.push(part);
    part = "";
    await nextTurn();
  }
  return parts.join("") + part;
}

function* blocks(figures: Figures): Generator<string> {
  for (const { name, kind, help, label, values } of SERVER_FAMILIES) {
    const found = values(figures);
    if (found.length === 0) continue;
    yield head(name, kind, help);
    for (const [value, text] of found) {
      yield `${name}${text === undefined ? "" : `{${label}="${escaped(text)}"}`} ${value}\n`;
    }
  }
  for (const { name, help, value } of SERVER_HISTOGRAMS) {
    const found = value(figures);
    if (found !== undefined) yield head(name, "histogram", help) + histogram(name, "", found);
  }
  const { functions, others } = figures;
  const all = [...functions, ...(others === null ? [] : [others])].map((fn) => ({
    fn,
    label: `function="${escaped(fn.name)}"`,
  }));
  for (const { name, kind, help, value } of FUNCTION_FAMILIES) {
    yield head(name, kind, help);
    for (const { fn, label } of all) {
      const found = value(fn);
      if (found !== null) yield `${name}{${label}} ${found}\n`;
    }
  }
  for (const { name, help, value } of FUNCTION_HISTOGRAMS) {
    yield head(name, "histogram", help);
    for (const { fn, label } of all) {
      // A function that has run nothing needs no series.
      const found = value(fn);
      if (found.counts.some((count) => count > 0)) yield histogram(name, label, found);
    }
  }
}

function head(name: string, kind: string, help: string): string {
  return `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${kind}\n`;
}

/** @param label Without braces; may be empty. */
function histogram(name: string, label: string, { bounds, counts, sum }: HistogramFigures): string {
  const before = label === "" ? "" : `${label},`;
  const own = label === "" ? "" : `{${label}}`;
  let lines = "";
  let below = 0;
  counts.forEach((count, i) => {
    below += count;
    lines += `${name}_bucket{${before}le="${bounds[i] ?? "+Inf"}"} ${below}\n`;
  });
  return `${lines}${name}_sum${own} ${sum}\n${name}_count${own} ${below}\n`;
}

/** Text as the value of a label. */
function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
