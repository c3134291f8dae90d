import type { FrozenJobDefinition, Reporting } from "../config/index.ts";
import type { ConfigProblem, GateEffect, Subject } from "../core/index.ts";
import type { BuildRow } from "./build-table.ts";

type ReportEffect = Extract<GateEffect, { kind: "report" }>;

/** Problems of a configuration that one report tells. */
const SHOWN_PROBLEMS = 20;
/** Warnings of one build that it tells. */
const SHOWN_WARNINGS = 5;

/** What a report says, for people. */
export function reportText(
  { what, subject, reason, builds, problems }: ReportEffect,
  { message, footer }: Reporting,
  buildOf: (id: number) => BuildRow | undefined,
  urlOf: (id: number) => string | null,
  definitionOf: (row: BuildRow) => FrozenJobDefinition | undefined,
): string {
  const parts = [message === "" ? reason : message];
  if (message !== "" && reason !== "" && what !== "start" && what !== "success") parts.push(reason);
  if (problems.length > 0) {
    const shown = problems
      .slice(0, SHOWN_PROBLEMS)
      .map((problem) => `- ${placeOf(problem, subject)}${problem.message}`);
    if (problems.length > SHOWN_PROBLEMS) shown.push(`- and ${problems.length - SHOWN_PROBLEMS} more`);
    parts.push(shown.join("\n"));
  }
  if (builds.length > 0) {
    const lines = builds.map(({ job, build, result, voting }) => {
      const row = build === null ? undefined : buildOf(build);
      const took = row?.endedMs == null ? "" : ` in ${duration(row.endedMs - row.startedMs)}`;
      const url = build === null ? null : urlOf(build);
      const detail = row?.detail == null || result === "SUCCESS" ? "" : `: ${row.detail}`;
      const warnings = (row?.outcome?.data.warnings ?? [])
        .slice(0, SHOWN_WARNINGS)
        .map((text) => `\n  ${text}`);
      const { successMessage = null, failureMessage = null } =
        (row === undefined ? undefined : definitionOf(row)) ?? {};
      const own = result === "SUCCESS" ? successMessage : result === "FAILURE" ? failureMessage : null;
      return `- ${job} ${own ?? result}${took}${voting ? "" : " (non-voting)"}${detail}${url === null ? "" : ` ${url}`}${warnings.join("")}`;
    });
    parts.push(lines.join("\n"));
  }
  if (footer !== "") parts.push(footer);
  return parts.filter((part) => part !== "").join("\n\n");
}

/** `zuul.yaml:3: `, with project and branch before it where they are not the subject's own. */
function placeOf({ project, branch, file, line }: ConfigProblem, subject: Subject): string {
  const isOwn = project === subject.project && branch === (subject.branch ?? "");
  const where = [...(isOwn ? [] : [project, branch]), line === null ? file : `${file}:${line}`];
  const text = where.filter((part) => part !== "").join(" ");
  return text === "" ? "" : `${text}: `;
}

/** `1 h 02 m 03 s`, `4 m 05 s`, `6 s` */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  if (h > 0) return `${h} h ${two(m)} m ${two(s)} s`;
  return m > 0 ? `${m} m ${two(s)} s` : `${s} s`;
}
