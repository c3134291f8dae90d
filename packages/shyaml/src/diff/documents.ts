import { type DataNode, stringAt, valueAt, type YamlDocument } from "../document/node.ts";
import { align, type Match } from "./align.ts";
import type { Interner } from "./interner.ts";
import { leavesOf, pairAlike, sharedLeaves } from "./similarity.ts";

/** What a Kubernetes object is told from others by. */
export interface KubeIdentity {
  readonly apiVersion: string;
  readonly kind: string;
  /** Empty where the object has none. */
  readonly namespace: string;
  readonly name: string;
}

/** A document that is compared as one: a document of an input, or an item of a Kubernetes `List` in it. */
export interface Subject {
  readonly document: YamlDocument;
  /** Its path below the directory that was compared; empty for a file that was named itself. */
  readonly path: string;
  readonly root: DataNode;
  /** The item of a `List`, from 0. */
  readonly item?: number;
  readonly identity?: KubeIdentity;
  /** Its input has no other document. */
  readonly isAlone: boolean;
}

/** A document of the first input with the one of the second that it is compared with. */
export interface SubjectPair {
  readonly before: Subject;
  readonly after: Subject;
  /** How the two were found to be one; `alike` is of documents of another name, by what they hold. */
  readonly by: "identity" | "kind and name" | "place" | "alike";
  /** 0 to 1, of a pair that is alike. */
  readonly similarity?: number;
}

export interface SubjectMatching {
  readonly pairs: readonly SubjectPair[];
  readonly removed: readonly Subject[];
  readonly added: readonly Subject[];
}

/** Documents of another name are one that was renamed when at least this part of their values is the same. */
const RENAMED = 0.6;
/** Comparisons of documents of one kind with each other; beyond, no renames are sought. */
const MAX_COMPARISONS = 2_500;

/**
 * What is compared of a file's documents. Empty documents are left out.
 * @param takesListsApart Whether each item of a Kubernetes `List` is a document of its own.
 */
export function subjectsOf(
  documents: readonly YamlDocument[],
  path: string,
  takesListsApart = true,
): Subject[] {
  return documents.flatMap((document): Subject[] => {
    if (document.isEmpty) return [];
    const { root } = document;
    const items = takesListsApart && isList(root) ? valueAt(root, "items") : undefined;
    const isAlone = documents.length === 1;
    if (items?.kind !== "list") return [subject(document, path, root, isAlone)];
    return items.items.map(({ node }, item) => ({ ...subject(document, path, node, false), item }));
  });
}

function subject(document: YamlDocument, path: string, root: DataNode, isAlone: boolean): Subject {
  const identity = identityOf(root);
  return { document, path, root, isAlone, ...(identity === undefined ? {} : { identity }) };
}

function isList(node: DataNode): boolean {
  const kind = stringAt(node, "kind");
  if (kind === undefined || !/List$/.test(kind) || stringAt(node, "apiVersion") === undefined) return false;
  const items = valueAt(node, "items");
  // Items of a kind's own list need not say their kind again, and such are compared in their place.
  return items?.kind === "list" && items.items.every((item) => identityOf(item.node) !== undefined);
}

/** The identity of a Kubernetes object; undefined for anything else. */
export function identityOf(node: DataNode): KubeIdentity | undefined {
  const apiVersion = stringAt(node, "apiVersion");
  const kind = stringAt(node, "kind");
  const name = stringAt(node, "metadata", "name");
  if (apiVersion === undefined || kind === undefined || name === undefined) return undefined;
  return { apiVersion, kind, namespace: stringAt(node, "metadata", "namespace") ?? "", name };
}

/** Which document of one input is which of the other. */
export function matchSubjects(
  before: readonly Subject[],
  after: readonly Subject[],
  interner: Interner,
): SubjectMatching {
  const matcher = new Matcher(before, after, interner);
  const full = ({ identity }: Subject) => identity && [group(identity), name(identity)].join(" ");
  matcher.byText((subject) => identityText(subject, full(subject), true), "identity");
  matcher.byText((subject) => identityText(subject, full(subject), false), "identity");
  matcher.byText(({ identity }) => identity && name(identity), "kind and name");
  matcher.byPlace();
  matcher.byLikeness();
  return matcher.result();
}

function identityText(subject: Subject, text: string | undefined, inOneFile: boolean): string | undefined {
  return text === undefined ? undefined : `${inOneFile ? subject.path : ""}\n${text}`;
}

function group({ apiVersion }: KubeIdentity): string {
  return apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
}

function name(identity: KubeIdentity): string {
  return `${identity.kind} ${identity.namespace}/${identity.name}`;
}

