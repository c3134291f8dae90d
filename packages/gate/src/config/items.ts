import { Composer, type Document, isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, Parser } from "yaml";
import { ENCRYPTED } from "../secrets/encrypted.ts";
import { CONFIG_LIMITS } from "./limits.ts";

/** A thing wrong with a file, at a line of it, from 1. */
export interface FileProblem {
  readonly line: number;
  readonly message: string;
}

/** `!override` replaces what a job has from its parent, `!inherit` adds to it. */
export type InheritanceTag = "override" | "inherit";

/** An element of a file's list: a map of one key, which says what it is. */
export interface ConfigItem {
  readonly kind: string;
  /** Plain: maps without surprises in their prototype, lists, texts, finite numbers, booleans and nulls. */
  readonly value: unknown;
  readonly line: number;
  /** How the value at `path` is tagged, which says what becomes of the parent job's. */
  tagOf(path: readonly PropertyKey[]): InheritanceTag | undefined;
  /** Where the value at `path` begins, or as much of the path as there is. */
  lineOf(path: readonly PropertyKey[]): number;
}

/**
 * Reads a file of configuration: YAML 1.1, as Zuul's, but dates stay text. An element that is wrong is left out, and with a
 * wrong syntax every element is. It throws nothing.
 */
export function readItems(text: string): { items: readonly ConfigItem[]; problems: readonly FileProblem[] } {
  const read = readDocument(text);
  if (!("document" in read)) return { items: [], problems: read };
  const { document, lineAt } = read;
  const root = document.contents as unknown;
  if (root === null || (isScalar(root) && root.value === null)) return { items: [], problems: [] };
  if (!isSeq(root)) return fail(lineAt(start(root)), "a file is a list: each element begins with `- `");

  const problems: FileProblem[] = [];
  const items: ConfigItem[] = [];
  const reader = new Reader(lineAt);
  for (const element of root.items) {
    const line = lineAt(start(element));
    try {
      const plain = reader.plain(element, 0);
      const keys = isObject(plain) ? Object.keys(plain) : [];
      if (!isMap(element) || keys.length !== 1) {
        problems.push({ line, message: "an element is a map of one key, such as `job:` or `project:`" });
        continue;
      }
      const kind = keys[0]!;
      const [from, , to] = element.range!;
      const isSecretText = (offset: number): boolean =>
        kind === "secret" && text.startsWith(ENCRYPTED, offset);
      const tags = document.warnings.filter(
        ({ pos }) => pos[0] >= from && pos[0] < to && !isSecretText(pos[0]),
      );
      const inner = element.items[0]!.value;
      const nameOf = ({ pos }: { pos: [number, number] }): string => text.slice(pos[0], pos[1]);
      // Where a tag of inheritance may not stand, there are more of them than where it may.
      const isInheritance = tags.every((one) => /^!(override|inherit)\b/.test(nameOf(one)));
      const areRight = isInheritance && tags.length === countTagged(kind, inner);
      const tag = areRight ? undefined : tags[0];
      if (tag !== undefined && isInheritance) {
        const message = `the tag ${/^!\w+/.exec(nameOf(tag))![0]} stands at an attribute of a job only`;
        problems.push({ line: lineAt(tag.pos[0]), message });
        continue;
      }
      if (tag !== undefined) {
        const name = /![^\s]*/.exec(text.slice(tag.pos[0], tag.pos[1]))?.[0] ?? tag.message;
        problems.push({ line: lineAt(tag.pos[0]), message: `the tag ${name} is not built yet` });
        continue;
      }
      items.push({
        kind,
        value: (plain as Record<string, unknown>)[kind],
        line,
        tagOf: (path) => tagOf(nodeAt(inner, path)),
        lineOf: (path) => lineAt(find(element, [kind, ...path])),
      });
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      problems.push({ line: error.line, message: error.message });
      if (error.isOfFile) return { items: [], problems: capped(problems) };
    }
  }
  return { items, problems: capped(problems) };
}

interface ReadDocument {
  readonly document: Document.Parsed;
  readonly lineAt: (offset: number) => number;
}

