import type { Path, Segment } from "../diff/path.ts";
import { type DataNode, type Entry, type Item, valueAt } from "../document/node.ts";

/** What stands one step down: an entry of a map, or an item of a list. */
function stepDown(
  node: DataNode | undefined,
  segment: Segment,
  side: "before" | "after",
): Entry | Item | undefined {
  if (segment.kind === "key") {
    if (node?.kind !== "map") return undefined;
    return node.entries.find(({ key }) => key.kind === "scalar" && key.text === segment.name);
  }
  if (node?.kind !== "list") return undefined;
  const { match } = segment;
  if (match === undefined || match.length === 0) {
    const place = segment[side];
    return place === undefined ? undefined : node.items[place];
  }
  return node.items.find((item) =>
    match.every(([field, value]) => {
      const own = valueAt(item.node, field);
      return own?.kind === "scalar" && own.text === value;
    }),
  );
}

/** What another document has at a path. Items of lists are found by what they were told apart by, else by their place. */
export function nodeAt(
  root: DataNode | undefined,
  path: Path,
  side: "before" | "after",
): DataNode | undefined {
  let node = root;
  for (const segment of path) node = stepDown(node, segment, side)?.node;
  return node;
}

/** Where a path begins in another document, or the nearest of what is above it. */
export function startAt(root: DataNode, path: Path): number {
  let [node, start]: [DataNode, number] = [root, root.start];
  for (const segment of path) {
    const found = stepDown(node, segment, "after");
    if (found === undefined) break;
    start = "key" in found ? found.key.start : found.node.start;
    node = found.node;
  }
  return start;
}
