import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/*
 * Two files of 1 MB with 20,000 items, of which one differs, through `shyaml diff`, and through the crude way beside it: keys
 * sorted, then `diff -u`.
 */

const SHYAML = resolve(import.meta.dirname, "../../packages/shyaml/bin/shyaml.js");
const ITEMS = 20_000;
/** The item that differs. */
const CHANGED = 12_345;
/** What the crude way has to tell: a line that is gone and one that is new. */
const TRUE_LINES = 2;
/** Tells the memory that a process took at most, in KiB, as the last line of its standard error. */
const TELL_MEMORY = `data:text/javascript,${encodeURIComponent(
  'import { writeSync } from "node:fs"; process.on("exit", () => writeSync(2, "\\n" + process.resourceUsage().maxRSS));',
)}`;

/** How the second file is written. */
interface Case {
  readonly name: string;
  readonly text: (items: number) => string;
}

const item = (i: number, isChanged: boolean) => ({
  id: `item-${i}`,
  value: isChanged ? -1 : i,
  on: ["a", "b"],
});

function blockText(items: number, changed: number | undefined, start = 0): string {
  let text = "items:\n";
  for (let k = 0; k < items; k++) {
    const i = (k + start) % items;
    const { id, value } = item(i, i === changed);
    text += `  - id: ${id}\n    value: ${value}\n    on: [a, b]\n`;
  }
  return text;
}

const changedOf = (items: number) => Math.min(CHANGED, items - 1);

export const CASES: readonly Case[] = [
  { name: "one value", text: (items) => blockText(items, changedOf(items)) },
  {
    name: "and half of the items moved to the end",
    text: (items) => blockText(items, changedOf(items), items / 2),
  },
  {
    name: "and quotes and flow style",
    text: (items) => {
      const all = Array.from({ length: items }, (_, i) => item(i, i === changedOf(items)));
      return `items:\n${all.map(({ id, value, on }) => `  - {on: ${JSON.stringify(on)}, id: "${id}", value: ${value}}\n`).join("")}`;
    },
  },
];

export interface DiffFigures {
  readonly name: string;
  readonly ms: number;
  readonly mib: number;
  /** Differences, of which one is a value and the rest moves. */
  readonly values: number;
  readonly crudeMs: number;
  readonly falseLines: number;
}

/** Runs every case. @param items In the small all is over in a moment. */
export function measureDiffs(items = ITEMS): DiffFigures[] {
  const folder = mkdtempSync(join(tmpdir(), "drover-bench-shyaml-"));
  try {
    writeFileSync(join(folder, "a.yaml"), blockText(items, undefined));
    return CASES.map(({ name, text }) => {
      writeFileSync(join(folder, "b.yaml"), text(items));
      return { name, ...ours(folder), ...crude(folder) };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function ours(cwd: string): Pick<DiffFigures, "ms" | "mib" | "values"> {
  const begin = performance.now();
  const args = ["--import", TELL_MEMORY, SHYAML, "diff", "a.yaml", "b.yaml", "-o=json"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  const ms = performance.now() - begin;
  if (status !== 1) throw new Error(`shyaml diff ended with ${status}: ${stderr}`);
  const { kinds } = (JSON.parse(stdout) as { summary: { kinds: Record<string, number> } }).summary;
  const { order = 0, moved = 0, ...others } = kinds;
  const values = Object.values(others).reduce((sum, count) => sum + count, 0);
  return { ms, mib: Number(stderr.trim().split("\n").at(-1)) / 1024, values };
}

/** Keys sorted by shyaml itself, which a script would do with something slower; only `diff` is timed. */
function crude(cwd: string): Pick<DiffFigures, "crudeMs" | "falseLines"> {
  for (const name of ["a", "b"]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [SHYAML, "sortkeys", `${name}.yaml`], {
      cwd,
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    });
    if (status !== 0) throw new Error(`shyaml sortkeys ended with ${status}: ${stderr}`);
    writeFileSync(join(cwd, `${name}.sorted`), stdout);
  }
  const begin = performance.now();
  const { stdout } = spawnSync("diff", ["-u", "a.sorted", "b.sorted"], {
    cwd,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  const crudeMs = performance.now() - begin;
  const lines = stdout.split("\n").filter((line) => /^[-+](?![-+]{2} )/.test(line)).length;
  return { crudeMs, falseLines: lines - TRUE_LINES };
}

/** In a few lines, for people. */
export function showDiffs(figures: readonly DiffFigures[]): string {
  const width = Math.max(...figures.map(({ name }) => name.length));
  return [
    `1 MB against 1 MB, ${ITEMS.toLocaleString("en-US")} items, one value differs:`,
    ...figures.map(({ name, ms, mib, values, crudeMs, falseLines }) =>
      [
        `  ${name.padEnd(width)}`,
        `shyaml diff ${(ms / 1000).toFixed(2)} s, ${mib.toFixed(0)} MiB, ${values} value differs`,
        `diff -u of sorted keys ${(crudeMs / 1000).toFixed(2)} s, ${falseLines} false lines`,
      ].join("   "),
    ),
  ].join("\n");
}

/** Small files: only that one value is found to differ, however it is written. @returns How many were wrong. */
export function checkDiffs(): number {
  const figures = measureDiffs(200);
  const wrong = figures.filter(({ values }) => values !== 1);
  for (const { name, values } of wrong)
    process.stderr.write(`bench: shyaml found ${values} values for ${name}\n`);
  process.stdout.write(
    `bench: ${figures.length - wrong.length} comparisons of shyaml right, ${wrong.length} wrong\n`,
  );
  return wrong.length;
}

if (import.meta.main) console.log(showDiffs(measureDiffs()));
