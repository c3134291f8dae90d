import type { Change } from "../diff/change.ts";
import { ChangeFinder } from "../diff/changes.ts";
import type { CompareOptions, DiffReport, DocumentDiff } from "../diff/compare.ts";
import { type KubeIdentity, type Subject, subjectName } from "../diff/documents.ts";
import { Interner } from "../diff/interner.ts";
import { pathText } from "../diff/path.ts";
import { loadDocuments } from "../document/load.ts";
import {
  type DataNode,
  isEmptyCollection,
  isNull,
  placeOf,
  stringAt,
  type YamlDocument,
} from "../document/node.ts";
import { ShyamlError } from "../errors.ts";
import { jsonText } from "../render/json-text.ts";
import { explain, lastAppliedText, otherOwner, type ThreeWay } from "./explain.ts";
import { type Kubectl, KubectlError, type ObjectReference } from "./kubectl.ts";
import { asKept, pruned, withoutNoise } from "./noise.ts";
import { nodeAt, startAt } from "./places.ts";
import type { Secrets } from "./redact.ts";
import { Schemas } from "./schema.ts";
import type { Shape } from "./shape.ts";

/**
 * What a manifest is compared with. `server`: what the cluster would make of it, by a dry run; `live`: what the cluster
 * has, without what it adds of its own accord; `last-applied`: what kubectl remembers as applied last.
 */
export type KubeMode = "server" | "live" | "last-applied";

export interface KubeDiffOptions extends CompareOptions {
  /** Default: `server`, and `live` for objects of which a dry run is forbidden. */
  readonly mode?: KubeMode;
  /** Says of each difference who made it. */
  readonly threeWay?: boolean;
  /** Of the cluster's objects nothing counts of which the manifest is silent. Mode `live` alone. */
  readonly subset?: boolean;
  /** Dry runs are of server-side apply. */
  readonly serverSide?: boolean;
  /** For manifests that name none. Default: kubectl's. */
  readonly namespace?: string;
  /** kubectls that run at a time. Default 4. */
  readonly concurrency?: number;
}

export const DEFAULT_CONCURRENCY = 4;

export interface KubeDiff {
  readonly report: DiffReport;
  /** Objects that were compared in each way; `new` ones are not in the cluster. */
  readonly modes: Readonly<Record<KubeMode | "new", number>>;
  /** What could not be compared, and why. */
  readonly problems: readonly string[];
}

interface Compared {
  readonly mode: KubeMode | "new";
  readonly diff?: DocumentDiff;
  readonly notes: readonly string[];
}

/**
 * Compares manifests with a cluster, which is the first of the two sides.
 * @param secrets Learns what is not to be seen in what kubectl says; `kubectl` is to redact with it.
 * @throws ShyamlError `OBJECT_INVALID` for what is no object, `KUBECTL_FAILED` where nothing can be compared.
 */
export async function kubeDiff(
  subjects: readonly Subject[],
  kubectl: Kubectl,
  secrets: Secrets,
  options: KubeDiffOptions = {},
): Promise<KubeDiff> {
  for (const subject of subjects) {
    secrets.add(subject.root);
    if (subject.identity === undefined) refuse(subject);
  }
  const comparing = new Comparing(kubectl, secrets, options, subjects);
  const results: (Compared | KubectlError)[] = [];
  const waiting = subjects.entries();
  let hasEnded = false;
  const work = async () => {
    for (const [i, subject] of waiting) {
      if (hasEnded) return;
      try {
        results[i] = await comparing.compare(subject);
      } catch (error) {
        hasEnded ||= !(error instanceof KubectlError) || error.failure === "everything";
        if (hasEnded) throw error;
        results[i] = error as KubectlError;
      }
    }
  };
  const workers = Math.min(options.concurrency ?? DEFAULT_CONCURRENCY, subjects.length);
  await Promise.all(Array.from({ length: workers }, work));
  const modes = { server: 0, live: 0, "last-applied": 0, new: 0 };
  const compared = results.filter((result): result is Compared => !(result instanceof KubectlError));
  for (const { mode } of compared) modes[mode]++;
  return {
    report: {
      documents: compared.flatMap(({ diff }) => (diff === undefined ? [] : [diff])),
      compared: compared.length,
      notes: [...new Set(compared.flatMap(({ notes }) => notes))],
    },
    modes,
    problems: results.flatMap((result) => (result instanceof KubectlError ? [result.message] : [])),
  };
}

