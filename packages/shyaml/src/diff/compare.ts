import type { DataNode, LoadedFile } from "../document/node.ts";
import { Schemas } from "../kube/schema.ts";
import { type Shape, UNKNOWN } from "../kube/shape.ts";
import type { Change, ChangeKind } from "./change.ts";
import { ChangeFinder } from "./changes.ts";
import { matchSubjects, type Subject, type SubjectPair, subjectName, subjectsOf } from "./documents.ts";
import { Interner } from "./interner.ts";

export interface CompareOptions {
  /** Reports comments that differ; the inputs have to be loaded with theirs. */
  readonly comments?: boolean;
  /** The order of lists' items and documents means nothing. */
  readonly ignoreOrder?: boolean;
  /** Quantities are compared by what they are worth where the kind's schema has one. */
  readonly quantities?: boolean;
  /** Fields that tell the items of unknown lists apart, before `name`, `key` and `id`. */
  readonly identifiers?: readonly string[];
  /** What is known of kinds. Default: Kubernetes' own. */
  readonly schemas?: Schemas;
}

/** A file with its path below the directory that is compared; the path is empty for a file that was named itself. */
export interface ComparedFile {
  readonly file: LoadedFile;
  readonly path: string;
}

/** What differs in one document. */
export interface DocumentDiff {
  readonly status: "added" | "removed" | "changed" | "renamed";
  /** What people call it: the kind and name, or the file and number. */
  readonly name: string;
  readonly before?: Subject;
  readonly after?: Subject;
  /** 0 to 1, of a renamed document. */
  readonly similarity?: number;
  /** Empty of documents that were added or removed. */
  readonly changes: readonly Change[];
}

export interface DiffReport {
  /** Documents that differ. */
  readonly documents: readonly DocumentDiff[];
  /** Documents of both inputs together, a pair as one. */
  readonly compared: number;
  /** How things were paired where that had to be guessed, in sentences. */
  readonly notes: readonly string[];
}

/** Compares all documents of two inputs. Equal values make no difference, however they are written. */
export function compareFiles(
  before: readonly ComparedFile[],
  after: readonly ComparedFile[],
  options: CompareOptions = {},
): DiffReport {
  const interner = new Interner(options.comments === true);
  const subjects = (files: readonly ComparedFile[]) =>
    files.flatMap(({ file, path }) => subjectsOf(file.documents, path));
  const { pairs, removed, added } = matchSubjects(subjects(before), subjects(after), interner);
  const schemas = options.schemas ?? new Schemas();
  const guesses = new Map<string, number>();
  const documents: DocumentDiff[] = [];
  for (const pair of pairs) {
    const finder = new ChangeFinder({ ...options, interner });
    finder.compare(sideOf(pair.before.root), sideOf(pair.after.root), [], shapeOf(pair, schemas));
    for (const { path, fields } of finder.guesses) {
      const text = `items of ${path} were told apart by ${fields.join(" and ")}, which is a guess`;
      guesses.set(text, (guesses.get(text) ?? 0) + 1);
    }
    const status = pair.by === "alike" ? "renamed" : "changed";
    if (finder.changes.length > 0) {
      const { before: one, after: other, similarity } = pair;
      const name = subjectName(one);
      const alike = similarity === undefined ? {} : { similarity };
      documents.push({ status, name, before: one, after: other, changes: finder.changes, ...alike });
    }
  }
  for (const subject of removed)
    documents.push({ status: "removed", name: subjectName(subject), before: subject, changes: [] });
  for (const subject of added)
    documents.push({ status: "added", name: subjectName(subject), after: subject, changes: [] });
  const notes = [...guesses].map(([text, times]) => (times === 1 ? text : `${text} (${times} documents)`));
  return {
    documents,
    compared: pairs.length + removed.length + added.length,
    notes: [...pairNotes(pairs), ...notes],
  };
}

function sideOf(node: DataNode) {
  return { node, start: node.start };
}

export function shapeOf({ after: { identity } }: SubjectPair, schemas: Schemas): Shape {
  return identity === undefined ? UNKNOWN : schemas.shape(identity.apiVersion, identity.kind);
}

function pairNotes(pairs: readonly SubjectPair[]): string[] {
  return pairs.flatMap(({ before, after, by, similarity }) => {
    const [one, other] = [subjectName(before), subjectName(after)];
    if (by === "alike")
      return [
        `${one} was taken for ${other}: ${Math.round(similarity! * 100)} % of their values are the same`,
      ];
    if (by === "kind and name" && before.identity!.apiVersion !== after.identity!.apiVersion)
      return [
        `${one} was taken for the same in ${before.identity!.apiVersion} and ${after.identity!.apiVersion}`,
      ];
    if (by === "place" && before.document.index !== after.document.index)
      return [`${one} was compared with ${other}, by what they hold and their order`];
    return [];
  });
}

/** How many differences of each kind there are; documents that were added or removed count as one each. */
export function countsOf(
  report: DiffReport,
): Readonly<Record<ChangeKind, number>> & { readonly total: number } {
  const counts = { added: 0, removed: 0, modified: 0, type: 0, moved: 0, order: 0, comment: 0, total: 0 };
  for (const { status, changes } of report.documents) {
    if (status === "added" || status === "removed") counts[status]++;
    for (const { kind } of changes) counts[kind]++;
    counts.total += changes.length + (status === "added" || status === "removed" ? 1 : 0);
  }
  return counts;
}
