import type { Limits } from "../limits.ts";
import { keyIdOf } from "./convert.ts";
import type { DataNode, Entry, Item, ScalarNode, Source, YamlDocument } from "./node.ts";
import { plainScalar, stringScalar } from "./plain-scalar.ts";

/*
 * Reads the YAML that programs and people write most, ten times as fast as the library and with a fraction of the memory: blocks
 * of mappings and lists, scalars in one line, literal blocks, flow collections in one line, and JSON. Of anything else, errors
 * included, it says that it is not its business, and the library reads the text. Where it reads a text, both give the same.
 */

/** The text is not this reader's business. */
const DECLINED = Symbol("declined");

/** Characters that need more thought: tabs, returns, controls, marks of byte order and other ends of lines. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const UNUSUAL = /[\u0000-\u0009\u000b-\u001f\u007f\u0085\u2028\u2029\ufeff]/;
/** Longest key that is surely one to the library, whose limit is 1,024. */
const MAX_KEY = 1_000;

const SPACE = 0x20;
const HASH = 0x23;
const COLON = 0x3a;
const DASH = 0x2d;
const NEWLINE = 0x0a;

/** @returns Undefined where the library has to read the text. */
export function readPlain(text: string, source: Source, limits: Limits): YamlDocument[] | undefined {
  if (UNUSUAL.test(text)) return undefined;
  try {
    return new PlainReader(text, source, limits).documents();
  } catch (error) {
    if (error === DECLINED) return undefined;
    throw error;
  }
}

function decline(): never {
  throw DECLINED;
}

class PlainReader {
  readonly #text: string;
  readonly #source: Source;
  readonly #limits: Limits;
  /** Offset of the line's first character that is no space; moved when a line holds a collection behind a dash. */
  #content = 0;
  /** Its column. */
  #indent = -1;
  /** The line that is looked at; the number of lines at the end. */
  #line = -1;
  #end = 0;
  #nodes = 0;

  constructor(text: string, source: Source, limits: Limits) {
    this.#text = text;
    this.#source = source;
    this.#limits = limits;
  }

