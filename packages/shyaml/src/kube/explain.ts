import type { Change } from "../diff/change.ts";
import type { Path } from "../diff/path.ts";
import { type DataNode, stringAt, valueAt } from "../document/node.ts";
import { sameValue } from "../sort/same-data.ts";
import { isDefault } from "./noise.ts";
import { nodeAt } from "./places.ts";
import { fieldShape, itemShape, type Shape } from "./shape.ts";

/** The three that are compared when a difference is explained. */
export interface ThreeWay {
  /** What was applied last, as kubectl remembers it. */
  readonly lastApplied: DataNode | undefined;
  /** What the cluster has, with its managed fields. */
  readonly live: DataNode;
  readonly manifest: DataNode;
  readonly shape: Shape;
}

/** Managers by whose name people apply manifests. */
const APPLIERS = /^(?:kubectl|kubectl-client-side-apply|kubectl-last-applied|before-first-apply)$/;

/** Why a place differs: who changed what since the manifest was last applied. */
export function explain({ path, kind }: Change, three: ThreeWay): string | undefined {
  if (kind === "moved" || kind === "order" || kind === "comment") return undefined;
  const live = nodeAt(three.live, path, "before");
  const own = nodeAt(three.manifest, path, "after");
  if (own === undefined && live === undefined) return "the cluster adds it";
  const was = nodeAt(three.lastApplied, path, "before");
  if (own === undefined) return explainMissing(path, live!, was, three);
  if (three.lastApplied === undefined)
    return "kubectl keeps nothing of what was applied last, so who changed it is not known";
  if (live === undefined) {
    if (was === undefined) return "you added it";
    return sameValue(was, own) ? "the cluster removed it" : "you changed it, and the cluster removed it";
  }
  if (was === undefined) return "you set it, where the cluster has its own";
  if (sameValue(was, live)) return "you changed it";
  const who = otherOwner(three.live, path);
  const cluster = who === undefined ? "the cluster" : who;
  return sameValue(was, own) ? `${cluster} changed it` : `both changed it, you and ${cluster}`;
}

function explainMissing(path: Path, live: DataNode, was: DataNode | undefined, three: ThreeWay): string {
  if (was !== undefined) return "you removed it";
  if (isDefault(live, shapeAt(three.shape, path))) return "default";
  const owner = otherOwner(three.live, path);
  if (owner !== undefined) return `owned by ${owner}, would stay`;
  return three.lastApplied === undefined
    ? "the cluster has it, would stay"
    : "the cluster added it, would stay";
}

function shapeAt(root: Shape, path: Path): Shape {
  return path.reduce(
    (shape, segment) => (segment.kind === "key" ? fieldShape(shape, segment.name) : itemShape(shape)),
    root,
  );
}

/** Who owns a place by `managedFields`, other than by applying manifests. */
export function otherOwner(live: DataNode, path: Path): string | undefined {
  const managers = valueAt(valueAt(live, "metadata"), "managedFields");
  if (managers?.kind !== "list") return undefined;
  const owners = managers.items
    .map(({ node }) => node)
    .filter(
      (entry) => !APPLIERS.test(stringAt(entry, "manager") ?? "") && owns(valueAt(entry, "fieldsV1"), path),
    )
    .map((entry) => stringAt(entry, "manager"));
  return owners[0];
}

/** Whether a set of fields holds a path. Fields are `f:name`, items of lists `k:{"name":"web"}`. */
function owns(fields: DataNode | undefined, path: Path): boolean {
  let node = fields;
  for (const [depth, segment] of path.entries()) {
    if (node?.kind !== "map") return false;
    // What has no fields of its own is owned as one.
    if (node.entries.length === 0) return depth > 0;
    if (segment.kind === "key") node = valueAt(node, `f:${segment.name}`);
    else {
      const { match = [] } = segment;
      node = node.entries.find(({ key }) => key.kind === "scalar" && isItem(key.text, match))?.node;
    }
  }
  return node !== undefined;
}

function isItem(field: string, match: readonly (readonly [string, string])[]): boolean {
  if (!field.startsWith("k:") || match.length === 0) return false;
  try {
    const keys = JSON.parse(field.slice(2)) as Record<string, unknown>;
    return match.every(([name, value]) => String(keys[name]) === value);
  } catch {
    return false;
  }
}

/** What kubectl remembers as applied last; undefined where it remembers nothing. */
export function lastAppliedText(live: DataNode): string | undefined {
  return stringAt(live, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration");
}
