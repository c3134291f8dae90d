import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheChart } from "./cache/chart.ts";
import { readCacheResults } from "./cache/main.ts";
import { bars, cacheTable } from "./cache/report.ts";
import { CHARTS, chartsOf } from "./charts.ts";
import { type Summary, table } from "./libraries/report.ts";
import { Report } from "./report.ts";
import {
  burstTable,
  comparisonTable,
  curvesTable,
  durableTable,
  machineLine,
  memoryTable,
  othersTable,
  scenarioTable,
} from "./tables.ts";
import { printed, ROOT } from "./tools.ts";
import { transportsTable } from "./transports/table.ts";

const FOLDER = import.meta.dirname;
const RESULTS = join(FOLDER, "results");

/** The parts of README.md that are made of the report, by the names in their marks. */
function parts(report: Report): Record<string, string> {
  const images = CHARTS.map(({ file, title }) => `![${title}](figures/${file})`);
  return {
    machine: machineLine(report.machine),
    scenarios: scenarioTable(),
    free: [comparisonTable(report, "free"), othersTable(report, "free")].join("\n\n").trim(),
    pinned: [comparisonTable(report, "pinned"), othersTable(report, "pinned")].join("\n\n").trim(),
    memory: [memoryTable(report), burstTable(report)].join("\n\n").trim(),
    durable: durableTable(report),
    transports: transportsTable(report),
    libraries: librariesTable(),
    cache: cachePart(),
    curves: [curvesTable(report), ...images].join("\n\n"),
  };
}

/** Puts `body` between the marks of a part. @throws When the text has no such part. */
export function replacePart(text: string, name: string, body: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md has no part ${begin} … ${end}`);
  return `${text.slice(0, from + begin.length)}\n${body}\n${text.slice(to)}`;
}

/** Writes README.md and the charts anew from what was measured, and the measurements as lint wants to see JSON. */
export function writeReadme(): void {
  const report = Report.read();
  const file = join(FOLDER, "README.md");
  let text = readFileSync(file, "utf8");
  for (const [name, body] of Object.entries(parts(report))) text = replacePart(text, name, body);
  writeFileSync(file, text);
  mkdirSync(join(FOLDER, "figures"), { recursive: true });
  for (const [name, svg] of Object.entries(chartsOf(report)))
    writeFileSync(join(FOLDER, "figures", name), svg);
  const cache = readCacheResults();
  if (cache !== undefined) writeFileSync(join(FOLDER, "figures/cache.svg"), cacheChart(cache));
  printed(join(ROOT, "node_modules/.bin/biome"), "format", "--write", RESULTS);
}

/** What bench/libraries has measured, which keeps its own file. */
function librariesTable(): string {
  const file = join(RESULTS, "libraries.json");
  if (!existsSync(file)) return "Not measured yet.";
  const { summaries } = JSON.parse(readFileSync(file, "utf8")) as { summaries: Summary[] };
  return table(summaries).trim();
}

/** What bench/cache has measured, which keeps its own file too. */
function cachePart(): string {
  const results = readCacheResults();
  if (results === undefined) return "Not measured yet.";
  const image = "![Computations and p99 of a herd, by scheme](figures/cache.svg)";
  return [image, cacheTable(results), `\`\`\`text\n${bars(results)}\n\`\`\``].join("\n\n");
}
