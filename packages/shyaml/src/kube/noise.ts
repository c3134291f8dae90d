import { type DataNode, type Entry, isNull, type MapNode, valueAt } from "../document/node.ts";
import { plainValue } from "../render/build.ts";
import { absentMeans, fieldShape, itemShape, type Shape } from "./shape.ts";

/*
 * What a cluster adds to an object that nobody asked for: profile `live`. `kubectl.kubernetes.io/restartedAt` is none of
 * it, for a restart by hand is something that a reviewer wants to see.
 */

/** What the cluster writes of its own accord, whatever the manifest says. */
const ALWAYS: readonly string[] = [
  "status",
  "metadata.creationTimestamp",
  "metadata.uid",
  "metadata.resourceVersion",
  "metadata.generation",
  "metadata.selfLink",
  "metadata.managedFields",
  "metadata.deletionTimestamp",
  "metadata.deletionGracePeriodSeconds",
  "metadata.annotations.kubectl.kubernetes.io/last-applied-configuration",
  "metadata.annotations.deployment.kubernetes.io/revision",
];

/** What the cluster chooses where the manifest is silent, by kind; `*` stands for a list's item. */
const UNSAID: Readonly<Record<string, readonly string[]>> = {
  Service: [
    "spec.clusterIP",
    "spec.clusterIPs",
    "spec.ipFamilies",
    "spec.ipFamilyPolicy",
    "spec.healthCheckNodePort",
    "spec.ports.*.nodePort",
    "spec.ports.*.targetPort",
  ],
  Pod: [
    "spec.nodeName",
    "spec.serviceAccount",
    "spec.serviceAccountName",
    "spec.tolerations",
    "spec.priority",
  ],
  PersistentVolume: [
    "spec.claimRef",
    "metadata.finalizers",
    "metadata.annotations.pv.kubernetes.io/bound-by-controller",
    "metadata.annotations.pv.kubernetes.io/provisioned-by",
  ],
  PersistentVolumeClaim: [
    "spec.volumeName",
    "spec.storageClassName",
    "metadata.finalizers",
    "metadata.annotations.pv.kubernetes.io/bind-completed",
    "metadata.annotations.pv.kubernetes.io/bound-by-controller",
    "metadata.annotations.volume.beta.kubernetes.io/storage-provisioner",
    "metadata.annotations.volume.kubernetes.io/storage-provisioner",
    "metadata.annotations.volume.kubernetes.io/selected-node",
  ],
  Namespace: ["spec.finalizers", "metadata.labels.kubernetes.io/metadata.name"],
  Job: [
    "spec.selector",
    "spec.template.metadata.labels.controller-uid",
    "spec.template.metadata.labels.job-name",
    "spec.template.metadata.labels.batch.kubernetes.io/controller-uid",
    "spec.template.metadata.labels.batch.kubernetes.io/job-name",
  ],
  ServiceAccount: ["secrets"],
};

/** Volumes and mounts of tokens that every pod gets. */
const TOKEN_VOLUME = /^(?:kube-api-access-\w+|.*-token-\w{5})$/;
const TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

export interface PruneOptions {
  readonly kind: string;
  readonly shape: Shape;
  /** Keeps nothing of which the manifest is silent. */
  readonly isSubset: boolean;
}

/** An object without what the cluster writes of its own accord; both sides of a dry run are compared so. */
export function withoutNoise(object: DataNode): DataNode {
  let result = object;
  for (const path of ALWAYS) result = without(result, steps(path));
  return result;
}

/** An object of the cluster as it is to be compared with `manifest`: without defaults where that is silent. */
export function pruned(object: DataNode, manifest: DataNode, options: PruneOptions): DataNode {
  let live = withoutNoise(object);
  if (valueAt(valueAt(manifest, "metadata"), "namespace") === undefined) {
    live = without(live, ["metadata", "namespace"]);
  }
  for (const path of UNSAID[options.kind] ?? []) live = withoutUnsaid(live, manifest, steps(path));
  return prune(live, manifest, options.shape, options.isSubset) ?? live;
}

/** A path's steps. Keys of labels and annotations have dots of their own, and are the last step. */
function steps(path: string): string[] {
  const keyed = /^(.*\.(?:labels|annotations))\.(.+)$/.exec(path);
  return keyed === null ? path.split(".") : [...keyed[1]!.split("."), keyed[2]!];
}

/** A value without what is at a path, and without the mappings that this leaves empty. */
export function without(node: DataNode, [step, ...rest]: readonly string[]): DataNode {
  if (node.kind !== "map" || step === undefined) return node;
  return mapEntries(node, (name, value) => {
    if (name !== step) return value;
    if (rest.length === 0) return undefined;
    const below = without(value, rest);
    return below !== value && isEmpty(below) ? undefined : below;
  });
}

function withoutUnsaid(
  node: DataNode,
  manifest: DataNode | undefined,
  [step, ...rest]: readonly string[],
): DataNode {
  if (step === "*" && node.kind === "list") {
    const others = manifest?.kind === "list" ? manifest.items : [];
    const items = node.items.map((item, i) => ({
      ...item,
      node: withoutUnsaid(item.node, others[i]?.node, rest),
    }));
    return { ...node, items };
  }
  if (node.kind !== "map" || step === undefined) return node;
  const said = valueAt(manifest, step);
  return mapEntries(node, (name, value) => {
    if (name !== step) return value;
    if (rest.length > 0) {
      const below = withoutUnsaid(value, said, rest);
      return below !== value && isEmpty(below) ? undefined : below;
    }
    return isUnsaid(said) ? undefined : value;
  });
}

