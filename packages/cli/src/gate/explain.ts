import type { DefinitionView, ExplanationView, JobExplanationView } from "@drover/gate/api";
import { printable } from "@drover/protocol";
import { CommandFailed, UsageError } from "../errors.ts";
import { durationText, tableLines } from "../terminal/table.ts";
import { GateApi } from "./api.ts";
import { pastTime, timeText } from "./history.ts";
import { type GateFlags, gatePlace } from "./place.ts";
import { changeNumber, print } from "./run.ts";
import { subjectText } from "./show.ts";

/** Characters of a sentence that are shown. */
const MAX_TEXT = 1_000;

/** A ref, or its id as JSON has it: `ref:PROJECT:REF@COMMIT`. */
const REF = /^(?:ref:(.+):)?(refs\/[^:\s]+?)(?:@([0-9a-f]{4,64}))?$/;

interface ExplainFlags extends GateFlags {
  readonly job?: string;
  readonly project?: string;
  readonly at?: string;
}

/** `drover gate explain CHANGE|REF [--job NAME] [--project NAME] [--at TIME]` */
export async function explain(item: string, flags: ExplainFlags): Promise<void> {
  const { job } = flags;
  const { path, words } = whatIsMeant(item, flags.project);
  const at = flags.at === undefined ? undefined : pastTime(flags.at, "--at");
  const found = await new GateApi(gatePlace(flags)).get<ExplanationView>(path, { ...words, job, at });
  if (job !== undefined && found.jobs.length === 0)
    throw new CommandFailed(
      "GATE_REFUSED",
      `no pipeline has a job ${JSON.stringify(job)} for ${found.subject.project}: drover gate explain ${item} lists those there are`,
    );
  print(flags, found, () => (job === undefined ? changeLines(found) : found.jobs.flatMap(jobLines)));
}

/** @throws UsageError */
function whatIsMeant(item: string, wanted: string | undefined) {
  const [, project = wanted, ref, commit] = REF.exec(item) ?? [];
  if (ref !== undefined) return { path: "/explain", words: { ref, project, commit } };
  if (wanted !== undefined)
    throw new UsageError("OPTION_INVALID", "--project is for a ref: a change's number says whose it is");
  if (/^\d+(?:,\d+)?$/.test(item)) return { path: `/explain/${changeNumber(item)}`, words: {} };
  throw new UsageError(
    "OPTION_INVALID",
    `${JSON.stringify(item)} is no number of a change, and no ref such as refs/heads/main`,
  );
}

function changeLines({ subject, atMs = null, now, jobs, decisions }: ExplanationView): string[] {
  return [
    subjectText(subject),
    "",
    atMs === null ? "Now:" : `Then, ${timeText(atMs)}:`,
    ...now.map((text) => `  ${printable(text, MAX_TEXT)}`),
    "",
    "Jobs, of which --job NAME tells more:",
    ...jobTable(jobs).map((line) => `  ${line}`),
    "",
    "Decisions:",
    ...decisions.map(
      ({ atMs, pipeline, text }) =>
        `  ${timeText(atMs)}  ${pipeline === null ? "" : `${printable(pipeline)}: `}${printable(text, MAX_TEXT)}`,
    ),
  ];
}

function jobTable(jobs: readonly JobExplanationView[]): string[] {
  if (jobs.length === 0) return ["none in any pipeline"];
  const columns = [{ title: "pipeline" }, { title: "job", maxWidth: 40 }, { title: "" }];
  const rows = jobs.map(({ pipeline, job, now, runs, reasons }) => [
    printable(pipeline),
    printable(job),
    printable(runs ? now : `${now}: ${reasons.join(" ")}`, MAX_TEXT),
  ]);
  return tableLines(columns, rows);
}

export function jobLines(explained: JobExplanationView): string[] {
  const { pipeline, job, now, reasons, definitions, builds } = explained;
  const lines = [`Job ${printable(job)} in ${printable(pipeline)} ${printable(now, MAX_TEXT)}.`];
  lines.push(...reasons.map((text) => `  ${printable(text, MAX_TEXT)}`));
  if (definitions.length > 0)
    lines.push("  It is made of these definitions, each of which adds to those before:");
  lines.push(...definitions.map((one) => `    ${printable(one.job).padEnd(20)} ${definitionText(one)}`));
  if (builds.length > 0) lines.push("  What ran for it, the newest first:");
  for (const { id, result, detail, attempt, startedMs, endedMs, shared } of builds) {
    const took = endedMs === null ? "" : `, took ${durationText(endedMs - startedMs)}`;
    const why = detail === null ? "" : `: ${printable(detail, MAX_TEXT)}`;
    const again = attempt > 1 ? `, attempt ${attempt}` : "";
    lines.push(`    build ${id}, ${timeText(startedMs)}${took}${again}  ${result ?? "runs"}${why}`);
    if (shared !== null) {
      const how = shared.how === "reused" ? "it took the result of" : "it was one execution with";
      lines.push(`      ${how} build ${shared.build}, which is of equal content`);
    }
  }
  return [...lines, ""];
}

export function definitionText({ project, branch, file, line }: DefinitionView): string {
  return printable(`${project} ${branch} ${file}:${line}`, MAX_TEXT);
}
