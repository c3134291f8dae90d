import type { Change, Side } from "../diff/change.ts";
import { countsOf, type DiffReport, type DocumentDiff } from "../diff/compare.ts";
import type { Subject } from "../diff/documents.ts";
import type { DocumentPatch } from "../diff/patches.ts";
import { pathText, pointerOf } from "../diff/path.ts";
import { placeOf } from "../document/node.ts";
import { type Buildable, build, sayable } from "./build.ts";
import { jsonText } from "./json-text.ts";

/** The version of what `-o json` writes. Members may be added to it; another meaning would be another version. */
export const REPORT_VERSION = 1;

/** A report as JSON, as schema/report.schema.json has it. */
export function reportJson(report: DiffReport): string {
  const { total, ...kinds } = countsOf(report);
  const value = {
    version: REPORT_VERSION,
    summary: { compared: report.compared, differing: report.documents.length, differences: total, kinds },
    documents: report.documents.map(documentJson),
    notes: report.notes,
  };
  return `${jsonText(build(value))}\n`;
}

function documentJson(diff: DocumentDiff): Buildable {
  const { status, name, before, after, similarity, changes } = diff;
  const isOneSided = before === undefined || after === undefined;
  const side = (subject: Subject | undefined): Buildable =>
    subject && {
      ...subjectJson(subject),
      ...(isOneSided ? { value: sayable(subject.root) } : {}),
    };
  return {
    status,
    name,
    similarity,
    before: side(before),
    after: side(after),
    changes: changes.map((change) => changeJson(change, diff)),
  };
}

function subjectJson(subject: Subject): { readonly [name: string]: Buildable } {
  const { document, identity, item, root } = subject;
  return {
    file: document.source.name,
    document: document.index,
    item,
    line: placeOf(document.source, root.start).line,
    identity: identity && { ...identity },
  };
}

function changeJson(change: Change, diff: DocumentDiff): Buildable {
  const { kind, path, before, after, comments, order, note } = change;
  const side = (name: "before" | "after", of: Side | undefined): Buildable => {
    if (of === undefined) return undefined;
    const { line, column } = placeOf(diff[name]!.document.source, of.start);
    const value = comments === undefined && order === undefined ? sayable(of.node) : undefined;
    return {
      line,
      column,
      pointer: pointerOf(path, name),
      value,
      comment: comments?.[name],
      order: order?.[name],
    };
  };
  return { kind, path: pathText(path), note, before: side("before", before), after: side("after", after) };
}

/**
 * Patches as JSON: where both inputs have one document at most, the patch itself; else one object for each pair that differs,
 * with the patch in it.
 */
export function patchesJson(patches: readonly DocumentPatch[]): string {
  const operations = (patch: DocumentPatch): Buildable =>
    patch.operations.map((operation) => ({ ...operation }) as Buildable);
  const [only] = patches;
  if (patches.length <= 1) return `${jsonText(build(only === undefined ? [] : operations(only)))}\n`;
  const differing = patches.filter((patch) => patch.operations.length > 0);
  const value = differing.map((patch) => ({
    name: patch.name,
    before: patch.before && subjectJson(patch.before),
    after: patch.after && subjectJson(patch.after),
    patch: operations(patch),
  }));
  return `${jsonText(build(value))}\n`;
}