/** @returns Undefined where nothing but defaults stands, and the manifest says nothing. */
function prune(
  live: DataNode,
  manifest: DataNode | undefined,
  shape: Shape,
  isSubset: boolean,
): DataNode | undefined {
  if (isUnsaid(manifest) && isDefault(live, shape)) return undefined;
  if (live.kind === "map") {
    const result = mapEntries(live, (name, value) => {
      const said = valueAt(manifest, name);
      if (said === undefined && isSubset && manifest !== undefined) return undefined;
      if (
        said === undefined &&
        name === "serviceAccount" &&
        isSame(value, valueAt(live, "serviceAccountName"))
      ) {
        return undefined;
      }
      return prune(value, said, fieldShape(shape, name), isSubset);
    });
    return manifest === undefined && isEmpty(result) && !isEmpty(live) ? undefined : result;
  }
  if (live.kind === "list") {
    const others = itemsFor(live, manifest, shape);
    const items = live.items.flatMap((item, i) => {
      const said = others[i];
      if (said === undefined && (isTokenVolume(item.node) || (isSubset && shape.list?.type === "map")))
        return [];
      return [{ ...item, node: prune(item.node, said, itemShape(shape), isSubset) ?? item.node }];
    });
    return manifest === undefined && items.length === 0 && live.items.length > 0
      ? undefined
      : { ...live, items };
  }
  return live;
}

/** For each item of a list the one that the manifest has for it. */
function itemsFor(live: DataNode, manifest: DataNode | undefined, shape: Shape): (DataNode | undefined)[] {
  if (live.kind !== "list" || manifest?.kind !== "list") return [];
  const keys = shape.list?.type === "map" ? shape.list.keys : [["name"]];
  for (const fields of keys) {
    const idOf = (node: DataNode) => {
      const values = fields.map((field) => {
        const value = valueAt(node, field);
        return isUnsaid(value) ? undefined : value;
      });
      if (values.every((value) => value === undefined)) return undefined;
      return values
        .map((value, i) =>
          value?.kind === "scalar" ? value.text : String(absentMeans(itemShape(shape), fields[i]!)),
        )
        .join("\n");
    };
    const places = new Map(manifest.items.map(({ node }) => [idOf(node), node]));
    if (places.has(undefined) || places.size < manifest.items.length) continue;
    return live.items.map(({ node }) => places.get(idOf(node)));
  }
  return live.items.length === manifest.items.length ? manifest.items.map(({ node }) => node) : [];
}

/** Null asks for what the cluster makes of nothing. */
function isUnsaid(value: DataNode | undefined): boolean {
  return value === undefined || isNull(value);
}

function isTokenVolume(item: DataNode): boolean {
  const [name, path] = [valueAt(item, "name"), valueAt(item, "mountPath")];
  if (path?.kind === "scalar") return path.text === TOKEN_PATH;
  const isVolume = valueAt(item, "projected") !== undefined || valueAt(item, "secret") !== undefined;
  return isVolume && name?.kind === "scalar" && TOKEN_VOLUME.test(name.text);
}

/** Whether a value is what the server writes where the manifest is silent. */
export function isDefault(node: DataNode, { defaults }: Shape): boolean {
  if (defaults === undefined) return false;
  const text = JSON.stringify(sorted(plainValue(node)));
  return defaults.some((value) => JSON.stringify(sorted(value)) === text);
}

function isSame(node: DataNode, other: DataNode | undefined): boolean {
  return node.kind === "scalar" && other?.kind === "scalar" && node.text === other.text;
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  );
}

function isEmpty(node: DataNode): boolean {
  return (
    (node.kind === "map" && node.entries.length === 0) || (node.kind === "list" && node.items.length === 0)
  );
}

function mapEntries(
  node: MapNode,
  change: (name: string, value: DataNode) => DataNode | undefined,
): DataNode {
  let isChanged = false;
  const entries = node.entries.flatMap((entry): Entry[] => {
    const value = entry.key.kind === "scalar" ? change(entry.key.text, entry.node) : entry.node;
    if (value === entry.node) return [entry];
    isChanged = true;
    return value === undefined ? [] : [{ ...entry, node: value }];
  });
  return isChanged ? { ...node, entries } : node;
}

/** A Secret as the server keeps it: what `stringData` says stands in `data`. Other objects as they are. */
export function asKept(manifest: DataNode): DataNode {
  const [kind, said] = [valueAt(manifest, "kind"), valueAt(manifest, "stringData")];
  if (manifest.kind !== "map" || kind?.kind !== "scalar" || kind.text !== "Secret" || said?.kind !== "map")
    return manifest;
  const data = valueAt(manifest, "data");
  const names = new Set(said.entries.map(({ key }) => (key.kind === "scalar" ? key.text : "")));
  const kept = (data?.kind === "map" ? data.entries : []).filter(
    ({ key }) => key.kind !== "scalar" || !names.has(key.text),
  );
  const encoded = said.entries.map((entry): Entry => {
    if (entry.node.kind !== "scalar") return entry;
    const text = Buffer.from(entry.node.text).toString("base64");
    return { ...entry, node: { ...entry.node, type: "string", text, value: text } };
  });
  const merged: MapNode = { kind: "map", start: said.start, entries: [...kept, ...encoded] };
  const others = manifest.entries.filter(
    ({ key }) => key.kind !== "scalar" || !/^(?:string)?[dD]ata$/.test(key.text),
  );
  const place = manifest.entries.find(({ node }) => node === said)!;
  const key = { ...place.key, ...(place.key.kind === "scalar" ? { text: "data", value: "data" } : {}) };
  return { ...manifest, entries: [...others, { ...place, key, node: merged }] };
}