  documents(): YamlDocument[] {
    const documents: YamlDocument[] = [];
    this.#next();
    let isMarked = false;
    while (!this.#isAtEnd() || isMarked) {
      if (this.#isMark()) {
        if (isMarked) this.#add(documents, undefined);
        isMarked = true;
        this.#next();
        continue;
      }
      if (this.#isAtEnd()) {
        this.#add(documents, undefined);
        break;
      }
      if (this.#indent !== 0) decline();
      const first = this.#text[this.#content];
      if (first === "{" || first === "[") this.#add(documents, this.#flowDocument());
      else this.#add(documents, this.#block(0, 0));
      isMarked = false;
      if (!this.#isAtEnd() && !this.#isMark()) decline();
    }
    return documents;
  }

  #add(documents: YamlDocument[], root: DataNode | undefined): void {
    if (documents.length === this.#limits.maxDocuments) decline();
    const isEmpty = root === undefined;
    const node = root ?? emptyNode(this.#content);
    documents.push({ source: this.#source, index: documents.length, root: node, isEmpty });
  }

  #isAtEnd(): boolean {
    return this.#line >= this.#source.lineStarts.length;
  }

  /** Whether a document begins in this line, in which nothing else stands. */
  #isMark(): boolean {
    if (this.#indent !== 0 || this.#isAtEnd()) return false;
    const at = this.#content;
    const three = this.#text.slice(at, at + 3);
    if (three === "..." || three.startsWith("%")) decline();
    if (three !== "---") return false;
    if (this.#end !== at + 3) decline();
    return true;
  }

  /** Goes to the next line that holds more than a comment. */
  #next(): void {
    const { lineStarts } = this.#source;
    for (this.#line++; this.#line < lineStarts.length; this.#line++) {
      this.#look();
      if (this.#content < this.#end && this.#text.charCodeAt(this.#content) !== HASH) return;
    }
    this.#indent = -1;
    this.#content = this.#end = this.#text.length;
  }

  #look(): void {
    const { lineStarts } = this.#source;
    const start = lineStarts[this.#line]!;
    const after = lineStarts[this.#line + 1];
    this.#end = after === undefined ? this.#text.length : after - 1;
    let at = start;
    while (at < this.#end && this.#text.charCodeAt(at) === SPACE) at++;
    this.#content = at;
    this.#indent = at - start;
  }

  #count(depth: number): void {
    this.#nodes++;
    if (this.#nodes > this.#limits.maxNodes || depth > this.#limits.maxDepth) decline();
  }

  #isDash(): boolean {
    if (this.#text.charCodeAt(this.#content) !== DASH) return false;
    return this.#content + 1 === this.#end || this.#text.charCodeAt(this.#content + 1) === SPACE;
  }

  /** The collection that begins where the reader stands. */
  #block(indent: number, depth: number): DataNode {
    if (depth >= this.#limits.maxDepth) decline();
    this.#count(depth);
    return this.#isDash() ? this.#list(indent, depth) : this.#map(indent, depth);
  }

  #list(indent: number, depth: number): DataNode {
    const start = this.#content;
    const items: Item[] = [];
    while (this.#indent === indent && this.#isDash()) {
      let at = this.#content + 1;
      while (at < this.#end && this.#text.charCodeAt(at) === SPACE) at++;
      if (at >= this.#end || this.#text.charCodeAt(at) === HASH) {
        this.#next();
        if (this.#indent <= indent) decline();
        items.push({ node: this.#block(this.#indent, depth + 1) });
      } else {
        const column = indent + (at - this.#content);
        this.#content = at;
        this.#indent = column;
        if (this.#isDash() || this.#keyEnd() !== undefined)
          items.push({ node: this.#block(column, depth + 1) });
        else items.push({ node: this.#inline(at, indent, depth + 1) });
      }
      if (this.#indent > indent) decline();
    }
    if (this.#indent === indent && !this.#isMark() && !this.#isAtEnd() && this.#isDash()) decline();
    return { kind: "list", items, start };
  }

  #map(indent: number, depth: number): DataNode {
    const start = this.#content;
    const entries: Entry[] = [];
    const ids = new Set<string>();
    while (this.#indent === indent && !this.#isAtEnd() && !this.#isMark()) {
      // A list at the indentation of a key above it ends with this map.
      if (this.#isDash()) {
        if (entries.length === 0) decline();
        break;
      }
      const found = this.#keyEnd() ?? decline();
      const { key, colon } = found;
      this.#count(depth + 1);
      if (key.kind === "scalar" && key.text === "<<") decline();
      const id = keyIdOf(key);
      if (ids.has(id)) decline();
      ids.add(id);
      let at = colon + 1;
      while (at < this.#end && this.#text.charCodeAt(at) === SPACE) at++;
      if (at >= this.#end || this.#text.charCodeAt(at) === HASH) {
        this.#next();
        const isNested =
          this.#indent > indent || (this.#indent === indent && this.#isDash() && !this.#isMark());
        if (isNested) entries.push({ key, node: this.#block(this.#indent, depth + 1) });
        else {
          this.#count(depth + 1);
          entries.push({ key, node: emptyNode(colon + 1) });
        }
      } else entries.push({ key, node: this.#inline(at, indent, depth + 1) });
      if (this.#indent > indent) decline();
    }
    return { kind: "map", entries, start };
  }

  /** The key that begins where the reader stands, with its colon; undefined where the line has none. */
  #keyEnd(): { key: ScalarNode; colon: number } | undefined {
    const start = this.#content;
    const first = this.#text[start]!;
    if (first === '"' || first === "'") {
      const { text, end } = this.#quoted(start, this.#end);
      if (this.#text.charCodeAt(end) !== COLON || end >= this.#end) return undefined;
      if (end + 1 < this.#end && this.#text.charCodeAt(end + 1) !== SPACE) decline();
      if (end - start > MAX_KEY) decline();
      return { key: stringScalar(text, start), colon: end };
    }
    if (first === "{" || first === "[") return undefined;
    this.#checkFirst(start, this.#end);
    for (let at = start; at < this.#end; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === COLON && (at + 1 === this.#end || this.#text.charCodeAt(at + 1) === SPACE)) {
        if (at - start > MAX_KEY || at === start) decline();
        return { key: plainScalar(this.#text.slice(start, at).trimEnd(), start), colon: at };
      }
      if (code === HASH && this.#text.charCodeAt(at - 1) === SPACE) return undefined;
    }
    return undefined;
  }

  /** Declines what begins with a sign that means something. */
  #checkFirst(at: number, end: number): void {
    const first = this.#text[at]!;
    if ("&*!|>%@`#,[]{}?:\"'".includes(first)) decline();
    if (first === "-" && (at + 1 >= end || this.#text.charCodeAt(at + 1) === SPACE)) decline();
  }

  /** The value that begins in a line behind a key or a dash and ends in it, but for a literal block. */
  #inline(at: number, indent: number, depth: number): DataNode {
    this.#count(depth);
    const first = this.#text[at]!;
    if (first === "|") return this.#literal(at, indent);
    if (first === "[" || first === "{") {
      const flow = new FlowReader(this.#text, this.#end, false, this.#limits, () => this.#count(depth));
      const node = flow.collection(at, depth);
      this.#rest(flow.at);
      return node;
    }
    if (first === '"' || first === "'") {
      const { text, end } = this.#quoted(at, this.#end);
      this.#rest(end);
      return stringScalar(text, at);
    }
    this.#checkFirst(at, this.#end);
    let end = this.#end;
    for (let i = at; i < this.#end; i++) {
      const code = this.#text.charCodeAt(i);
      if (code === COLON && (i + 1 === this.#end || this.#text.charCodeAt(i + 1) === SPACE)) decline();
      if (code === HASH && this.#text.charCodeAt(i - 1) === SPACE) {
        end = i;
        break;
      }
    }
    const text = this.#text.slice(at, end).trimEnd();
    this.#next();
    return plainScalar(text, at);
  }

  /** Sees that nothing but a comment follows, and goes on. */
  #rest(at: number): void {
    let after = at;
    while (after < this.#end && this.#text.charCodeAt(after) === SPACE) after++;
    if (after < this.#end && (this.#text.charCodeAt(after) !== HASH || after === at)) decline();
    this.#next();
  }

  #quoted(at: number, limit: number): { text: string; end: number } {
    return quotedText(this.#text, at, limit);
  }

  #literal(at: number, indent: number): DataNode {
    const chomp = /^\|([+-]?) *$/.exec(this.#text.slice(at, this.#end))?.[1] ?? decline();
    const { lineStarts } = this.#source;
    const lines: string[] = [];
    let own: number | undefined;
    for (this.#line++; this.#line < lineStarts.length; this.#line++) {
      this.#look();
      const isBlank = this.#content >= this.#end;
      if (!isBlank && this.#indent <= indent) break;
      if (isBlank) {
        // What is the last line but for an end of text is none.
        if (this.#line === lineStarts.length - 1) {
          if (this.#indent > 0) decline();
          continue;
        }
        if (own === undefined && this.#indent > 0) decline();
        lines.push(own === undefined ? "" : this.#text.slice(lineStarts[this.#line]! + own, this.#end));
        continue;
      }
      own ??= this.#indent;
      if (this.#indent < own) decline();
      // Without an end of its last line.
      if (this.#line === lineStarts.length - 1) decline();
      lines.push(this.#text.slice(lineStarts[this.#line]! + own, this.#end));
    }
    if (own === undefined) decline();
    this.#line--;
    this.#next();
    let text = `${lines.join("\n")}\n`;
    if (chomp !== "+") {
      // Lines of nothing but spaces are more than empty ones.
      if (/\n +\n*$/.test(text)) decline();
      text = text.replace(/\n+$/, chomp === "-" ? "" : "\n");
    }
    return stringScalar(text, at);
  }

  #flowDocument(): DataNode {
    const flow = new FlowReader(this.#text, this.#text.length, true, this.#limits, () => this.#count(0));
    this.#count(0);
    const node = flow.collection(this.#content, 0);
    const { lineStarts } = this.#source;
    while (this.#line + 1 < lineStarts.length && lineStarts[this.#line + 1]! <= flow.at) this.#line++;
    this.#look();
    this.#rest(flow.at);
    return node;
  }
}

/** Collections in flow style, as JSON is. */
class FlowReader {
  readonly #text: string;
  readonly #end: number;
  readonly #spansLines: boolean;
  readonly #limits: Limits;
  readonly #count: () => void;
  /** Behind what was read. */
  at = 0;

  constructor(text: string, end: number, spansLines: boolean, limits: Limits, count: () => void) {
    this.#text = text;
    this.#end = end;
    this.#spansLines = spansLines;
    this.#limits = limits;
    this.#count = count;
  }

  collection(start: number, depth: number): DataNode {
    if (depth >= this.#limits.maxDepth) decline();
    const isList = this.#text[start] === "[";
    const close = isList ? "]" : "}";
    const items: Item[] = [];
    const entries: Entry[] = [];
    const ids = new Set<string>();
    this.at = start + 1;
    this.#skip();
    while (this.#text[this.at] !== close) {
      const first = this.#value(depth + 1);
      this.#skip();
      if (isList) items.push({ node: first.node });
      else {
        if (first.node.kind !== "scalar" || this.#text.charCodeAt(this.at) !== COLON) decline();
        const next = this.#text[this.at + 1];
        if (!first.isQuoted && next !== " ") decline();
        const id = keyIdOf(first.node);
        if (ids.has(id) || first.node.text === "<<") decline();
        ids.add(id);
        this.at++;
        this.#skip();
        entries.push({ key: first.node, node: this.#value(depth + 1).node });
        this.#skip();
      }
      if (this.#text[this.at] === ",") {
        this.at++;
        this.#skip();
      } else if (this.#text[this.at] !== close) decline();
    }
    this.at++;
    return isList ? { kind: "list", items, start } : { kind: "map", entries, start };
  }

  #skip(): void {
    for (; this.at < this.#end; this.at++) {
      const code = this.#text.charCodeAt(this.at);
      if (code === NEWLINE && this.#spansLines) {
        // A mark of a document in the first column.
        const ahead = this.#text.slice(this.at + 1, this.at + 4);
        if (ahead === "---" || ahead === "...") decline();
        continue;
      }
      if (code !== SPACE) break;
    }
    if (this.at >= this.#end || this.#text.charCodeAt(this.at) === HASH) decline();
  }

  #value(depth: number): { node: DataNode; isQuoted: boolean } {
    this.#count();
    const start = this.at;
    const first = this.#text[start]!;
    if (first === "[" || first === "{") return { node: this.collection(start, depth), isQuoted: true };
    if (first === '"' || first === "'") {
      const { text, end } = quotedText(this.#text, start, this.#end);
      if (end - start > MAX_KEY) decline();
      this.at = end;
      return { node: stringScalar(text, start), isQuoted: true };
    }
    const plain = /[^\s,[\]{}#:&*!|>'"%@`?-][^\n,[\]{}#:]*|-[^\s,[\]{}#:][^\n,[\]{}#:]*/y;
    plain.lastIndex = start;
    const text = (plain.exec(this.#text)?.[0] ?? decline()).trimEnd();
    this.at = start + text.length;
    if (this.at > this.#end || text.length > MAX_KEY) decline();
    // A scalar may go on in the next line, or hold a colon.
    const after = /[^ ]/y;
    after.lastIndex = this.at;
    while (this.#text[after.lastIndex] === " ") after.lastIndex++;
    const next = this.#text[after.lastIndex];
    if (next === "\n") {
      const ahead = /\S/.exec(this.#text.slice(after.lastIndex, after.lastIndex + MAX_KEY))?.[0];
      if (ahead === undefined || !",]}".includes(ahead)) decline();
    } else if (next === undefined || !",]}:".includes(next)) decline();
    else if (next === ":" && after.lastIndex !== this.at) decline();
    return { node: plainScalar(text, start), isQuoted: false };
  }
}

function quotedText(text: string, at: number, limit: number): { text: string; end: number } {
  const quote = text[at]!;
  if (quote === "'") {
    let close = text.indexOf("'", at + 1);
    let isDoubled = false;
    while (close >= 0 && text[close + 1] === "'") {
      isDoubled = true;
      close = text.indexOf("'", close + 2);
    }
    if (close < 0 || close >= limit) decline();
    const inner = text.slice(at + 1, close);
    if (inner.includes("\n")) decline();
    return { text: isDoubled ? inner.replaceAll("''", "'") : inner, end: close + 1 };
  }
  let close = at + 1;
  let isEscaped = false;
  for (; close < limit && text[close] !== '"'; close++) {
    if (text[close] === "\\") {
      isEscaped = true;
      close++;
    }
  }
  if (close >= limit) decline();
  const inner = text.slice(at, close + 1);
  if (inner.includes("\n")) decline();
  if (!isEscaped) return { text: inner.slice(1, -1), end: close + 1 };
  // The escapes that JSON has mean the same in YAML.
  if (/\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(inner.replaceAll("\\\\", ""))) decline();
  return { text: JSON.parse(inner) as string, end: close + 1 };
}

function emptyNode(start: number): ScalarNode {
  return { kind: "scalar", type: "null", text: "null", value: "", start };
}