class Matcher {
  readonly #before: readonly Subject[];
  readonly #after: readonly Subject[];
  readonly #interner: Interner;
  readonly #left: Set<Subject>;
  readonly #right: Set<Subject>;
  readonly #pairs: SubjectPair[] = [];

  constructor(before: readonly Subject[], after: readonly Subject[], interner: Interner) {
    this.#before = before;
    this.#after = after;
    this.#interner = interner;
    this.#left = new Set(before);
    this.#right = new Set(after);
  }

  #pair(pair: SubjectPair): void {
    this.#pairs.push(pair);
    this.#left.delete(pair.before);
    this.#right.delete(pair.after);
  }

  /** Pairs what has the same text, in its order where several have it. */
  byText(textOf: (subject: Subject) => string | undefined, by: SubjectPair["by"]): void {
    const others = new Map<string, Subject[]>();
    for (const subject of this.#right) {
      const text = textOf(subject);
      if (text === undefined) continue;
      const known = others.get(text);
      if (known === undefined) others.set(text, [subject]);
      else known.push(subject);
    }
    for (const subject of [...this.#left]) {
      const text = textOf(subject);
      const other = text === undefined ? undefined : others.get(text)?.shift();
      if (other !== undefined) this.#pair({ before: subject, after: other, by });
    }
  }

  /** Pairs documents without an identity, file by file: equal ones first, then between those the ones that are alike. */
  byPlace(): void {
    const files = new Set([...this.#left].map(({ path }) => path));
    for (const path of files) {
      const isHere = (subject: Subject) => subject.path === path && subject.identity === undefined;
      const [left, right] = [[...this.#left].filter(isHere), [...this.#right].filter(isHere)];
      const ids = (subjects: readonly Subject[]) => subjects.map(({ root }) => this.#interner.idOf(root));
      const aligned = align(ids(left), ids(right));
      let [fromA, fromB] = [0, 0];
      for (const [toA, toB] of [...aligned, [left.length, right.length] as Match]) {
        const between = (from: number, to: number) =>
          Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
        const [these, those] = [between(fromA, toA), between(fromB, toB)];
        const alike = pairAlike(these, those, (i, j) => this.#likeness(left[i]!, right[j]!));
        // As many of which none is alike stand for each other.
        const isReplaced = alike.length === 0 && these.length === those.length;
        const found = isReplaced ? these.map((i, at): Match => [i, those[at]!]) : alike;
        for (const [i, j] of found) this.#pair({ before: left[i]!, after: right[j]!, by: "place" });
        if (toA < left.length) this.#pair({ before: left[toA]!, after: right[toB]!, by: "place" });
        [fromA, fromB] = [toA + 1, toB + 1];
      }
    }
  }

  /** Pairs objects of one kind that were renamed: the most alike first. */
  byLikeness(): void {
    const kinds = new Set([...this.#left].map(({ identity }) => identity?.kind));
    for (const kind of kinds) {
      const isOfKind = ({ identity }: Subject) => identity?.kind === kind;
      const [left, right] = [[...this.#left].filter(isOfKind), [...this.#right].filter(isOfKind)];
      if (left.length * right.length > MAX_COMPARISONS) continue;
      const alike = left.flatMap((before) =>
        right.map((after) => ({ before, after, similarity: this.#likeness(before, after) })),
      );
      alike.sort((a, b) => b.similarity - a.similarity);
      for (const pair of alike) {
        if (pair.similarity < RENAMED) break;
        if (this.#left.has(pair.before) && this.#right.has(pair.after)) this.#pair({ ...pair, by: "alike" });
      }
    }
  }

  #likeness(a: Subject, b: Subject): number {
    const all = leavesOf(a.root) + leavesOf(b.root);
    return all === 0 ? 1 : (2 * sharedLeaves(a.root, b.root, this.#interner)) / all;
  }

  result(): SubjectMatching {
    const order = new Map(this.#before.map((subject, at) => [subject, at]));
    return {
      pairs: this.#pairs.sort((a, b) => order.get(a.before)! - order.get(b.before)!),
      removed: this.#before.filter((subject) => this.#left.has(subject)),
      added: this.#after.filter((subject) => this.#right.has(subject)),
    };
  }
}

/** `Deployment default/web`, or the file and, where there are several, the number of the document in it, from 1. */
export function subjectName(subject: Subject): string {
  const { identity, document, path, item } = subject;
  if (identity !== undefined) {
    const { kind, namespace, name: own } = identity;
    return `${kind} ${namespace === "" ? "" : `${namespace}/`}${own}`;
  }
  const file = path === "" ? document.source.name : path;
  if (subject.isAlone) return file;
  return `${file}, document ${document.index + 1}${item === undefined ? "" : `, item ${item + 1}`}`;
}
