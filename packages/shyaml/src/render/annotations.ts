import { createHash } from "node:crypto";
import type { DiffReport, DocumentDiff } from "../diff/compare.ts";
import type { Subject } from "../diff/documents.ts";
import { pathText } from "../diff/path.ts";
import { placeOf } from "../document/node.ts";
import { type Buildable, build } from "./build.ts";
import { changeLines, kindText } from "./change-lines.ts";
import { jsonText } from "./json-text.ts";
import { visible } from "./value.ts";

/** A difference as a note on a line of a file: of the second input, or of the first where it is only there. */
export interface Annotation {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly title: string;
  /** What differs, with the lines of both files. */
  readonly message: string;
}

/** Lines of values in one annotation. */
const MAX_LINES = 20;

export function annotationsOf(report: DiffReport): Annotation[] {
  return report.documents.flatMap((diff) => {
    if (diff.changes.length === 0) {
      const side = (diff.after ?? diff.before)!;
      return [at(side, side.root.start, diff, `the document was ${diff.status}`, diff.name)];
    }
    return diff.changes.map((change) => {
      const [a, b] = [placed(diff.before, change.before?.start), placed(diff.after, change.after?.start)];
      const path = visible(pathText(change.path));
      const lines = changeLines(change).map(({ sign, text }) => `${sign} ${text}`);
      const shown = lines.slice(0, MAX_LINES);
      if (shown.length < lines.length) shown.push(`… ${lines.length - shown.length} more lines`);
      const places = [a, b].filter((place) => place !== undefined).join(" → ");
      const message = [`${path} ${kindText(change)} (${places})`, ...shown].join("\n");
      const side = change.after === undefined ? diff.before! : diff.after!;
      return at(side, (change.after ?? change.before)!.start, diff, message, path);
    });
  });
}

function placed(subject: Subject | undefined, offset: number | undefined): string | undefined {
  if (subject === undefined || offset === undefined) return undefined;
  const { file, line } = placeOf(subject.document.source, offset);
  return `${file}:${line}`;
}

function at(side: Subject, offset: number, diff: DocumentDiff, message: string, path: string): Annotation {
  const { file, line, column } = placeOf(side.document.source, offset);
  const title = path === diff.name ? visible(diff.name) : `${visible(diff.name)}: ${path}`;
  return { file, line, column, title, message };
}

/** Commands of GitHub's and Forgejo's runners. */
export function githubText(report: DiffReport): string {
  const data = (text: string) => text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  const property = (text: string) => data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
  return annotationsOf(report)
    .map(
      ({ file, line, column, title, message }) =>
        `::warning file=${property(file)},line=${line},col=${column},title=${property(title)}::${data(message)}\n`,
    )
    .join("");
}

/** Commands of Azure Pipelines' agents. */
export function azureText(report: DiffReport): string {
  const data = (text: string) =>
    text.replaceAll("%", "%AZP25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  const property = (text: string) => data(text).replaceAll(";", "%3B").replaceAll("]", "%5D");
  return annotationsOf(report)
    .map(
      ({ file, line, column, title, message }) =>
        `##vso[task.logissue type=warning;sourcepath=${property(file)};linenumber=${line};columnnumber=${column};]${data(`${title}: ${message}`)}\n`,
    )
    .join("");
}

/** A code quality report of GitLab. */
export function gitlabText(report: DiffReport): string {
  const issues = annotationsOf(report).map(({ file, line, title, message }): Buildable => {
    const fingerprint = createHash("sha256").update(`${file}\0${title}\0${message}`).digest("hex");
    const location = { path: file, lines: { begin: line } };
    return { description: message, check_name: `shyaml: ${title}`, fingerprint, severity: "info", location };
  });
  return `${jsonText(build(issues))}\n`;
}
