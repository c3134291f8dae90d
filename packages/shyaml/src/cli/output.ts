import type { DiffReport } from "../diff/compare.ts";
import { terminalText } from "../render/terminal.ts";
import type { Settings } from "./settings.ts";

/** Exit codes of every command, as those of diff(1). */
export const EXIT = { same: 0, differs: 1, trouble: 2 } as const;

/** Columns of a terminal that does not tell. */
const USUAL_WIDTH = 80;

/** Writes the differences as they were asked for. */
export function writeReport(report: DiffReport, settings: Settings): void {
  process.stdout.write(reportText(report, settings));
}

export function reportText(report: DiffReport, settings: Settings): string {
  return terminalText(report, {
    color: hasColor(settings, process.env),
    maxValueLines: settings.maxLines,
    ...widthOf(settings),
  });
}

/** Colours on a terminal, unless `NO_COLOR` (no-color.org) or `TERM=dumb` says no. */
function hasColor({ color }: Settings, env: NodeJS.ProcessEnv): boolean {
  if (color !== "auto") return color === "always";
  if ((env.NO_COLOR ?? "") !== "" || env.TERM === "dumb") return false;
  return process.stdout.isTTY === true || (env.FORCE_COLOR ?? "0") !== "0";
}

function widthOf({ width }: Settings): { width?: number } {
  if (width !== undefined) return width === 0 ? {} : { width };
  return process.stdout.isTTY === true ? { width: process.stdout.columns ?? USUAL_WIDTH } : {};
}