/** Composes a file of one document, which is no larger and no deeper than it may be. */
function readDocument(text: string): ReadDocument | readonly FileProblem[] {
  if (text.length > CONFIG_LIMITS.maxFileLength) {
    return told(1, `a file may have ${CONFIG_LIMITS.maxFileLength} characters, not ${text.length}`);
  }
  const lines = new LineCounter();
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line);
  const tokens = [];
  try {
    const parser = new Parser(lines.addNewLine);
    lines.addNewLine(0);
    // The composer recurses, so what is nested too deeply must not reach it.
    for (const lexeme of new Lexer().lex(text)) {
      for (const token of parser.next(lexeme)) tokens.push(token);
      if (parser.stack.length > 2 * CONFIG_LIMITS.maxDepth) {
        return told(lineAt(parser.offset), `maps and lists are nested deeper than ${CONFIG_LIMITS.maxDepth}`);
      }
    }
    for (const token of parser.end()) tokens.push(token);
  } catch (error) {
    return told(1, (error as Error).message);
  }
  const composer = new Composer({
    version: "1.1",
    // Checked below, since the composer compares each key with each.
    uniqueKeys: false,
    customTags: (tags) => tags.filter((tag) => typeof tag === "string" || !UNWANTED_TAGS.has(tag.tag)),
  });
  let documents: Document.Parsed[];
  try {
    documents = [...composer.compose(tokens, true, text.length)];
  } catch (error) {
    return told(1, (error as Error).message);
  }
  const document = documents[0]!;
  const broken = documents.flatMap(({ errors }) => errors);
  if (broken.length > 0) {
    return capped(broken.map(({ pos, message }) => ({ line: lineAt(pos[0]), message })));
  }
  const second = documents[1];
  if (second !== undefined) return told(lineAt(second.range[0]), "a file holds one document, not several");

  return { document, lineAt };
}

/** The plain value of a file of one document in YAML or JSON, `null` of an empty one; or what is wrong with it. */
export function readValue(text: string): { readonly value: unknown } | FileProblem {
  const read = readDocument(text);
  if (!("document" in read)) return read[0]!;
  const { document, lineAt } = read;
  const [warning] = document.warnings;
  if (warning !== undefined) return { line: lineAt(warning.pos[0]), message: warning.message };
  try {
    return { value: document.contents === null ? null : new Reader(lineAt).plain(document.contents, 0) };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return { line: error.line, message: error.message };
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** At most as many as are worth reading. */
export function capped<P extends FileProblem>(problems: readonly P[]): readonly P[] {
  const { maxProblems } = CONFIG_LIMITS;
  if (problems.length <= maxProblems) return problems;
  const last = problems[maxProblems]!;
  return [
    ...problems.slice(0, maxProblems),
    { ...last, message: `and ${problems.length - maxProblems} problems more` },
  ];
}

/** Of YAML 1.1, but no value of JSON; a date stays the text that it is. */
const UNWANTED_TAGS: ReadonlySet<string> = new Set(
  ["timestamp", "binary", "omap", "pairs", "set"].map((name) => `tag:yaml.org,2002:${name}`),
);

class Unreadable extends Error {
  readonly line: number;
  /** Whether nothing of the file can be used, rather than this element. */
  readonly isOfFile: boolean;
  constructor(line: number, message: string, isOfFile = false) {
    super(message);
    this.line = line;
    this.isOfFile = isOfFile;
  }
}

/** Makes plain values of nodes. An alias is what its anchor named, once more. */
class Reader {
  readonly #lineAt: (offset: number) => number;
  readonly #anchors = new Map<string, unknown>();
  #nodes = 0;

  constructor(lineAt: (offset: number) => number) {
    this.#lineAt = lineAt;
  }

  plain(node: unknown, depth: number): unknown {
    const line = this.#lineAt(start(node));
    if (++this.#nodes > CONFIG_LIMITS.maxNodes) {
      throw new Unreadable(line, `a file may hold ${CONFIG_LIMITS.maxNodes} values, aliases included`, true);
    }
    if (depth > CONFIG_LIMITS.maxDepth) {
      throw new Unreadable(line, `maps and lists are nested deeper than ${CONFIG_LIMITS.maxDepth}`);
    }
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined)
        throw new Unreadable(line, `no anchor &${node.source} stands before *${node.source}`);
      return this.plain(target, depth + 1);
    }
    const { anchor } = (node ?? {}) as { anchor?: string };
    if (anchor !== undefined) this.#anchors.set(anchor, node);
    if ((node as { tag?: string } | null)?.tag === ENCRYPTED) return this.#encrypted(node, depth);
    if (isMap(node)) return this.#map(node.items, depth);
    if (isSeq(node)) return node.items.map((item) => this.plain(item, depth + 1));
    const value = isScalar(node) ? node.value : null;
    if (typeof value === "number" && !Number.isFinite(value)) {
      throw new Unreadable(line, "infinity and not-a-number are no values here");
    }
    if (typeof value === "symbol") return "<<";
    // The one-letter booleans of YAML 1.1 are text to Zuul, whose parser does not have them.
    if (typeof value === "boolean" && isScalar(node) && node.source?.length === 1) return node.source;
    return value;
  }

  /** One chunk, or a list of them. */
  #encrypted(node: unknown, depth: number): Record<string, readonly string[]> {
    const parts = isSeq(node) ? node.items : [node];
    const chunks = parts.map((part) => {
      const text = isScalar(part) && part === node ? part.source : this.plain(part, depth + 1);
      const chunk = typeof text === "string" ? text.replace(/\s+/g, "") : "";
      if (chunk !== "" && /^[A-Za-z0-9+/]+={0,2}$/.test(chunk)) return chunk;
      throw new Unreadable(
        this.#lineAt(start(part)),
        `${ENCRYPTED} holds base64, as \`drover gate encrypt\` prints it`,
      );
    });
    return { [ENCRYPTED]: chunks };
  }

  #map(pairs: readonly { key: unknown; value: unknown }[], depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    const merged: unknown[] = [];
    for (const { key, value } of pairs) {
      const line = this.#lineAt(start(key));
      if (isMergeKey(key)) {
        merged.push(value);
        continue;
      }
      const name = this.plain(key, depth + 1);
      if (typeof name === "object" && name !== null)
        throw new Unreadable(line, "a key is text, no map or list");
      const text = String(name);
      // Would set the prototype of what it is copied to.
      if (text === "__proto__") throw new Unreadable(line, "__proto__ is no key");
      if (Object.hasOwn(object, text)) throw new Unreadable(line, `the key ${text} stands here twice`);
      object[text] = this.plain(value, depth + 1);
    }
    for (const source of merged) {
      const value = this.plain(source, depth + 1);
      for (const one of Array.isArray(value) ? value : [value]) {
        if (!isObject(one))
          throw new Unreadable(this.#lineAt(start(source)), "<< merges a map, or a list of maps");
        for (const [key, inner] of Object.entries(one)) {
          if (!Object.hasOwn(object, key)) object[key] = inner;
        }
      }
    }
    return object;
  }
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && (typeof key.value === "symbol" || (key.value === "<<" && key.type === "PLAIN"));
}

