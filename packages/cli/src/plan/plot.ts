import type { LoadReport } from "./core/load.ts";

const HEIGHT = 10;
const MAX_WIDTH = 120;
const EIGHTHS = " ▁▂▃▄▅▆▇█";
const GREEN = "\x1b[32m";
const PLAIN = "\x1b[0m";

/** The highest load of each stretch of time as columns: full blocks with joining, light ones without. */
export function plotLines(load: LoadReport, terminalWidth: number, colour: boolean): string[] {
  const peak = Math.max(1, load.alone.peak);
  const margin = String(peak).length + 1;
  const width = Math.max(10, Math.min(MAX_WIDTH, terminalWidth - margin - 1));
  const alone = inColumns(load.alone.timeline.highest, width);
  const joined = inColumns(load.joined.timeline.highest, width, alone.length);
  const green = (text: string) => (colour ? `${GREEN}${text}${PLAIN}` : text);
  const lines: string[] = [];
  for (let row = HEIGHT - 1; row >= 0; row--) {
    const cells = alone.map((level, i) => {
      const eighths = Math.ceil((joined[i]! * HEIGHT * 8) / peak) - row * 8;
      if (eighths > 0) return green(EIGHTHS[Math.min(8, eighths)]!);
      return (level * HEIGHT) / peak > row ? "░" : " ";
    });
    const label = row === HEIGHT - 1 ? String(peak) : row === 0 ? "0" : "";
    lines.push(`${label.padStart(margin - 1)} ${cells.join("")}`.trimEnd());
  }
  const key = `${" ".repeat(margin)}under way at one time: ${green("█")} with joining, ░ without`;
  return [...lines, key];
}

/** The highest of the stretches that fall into each column. */
function inColumns(highest: readonly number[], width: number, columns?: number): number[] {
  const count = columns ?? Math.min(width, highest.length);
  return Array.from({ length: count }, (_, i) => {
    const from = Math.floor((i * highest.length) / count);
    const until = Math.max(from + 1, Math.floor(((i + 1) * highest.length) / count));
    return Math.max(0, ...highest.slice(from, until));
  });
}
