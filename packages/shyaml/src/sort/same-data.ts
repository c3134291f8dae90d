import { type Document, isAlias, isMap, isPair, isScalar, isSeq, type Node, parseAllDocuments } from "yaml";

/**
 * Whether two sources say the same: the same documents with the same values, tags, anchors and aliases, in which only
 * the order of keys differs.
 */
export function sameData(one: string, other: string): boolean {
  const [a, b] = [parsed(one), parsed(other)];
  if (a.length !== b.length) return false;
  return a.every((document, i) => isDeepSame(document, b[i]!));
}

function parsed(source: string): Document.Parsed[] {
  const documents = parseAllDocuments(source, {
    keepSourceTokens: false,
    stringKeys: false,
    uniqueKeys: false,
    logLevel: "error",
  });
  return Array.isArray(documents) ? documents : [];
}

function isDeepSame(one: Document, other: Document): boolean {
  if (other.errors.length > 0) return false;
  return fingerprint(one) === fingerprint(other);
}

/** Text that two documents share if they are the same but for the order of keys. */
function fingerprint(document: Document): string {
  const anchors = new Map<string, number>();
  const describe = (node: unknown): string => {
    if (isAlias(node)) return `*${node.source}#${anchors.get(node.source) ?? 0}`;
    const { tag, anchor } = (node ?? {}) as Node & { anchor?: string };
    if (anchor !== undefined) anchors.set(anchor, (anchors.get(anchor) ?? 0) + 1);
    const prefix = `${anchor === undefined ? "" : `&${anchor} `}${tag ?? ""}`;
    if (isMap(node)) {
      const entries = node.items.map((pair) => `${describe(pair.key)}:${describe(pair.value)}`);
      return `${prefix}{${entries.sort().join(",")}}`;
    }
    if (isSeq(node))
      return `${prefix}[${node.items.map((item) => (isPair(item) ? pairOf(item) : describe(item))).join(",")}]`;
    if (isScalar(node))
      return `${prefix}${node.type === "PLAIN" ? "p" : "s"}${JSON.stringify(node.source ?? String(node.value))}`;
    return "null";
  };
  const pairOf = (pair: { key: unknown; value: unknown }) =>
    `(${describe(pair.key)}:${describe(pair.value)})`;
  return describe(document.contents);
}
