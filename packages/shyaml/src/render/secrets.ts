import type { Change, Side } from "../diff/change.ts";
import { nameOf } from "../diff/changes.ts";
import type { DiffReport, DocumentDiff } from "../diff/compare.ts";
import type { Subject } from "../diff/documents.ts";
import type { Path } from "../diff/path.ts";
import { type DataNode, type ScalarNode, stringAt } from "../document/node.ts";

/** What stands for a value of a Secret, whatever its length. */
const MASK = "***";
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** The report with what Secrets hold hidden; that a value changed is still seen. Nothing else of a report is to be shown. */
export function maskReport(report: DiffReport): DiffReport {
  return { ...report, documents: report.documents.map(maskDocument) };
}

function maskDocument(diff: DocumentDiff): DocumentDiff {
  const { before, after } = diff;
  const isOneSided = before === undefined || after === undefined;
  const mask = (subject: Subject, label: string): Subject => ({
    ...subject,
    root: maskNode(subject.root, undefined, isOneSided ? MASK : `${MASK} (${label})`),
  });
  return {
    ...diff,
    ...(before === undefined ? {} : { before: mask(before, "before") }),
    ...(after === undefined ? {} : { after: mask(after, "after") }),
    changes: diff.changes.map((change) => maskChange(change, diff)),
  };
}

function maskChange(change: Change, diff: DocumentDiff): Change {
  const { before, after } = change;
  const names =
    namesInside(diff.before?.root, change.path, "before") ??
    namesInside(diff.after?.root, change.path, "after");
  const isOneSided = before === undefined || after === undefined;
  const mask = (side: Side, label: string): Side => ({
    ...side,
    node: maskNode(side.node, names, isOneSided ? MASK : `${MASK} (${label})`),
  });
  const masked: Change = {
    ...change,
    ...(before === undefined ? {} : { before: mask(before, "before") }),
    ...(after === undefined ? {} : { after: mask(after, "after") }),
  };
  if (names === undefined) return masked;
  return {
    ...masked,
    ...(change.comments === undefined
      ? {}
      : {
          comments: {
            before: maskText(change.comments.before, "before"),
            after: maskText(change.comments.after, "after"),
          },
        }),
    ...(isHidden(names) ? { path: change.path.map(withoutValues) } : {}),
    ...(change.order !== undefined && isHidden(names) ? { order: { before: [MASK], after: [MASK] } } : {}),
  };
}

function maskText(text: string | undefined, label: string): string | undefined {
  return text === undefined ? undefined : `${MASK} (${label})`;
}

function withoutValues(segment: Path[number]): Path[number] {
  if (segment.kind === "key") return segment;
  const { match: _, ...places } = segment;
  return places;
}

/** The keys from the outermost Secret down to a path; undefined where the path is in none. */
function namesInside(root: DataNode | undefined, path: Path, side: "before" | "after"): string[] | undefined {
  let node = root;
  let names: string[] | undefined;
  let isSecretList = false;
  for (const segment of [undefined, ...path]) {
    if (segment !== undefined) {
      if (segment.kind === "key") {
        names?.push(segment.name);
        node = childNamed(node, segment.name);
      } else {
        names?.push("");
        const place = segment[side];
        node = node?.kind === "list" && place !== undefined ? node.items[place]?.node : undefined;
      }
    }
    // What a Secret holds may look like one.
    if (stringAt(node, "kind") === "Secret" || (isSecretList && segment?.kind === "item")) names ??= [];
    if (stringAt(node, "kind") === "SecretList") isSecretList = true;
  }
  return names;
}

function childNamed(node: DataNode | undefined, name: string): DataNode | undefined {
  return node?.kind === "map" ? node.entries.find(({ key }) => nameOf(key) === name)?.node : undefined;
}

/** @param names The keys from the Secret down to the node; undefined outside of one. */
function maskNode(node: DataNode, names: readonly string[] | undefined, mask: string): DataNode {
  const kind = stringAt(node, "kind");
  const own = names ?? (kind === "Secret" ? [] : undefined);
  if (node.kind === "scalar") return own !== undefined && isHidden(own) ? masked(node, mask) : node;
  if (node.kind === "list") {
    const below = own === undefined ? undefined : [...own, ""];
    return { ...node, items: node.items.map((item) => ({ node: maskNode(item.node, below, mask) })) };
  }
  const entries = node.entries.map(({ key, node: value }) => {
    const below = own === undefined ? undefined : [...own, nameOf(key)];
    if (own === undefined && kind === "SecretList" && nameOf(key) === "items" && value.kind === "list") {
      return {
        key,
        node: { ...value, items: value.items.map((item) => ({ node: maskNode(item.node, [], mask) })) },
      };
    }
    return { key, node: maskNode(value, below, mask) };
  });
  return { ...node, entries };
}

function isHidden(names: readonly string[]): boolean {
  if (names[0] === "data" || names[0] === "stringData") return true;
  return names[0] === "metadata" && names[1] === "annotations" && names[2] === LAST_APPLIED;
}

function masked({ start }: DataNode, text: string): ScalarNode {
  return { kind: "scalar", type: "string", text, value: text, start };
}
