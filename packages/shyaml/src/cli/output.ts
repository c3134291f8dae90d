import type { ComparedFile, DiffReport } from "../diff/compare.ts";
import { patchesOf } from "../diff/patches.ts";
import { pathText } from "../diff/path.ts";
import { ShyamlError } from "../errors.ts";
import type { Schemas } from "../kube/schema.ts";
import { azureText, githubText, gitlabText } from "../render/annotations.ts";
import { MIN_MARKDOWN_CHARS, markdownText } from "../render/markdown.ts";
import { patchesJson, reportJson } from "../render/report-json.ts";
import { maskReport } from "../render/secrets.ts";
import { terminalText } from "../render/terminal.ts";
import type { Settings } from "./settings.ts";

/** Exit codes of every command, as those of diff(1). */
export const EXIT = { same: 0, differs: 1, trouble: 2 } as const;

/** Columns of a terminal that does not tell. */
const USUAL_WIDTH = 80;

/** The differences as they were asked for, of all formats that show a report. Secrets are masked unless settings show them. */
export function reportText(report: DiffReport, settings: Settings): string {
  const shown = settings.showSecrets ? report : maskReport(report);
  switch (settings.output) {
    case "json":
      return reportJson(shown);
    case "markdown":
      if (settings.maxChars < MIN_MARKDOWN_CHARS) {
        throw new ShyamlError(
          "SETTING_INVALID",
          `--max-chars ${settings.maxChars} is less than ${MIN_MARKDOWN_CHARS}`,
        );
      }
      return markdownText(shown, settings.maxChars);
    case "github":
      return githubText(shown);
    case "gitlab":
      return gitlabText(shown);
    case "azure":
      return azureText(shown);
    case "json-patch":
      throw new ShyamlError("SETTING_INVALID", "json-patch is of diff alone");
    case "terminal":
      return terminalText(shown, {
        color: hasColor(settings, process.env),
        maxValueLines: settings.maxLines,
        ...widthOf(settings),
      });
  }
}

/** The patches of two inputs. Comments have no place in one, so they cannot be asked for. */
export function patchText(
  before: readonly ComparedFile[],
  after: readonly ComparedFile[],
  report: DiffReport,
  settings: Settings,
  schemas: Schemas,
): string {
  for (const { name, changes } of report.documents) {
    const change = changes.find(({ kind }) => kind === "comment");
    if (change !== undefined)
      throw new ShyamlError(
        "JSON_CANNOT_SAY",
        `${pathText(change.path)} of ${name}: JSON does not have comments`,
      );
  }
  const { identifiers, showSecrets } = settings;
  return patchesJson(patchesOf(before, after, { identifiers, showSecrets, schemas }));
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
