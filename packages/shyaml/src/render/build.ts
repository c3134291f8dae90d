import type { DataNode, ScalarNode } from "../document/node.ts";
import { decimalOf } from "../document/number.ts";

/** What a node can be made of; members that are undefined are left out. */
export type Buildable =
  | DataNode
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly Buildable[]
  | { readonly [name: string]: Buildable };

/** A node of a plain value, which may hold nodes: so that numbers of documents keep their digits in what is written. */
export function build(value: Buildable): DataNode {
  if (value === null || value === undefined) return scalar("null", "null", "");
  if (typeof value === "string") return scalar("string", value, value);
  if (typeof value === "boolean") return scalar("bool", String(value), String(value));
  if (typeof value === "number") return scalar("number", String(value), decimalOf(String(value)));
  if (Array.isArray(value)) {
    return { kind: "list", items: value.map((item: Buildable) => ({ node: build(item) })), start: 0 };
  }
  if (isNode(value)) return value;
  const entries = Object.entries(value as Record<string, Buildable>)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => ({ key: scalar("string", name, name), node: build(member) }));
  return { kind: "map", entries, start: 0 };
}

function isNode(value: object): value is DataNode {
  return "start" in value && "kind" in value && ("items" in value || "entries" in value || "text" in value);
}

function scalar(type: ScalarNode["type"], text: string, value: string): ScalarNode {
  return { kind: "scalar", type, text, value, start: 0 };
}

/** A node as JavaScript has it; numbers lose what it cannot hold. */
export function plainValue(node: DataNode): unknown {
  if (node.kind === "list") return node.items.map((item) => plainValue(item.node));
  if (node.kind === "map") {
    return Object.fromEntries(
      node.entries.map(({ key, node: value }) => [
        key.kind === "scalar" ? key.text : JSON.stringify(plainValue(key)),
        plainValue(value),
      ]),
    );
  }
  if (node.type === "null") return null;
  if (node.type === "bool") return node.value === "true";
  if (node.type === "string") return node.text;
  if (node.value === "nan") return Number.NaN;
  return Number(node.value.replace("inf", "Infinity"));
}

/**
 * A node with what JSON cannot say written as JSON all the same: `{"$yaml": ".nan"}`, `{"$tag": "!Ref", "$value": …}`, and keys
 * that are collections as text. For reports, which are to be read and not to be applied.
 */
export function sayable(node: DataNode): DataNode {
  if (node.tag !== undefined) {
    const { tag, ...rest } = node;
    return build({ $tag: tag, $value: sayable(rest as DataNode) });
  }
  if (node.kind === "scalar")
    return /^(?:-?inf|nan)$/.test(node.type === "number" ? node.value : "")
      ? build({ $yaml: node.text })
      : node;
  if (node.kind === "list")
    return { ...node, items: node.items.map((item) => ({ node: sayable(item.node) })) };
  const names = new Set<string>();
  const entries = node.entries.map(({ key, node: value }) => {
    let name = key.kind === "scalar" ? key.text : JSON.stringify(plainValue(key));
    while (names.has(name)) name += " ";
    names.add(name);
    return { key: scalar("string", name, name), node: sayable(value) };
  });
  return { ...node, entries };
}