function refuse({ document, root, item }: Subject): never {
  const what = item === undefined ? "this" : `item ${item + 1} of this list`;
  const named = stringAt(root, "metadata", "generateName") !== undefined;
  const why = named
    ? "has generateName and no name, so it is a new one each time"
    : "is no Kubernetes object";
  const detail = `${what} ${why}: apiVersion, kind and metadata.name are needed`;
  throw new ShyamlError("OBJECT_INVALID", detail, placeOf(document.source, root.start));
}

/** Kinds that the manifests themselves define, which the cluster may not know yet. */
function definedKinds(subjects: readonly Subject[]): ReadonlySet<string> {
  const kinds = new Set<string>();
  for (const { root } of subjects) {
    if (stringAt(root, "kind") !== "CustomResourceDefinition") continue;
    kinds.add(`${stringAt(root, "spec", "names", "kind")} ${stringAt(root, "spec", "group")}`);
  }
  return kinds;
}

/** Namespaces that the manifests themselves make. */
function definedNamespaces(subjects: readonly Subject[]): ReadonlySet<string> {
  const made = subjects.filter(({ identity }) => identity?.kind === "Namespace");
  return new Set(made.map(({ identity }) => identity!.name));
}

/** An object that the cluster does not have. */
function asNew(subject: Subject, notes: readonly string[] = []): Compared {
  const diff: DocumentDiff = { status: "added", name: subjectName(subject), after: subject, changes: [] };
  return { mode: "new", diff, notes };
}

class Comparing {
  readonly #kubectl: Kubectl;
  readonly #secrets: Secrets;
  readonly #options: KubeDiffOptions;
  readonly #schemas: Schemas;
  readonly #kinds: ReadonlySet<string>;
  readonly #namespaces: ReadonlySet<string>;
  readonly #interner = new Interner(false);

  constructor(kubectl: Kubectl, secrets: Secrets, options: KubeDiffOptions, subjects: readonly Subject[]) {
    this.#kubectl = kubectl;
    this.#secrets = secrets;
    this.#options = options;
    this.#schemas = options.schemas ?? new Schemas();
    this.#kinds = definedKinds(subjects);
    this.#namespaces = definedNamespaces(subjects);
  }

  async compare(subject: Subject): Promise<Compared> {
    const identity = subject.identity!;
    const namespace = identity.namespace === "" ? (this.#options.namespace ?? "") : identity.namespace;
    const reference: ObjectReference = { ...identity, namespace };
    const { mode = "server" } = this.#options;
    const found = await this.#get(reference, identity);
    if (found === "kind not there") {
      const note = `${subjectName(subject)}: its kind is not in the cluster yet, so there was no dry run of it`;
      return asNew(subject, mode === "server" ? [note] : []);
    }
    if (found === undefined) return mode === "server" ? this.#made(subject, reference) : asNew(subject);
    const live = this.#loaded(found.text, "cluster");
    if (mode === "last-applied") return this.#withLastApplied(subject, live);
    if (mode === "live") return this.#withLive(subject, live);
    try {
      const answer = await this.#dryRun(subject, reference);
      return this.#withServer(subject, live, this.#loaded(answer, live.source.name));
    } catch (error) {
      const isForbidden = error instanceof KubectlError && error.failure === "forbidden";
      if (!isForbidden || this.#options.mode === "server") throw error;
      const note = `${subjectName(subject)} was compared with what the cluster has, for a dry run is forbidden`;
      return this.#withLive(subject, live, [note]);
    }
  }

  async #get(
    reference: ObjectReference,
    { kind, apiVersion }: KubeIdentity,
  ): Promise<{ readonly text: string } | "kind not there" | undefined> {
    try {
      const text = await this.#kubectl.get(reference);
      return text === undefined ? undefined : { text };
    } catch (error) {
      const isNew = this.#kinds.has(`${kind} ${apiVersion.split("/")[0]}`);
      if (isNew && error instanceof KubectlError && error.failure === "kind unknown") return "kind not there";
      throw error;
    }
  }

  #dryRun(subject: Subject, reference: ObjectReference): Promise<string> {
    return this.#kubectl.dryRun(reference, jsonText(subject.root), this.#options.serverSide === true);
  }

