import type { DataNode, YamlDocument } from "../document/node.ts";

/** Whether two inputs say the same: the same documents with the same values and tags, in which only keys change places. */
export function sameData(one: readonly YamlDocument[], other: readonly YamlDocument[]): boolean {
  return one.length === other.length && one.every(({ root }, i) => sameValue(root, other[i]!.root));
}

/** Whether two values are the same but for the order of keys. */
export function sameValue(one: DataNode, other: DataNode): boolean {
  // An alias is its anchor's own node, and what was compared once is not compared again.
  const compared = new Map<DataNode, DataNode>();
  const pending: [DataNode, DataNode][] = [[one, other]];
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const [a, b] = pair;
    if (compared.get(a) === b) continue;
    if (a.tag !== b.tag) return false;
    if (a.kind === "scalar") {
      if (b.kind !== "scalar" || a.type !== b.type || a.text !== b.text) return false;
      continue;
    }
    compared.set(a, b);
    if (a.kind === "list") {
      if (b.kind !== "list" || a.items.length !== b.items.length) return false;
      for (const [i, item] of a.items.entries()) pending.push([item.node, b.items[i]!.node]);
    } else {
      if (b.kind !== "map" || a.entries.length !== b.entries.length) return false;
      // A key and an alias of it may be one key twice.
      const values = Map.groupBy(b.entries, ({ key }) => written(key));
      for (const { key, node } of a.entries) {
        const entry = values.get(written(key))?.shift();
        if (entry === undefined) return false;
        pending.push([node, entry.node]);
      }
    }
  }
  return true;
}

/** A key as text that no other key has. */
function written(key: DataNode): string {
  const tag = key.tag === undefined ? "" : `${key.tag} `;
  if (key.kind === "scalar") return `${tag}${key.type} ${JSON.stringify(key.text)}`;
  if (key.kind === "list") return `${tag}[${key.items.map(({ node }) => written(node)).join()}]`;
  return `${tag}{${key.entries
    .map((entry) => `${written(entry.key)}: ${written(entry.node)}`)
    .sort()
    .join()}}`;
}