function find(root: unknown, path: readonly PropertyKey[]): number {
  let node = root;
  let offset = start(root);
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
      if (pair === undefined) return offset;
      offset = start(pair.key);
      node = pair.value;
    } else if (isSeq(node) && typeof step === "number" && node.items[step] !== undefined) {
      node = node.items[step];
      offset = start(node) || offset;
    } else return offset;
  }
  return offset;
}

function tagOf(node: unknown): InheritanceTag | undefined {
  const { tag } = (node ?? {}) as { tag?: unknown };
  if (tag === "!override") return "override";
  return tag === "!inherit" ? "inherit" : undefined;
}

function nodeAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let node = root;
  for (const step of path) {
    if (isMap(node)) node = node.items.find(({ key }) => isScalar(key) && String(key.value) === step)?.value;
    else node = isSeq(node) && typeof step === "number" ? node.items[step] : undefined;
  }
  return node;
}

/** Values of a map of attributes that have a tag of inheritance. */
function countAmong(attributes: unknown): number {
  if (!isMap(attributes)) return 0;
  return attributes.items.filter(({ value }) => tagOf(value) !== undefined).length;
}

/** Those of a job, or of the jobs of a project's pipelines. */
function countTagged(kind: string, value: unknown): number {
  if (kind === "job") return countAmong(value);
  if (!kind.startsWith("project") || !isMap(value)) return 0;
  let count = 0;
  for (const { value: pipeline } of value.items) {
    const jobs = nodeAt(pipeline, ["jobs"]);
    if (!isSeq(jobs)) continue;
    for (const job of jobs.items) if (isMap(job)) count += countAmong(job.items[0]?.value);
  }
  return count;
}

function start(node: unknown): number {
  return (node as { range?: readonly number[] } | null | undefined)?.range?.[0] ?? 0;
}

function told(line: number, message: string): readonly FileProblem[] {
  return [{ line, message }];
}

function fail(line: number, message: string): { items: []; problems: FileProblem[] } {
  return { items: [], problems: [{ line, message }] };
}