  /** An object that is not in the cluster, as the cluster would make it. */
  async #made(subject: Subject, reference: ObjectReference): Promise<Compared> {
    const name = subjectName(subject);
    try {
      const answer = await this.#dryRun(subject, reference);
      const { root: made } = this.#loaded(answer, subject.document.source.name);
      const manifest = withoutNulls(asKept(subject.root));
      const shape = this.#shape(subject);
      const root = pruned(made, manifest, { kind: subject.identity!.kind, shape, isSubset: false });
      return asNew(
        { ...subject, root: { ...root, start: subject.root.start } },
        this.#notTaken(subject, made),
      );
    } catch (error) {
      if (!(error instanceof KubectlError)) throw error;
      if (error.failure === "forbidden" && this.#options.mode !== "server")
        return asNew(subject, [`${name} is shown as the manifest has it, for a dry run is forbidden`]);
      const { namespace } = reference;
      const isEarly =
        this.#namespaces.has(namespace) && error.message.includes(`namespaces "${namespace}" not found`);
      if (!isEarly) throw error;
      return asNew(subject, [
        `${name}: its namespace is not in the cluster yet, so there was no dry run of it`,
      ]);
    }
  }

  #loaded(text: string, name: string): YamlDocument {
    const [document] = loadDocuments(text, { name }).documents;
    if (document === undefined || document.isEmpty) {
      throw new KubectlError("refused", `${name}: kubectl answered with no object`);
    }
    this.#secrets.add(document.root);
    return document;
  }

  #withLive(subject: Subject, live: YamlDocument, notes: readonly string[] = []): Compared {
    const manifest = asKept(subject.root);
    const before = pruned(live.root, manifest, {
      kind: subject.identity!.kind,
      shape: this.#shape(subject),
      isSubset: this.#options.subset === true,
    });
    return this.#result(
      "live",
      subject,
      { document: live, root: before },
      withoutNulls(manifest),
      live,
      notes,
    );
  }

  #withLastApplied(subject: Subject, live: YamlDocument): Compared {
    const text = lastAppliedText(live.root);
    const remembered = text === undefined ? undefined : this.#parsed(text);
    if (remembered === undefined) {
      const note = `${subjectName(subject)} was compared with what the cluster has, for kubectl keeps nothing of it`;
      return this.#withLive(subject, live, [note]);
    }
    const manifest = asKept(subject.root);
    const shape = this.#shape(subject);
    const root = pruned(withoutNulls(asKept(remembered.root)), manifest, {
      kind: "",
      shape,
      isSubset: false,
    });
    return this.#result(
      "last-applied",
      subject,
      { document: remembered, root },
      withoutNulls(manifest),
      live,
      [],
    );
  }

  /** What kubectl remembers. Anybody may have written it. */
  #parsed(text: string): YamlDocument | undefined {
    try {
      return this.#loaded(text, "last applied");
    } catch (error) {
      if (error instanceof ShyamlError) return undefined;
      throw error;
    }
  }

  #withServer(subject: Subject, live: YamlDocument, made: YamlDocument): Compared {
    const root = { ...withoutNoise(made.root), start: subject.root.start };
    const notes = [...this.#notTaken(subject, made.root), ...this.#kept(subject, live.root, made.root)];
    const before = { document: live, root: withoutNoise(live.root) };
    return this.#result("server", subject, before, root, live, notes);
  }

  /** What the manifest says and the cluster does not take. */
  #notTaken(subject: Subject, made: DataNode): string[] {
    return this.#changes(withoutNulls(asKept(subject.root)), made, subject)
      .filter(({ kind, before }) => kind === "removed" && !isEmptyCollection(before!.node))
      .map(
        ({ path }) =>
          `${subjectName(subject)}: ${pathText(path)} is in the manifest, and the cluster does not take it`,
      );
  }

  /** What was removed from the manifest and would stay. */
  #kept(subject: Subject, live: DataNode, made: DataNode): string[] {
    const text = lastAppliedText(live);
    const was = text === undefined ? undefined : this.#parsed(text);
    if (was === undefined) return [];
    const manifest = withoutNulls(asKept(subject.root));
    return this.#changes(withoutNulls(asKept(was.root)), manifest, subject).flatMap(({ kind, path }) => {
      if (kind !== "removed" || pathText(path) === "metadata.namespace") return [];
      if (nodeAt(made, path, "before") === undefined) return [];
      const owner = otherOwner(live, path);
      const why = owner === undefined ? "" : `, for it is owned by ${owner}`;
      const name = subjectName(subject);
      return [`${name}: ${pathText(path)} was removed from the manifest, and would stay${why}`];
    });
  }

  #changes(before: DataNode, after: DataNode, subject: Subject): readonly Change[] {
    const finder = new ChangeFinder({ ...this.#options, quantities: true, interner: this.#interner });
    finder.compare(
      { node: before, start: before.start },
      { node: after, start: after.start },
      [],
      this.#shape(subject),
    );
    return finder.changes;
  }

  #result(
    mode: KubeMode,
    subject: Subject,
    before: { readonly document: YamlDocument; readonly root: DataNode },
    after: DataNode,
    live: YamlDocument,
    notes: readonly string[],
  ): Compared {
    const found = this.#changes(before.root, after, subject);
    const changes = found.map((change) => this.#told(change, subject, live.root));
    if (changes.length === 0) return { mode, notes };
    const name = subjectName(subject);
    const one: Subject = { ...subject, document: before.document, root: before.root };
    const diff: DocumentDiff = {
      status: "changed",
      name,
      before: one,
      after: { ...subject, root: after },
      changes,
    };
    return { mode, diff, notes };
  }

  /** A change at its place in the manifest, whatever text it was found in, and with who made it. */
  #told(change: Change, subject: Subject, live: DataNode): Change {
    const { path, after } = change;
    const placed =
      after === undefined ? change : { ...change, after: { ...after, start: startAt(subject.root, path) } };
    if (this.#options.threeWay !== true) return placed;
    const text = lastAppliedText(live);
    const was = text === undefined ? undefined : this.#parsed(text);
    const three: ThreeWay = {
      lastApplied: was === undefined ? undefined : asKept(was.root),
      live,
      manifest: asKept(subject.root),
      shape: this.#shape(subject),
    };
    const note = explain(change, three);
    return note === undefined ? placed : { ...placed, note };
  }

  #shape({ identity }: Subject): Shape {
    return this.#schemas.shape(identity!.apiVersion, identity!.kind);
  }
}

/** To the cluster null is nothing, and so are labels and annotations of which there are none. */
function withoutNulls(node: DataNode): DataNode {
  if (node.kind === "list") {
    return { ...node, items: node.items.map((item) => ({ ...item, node: withoutNulls(item.node) })) };
  }
  if (node.kind !== "map") return node;
  const entries = node.entries
    .filter(({ key, node: value }) => {
      if (value.kind === "scalar") return !isNull(value);
      const isListed = key.kind === "scalar" && (key.text === "labels" || key.text === "annotations");
      return !(isListed && isEmptyCollection(value));
    })
    .map((entry) => ({ ...entry, node: withoutNulls(entry.node) }));
  return { ...node, entries };
}
