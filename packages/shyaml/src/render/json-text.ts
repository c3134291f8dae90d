import { type DataNode, placeOf, type Source } from "../document/node.ts";
import { jsonNumber } from "../document/number.ts";
import { ShyamlError } from "../errors.ts";

export interface JsonTextOptions {
  /** Spaces of each level; 0 writes one line. Default 2. */
  readonly indent?: number;
  /** Where the value stands, for errors. */
  readonly source?: Source;
  /** What errors call the value itself. Default `.`. */
  readonly path?: string;
  /** Refuses tags rather than leaving them out. */
  readonly refusesTags?: boolean;
}

/**
 * A value as JSON text, with the digits that its numbers have in the source.
 * @throws ShyamlError `JSON_CANNOT_SAY`: a key that is a collection, two keys that become one, `.nan` and `.inf`.
 */
export function jsonText(node: DataNode, options: JsonTextOptions = {}): string {
  const out: string[] = [];
  write(node, out, "", options.path ?? "", { indent: 2, ...options });
  return out.join("");
}

function write(
  node: DataNode,
  out: string[],
  margin: string,
  path: string,
  options: JsonTextOptions & { readonly indent: number },
): void {
  if (node.tag !== undefined && options.refusesTags === true)
    refuse(node, path, `the tag ${node.tag}`, options);
  if (node.kind === "scalar") {
    out.push(scalarText(node, path, options));
    return;
  }
  const isList = node.kind === "list";
  const count = isList ? node.items.length : node.entries.length;
  if (count === 0) {
    out.push(isList ? "[]" : "{}");
    return;
  }
  const inner = margin + " ".repeat(options.indent);
  const isPretty = options.indent > 0;
  out.push(isList ? "[" : "{");
  const before = (i: number) => out.push(`${i === 0 ? "" : ","}${isPretty ? `\n${inner}` : ""}`);
  if (isList) {
    node.items.forEach((item, i) => {
      before(i);
      write(item.node, out, inner, `${path}[${i}]`, options);
    });
  } else {
    const known = new Map<string, DataNode>();
    node.entries.forEach(({ key, node: value }, i) => {
      const name = jsonKey(key, path, options);
      const at = `${path}${keySegment(name)}`;
      if (known.has(name)) refuse(key, at, "two keys that are one in JSON", options);
      known.set(name, key);
      before(i);
      out.push(JSON.stringify(name), isPretty ? ": " : ":");
      write(value, out, inner, at, options);
    });
  }
  out.push(isPretty ? `\n${margin}` : "", isList ? "]" : "}");
}

/**
 * The value as JSON has it: keys are strings, and there are no tags.
 * @throws ShyamlError `JSON_CANNOT_SAY`, as `jsonText` with `refusesTags`.
 */
export function jsonForm(node: DataNode, source: Source, path = ""): DataNode {
  const options = { source, refusesTags: true };
  if (node.tag !== undefined) refuse(node, path, `the tag ${node.tag}`, options);
  if (node.kind === "scalar") {
    scalarText(node, path, options);
    return node;
  }
  if (node.kind === "list") {
    return {
      ...node,
      items: node.items.map((item, i) => ({ node: jsonForm(item.node, source, `${path}[${i}]`) })),
    };
  }
  const known = new Set<string>();
  const entries = node.entries.map(({ key, node: value }) => {
    const name = jsonKey(key, path, options);
    const at = `${path}${keySegment(name)}`;
    if (known.has(name)) refuse(key, at, "two keys that are one in JSON", options);
    known.add(name);
    const own: DataNode = { kind: "scalar", type: "string", text: name, value: name, start: key.start };
    return { key: own, node: jsonForm(value, source, at) };
  });
  return { ...node, entries };
}

function scalarText(node: DataNode & { kind: "scalar" }, path: string, options: JsonTextOptions): string {
  if (node.type === "string") return JSON.stringify(node.text);
  if (node.type === "null") return "null";
  if (node.type === "bool") return node.value;
  return jsonNumber(node.text, node.value) ?? refuse(node, path, `the number ${node.text}`, options);
}

/** A key as JSON has it: a scalar's text. */
export function jsonKey(key: DataNode, path: string, options: JsonTextOptions): string {
  if (key.kind !== "scalar") return refuse(key, path, `a key that is a ${key.kind}`, options);
  if (key.tag !== undefined && options.refusesTags === true) refuse(key, path, `the tag ${key.tag}`, options);
  if (key.type === "null") return "";
  if (key.type === "number") return jsonNumber(key.text, key.value) ?? key.text;
  return key.type === "bool" ? key.value : key.text;
}

function refuse(node: DataNode, path: string, what: string, { source }: JsonTextOptions): never {
  const place = source === undefined ? undefined : placeOf(source, node.start);
  throw new ShyamlError("JSON_CANNOT_SAY", `${path === "" ? "." : path}: JSON does not have ${what}`, place);
}

/** A key as a part of a path: `.name`, or `["a key"]` where it needs quotes. */
export function keySegment(name: string): string {
  return /^[A-Za-z_$][\w$-]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}
