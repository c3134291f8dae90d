import type { GateEffect, ReportedBuild } from "../core/index.ts";
import type { NewComment } from "../forge/index.ts";
import type { BuildTable } from "./build-table.ts";

/* What a report says besides its own text. */

/** Comments on lines of files that one report takes from its jobs. */
const MAX_FILE_COMMENTS = 100;

/** What jobs have said on the change: one comment of each. */
export function jobComments(reported: readonly ReportedBuild[], builds: BuildTable): NewComment[] {
  return reported.flatMap(({ build }) => {
    // Builds of before there were comments have none.
    const text = (build === null ? undefined : builds.get(build))?.outcome?.data.comment ?? null;
    return text === null ? [] : [{ text }];
  });
}

/** What jobs have said about lines of files. */
export function fileComments(reported: readonly ReportedBuild[], builds: BuildTable): NewComment[] {
  const found: NewComment[] = [];
  for (const { build, job } of reported) {
    const comments = (build === null ? undefined : builds.get(build))?.outcome?.data.fileComments ?? {};
    for (const [file, list] of Object.entries(comments)) {
      for (const { line, message } of list) {
        if (typeof message !== "string") continue;
        const at = typeof line === "number" && Number.isSafeInteger(line) && line > 0 ? { line } : {};
        found.push({ text: `${job}: ${message}`, file, ...at });
      }
    }
  }
  return found.slice(0, MAX_FILE_COMMENTS);
}

/** What is wrong with the change's own configuration, at the very lines. */
export function problemComments({
  subject,
  problems,
}: Extract<GateEffect, { kind: "report" }>): NewComment[] {
  return problems
    .filter(
      ({ project, branch, file }) => file !== "" && project === subject.project && branch === subject.branch,
    )
    .slice(0, MAX_FILE_COMMENTS)
    .map(({ file, line, message }) => ({ text: message, file, ...(line === null ? {} : { line }) }));
}
