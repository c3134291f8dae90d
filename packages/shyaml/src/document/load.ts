import { Composer, type Document, type ParsedNode, Parser } from "yaml";
import { ShyamlError, type ShyamlErrorCode } from "../errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../limits.ts";
import { Converter } from "./convert.ts";
import { type LoadedFile, placeOf, type Source, type YamlDocument } from "./node.ts";
import { readPlain } from "./plain-reader.ts";

export interface LoadOptions {
  /** What errors call the input. */
  readonly name: string;
  /** Reads as YAML 1.1 does: `yes`, `on` and `0777` are no strings. As Kubernetes. */
  readonly yaml11?: boolean;
  /** Keeps comments, so that they can be compared. */
  readonly comments?: boolean;
  readonly limits?: Partial<Limits>;
}

/**
 * The text of an input. UTF-8, or UTF-16 that begins with its mark.
 * @throws ShyamlError `LIMIT_EXCEEDED` or `YAML_INVALID`, where the bytes are no text.
 */
export function decodeText(bytes: Uint8Array, name: string, limits: Limits = DEFAULT_LIMITS): string {
  if (bytes.length > limits.maxInputBytes) {
    throw new ShyamlError(
      "LIMIT_EXCEEDED",
      `${name} has ${bytes.length} bytes or more, limit ${limits.maxInputBytes}`,
    );
  }
  const encoding = encodingOf(bytes);
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch (cause) {
    throw new ShyamlError("YAML_INVALID", `not ${encoding.toUpperCase()}`, startOf(name), { cause });
  }
}

/** How a text is written: its mark tells, and without one it is UTF-8. */
export function encodingOf(bytes: Uint8Array): "utf-8" | "utf-16le" | "utf-16be" {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  return bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8";
}

function startOf(file: string) {
  return { file, line: 1, column: 1 };
}

/**
 * Reads every document of a text, YAML or JSON.
 * @throws ShyamlError with the place: `YAML_INVALID`, `KEY_DUPLICATE`, `ALIAS_RECURSIVE`, `LIMIT_EXCEEDED`.
 */
export function loadDocuments(text: string, options: LoadOptions): LoadedFile {
  const limits: Limits = { ...DEFAULT_LIMITS, ...options.limits };
  const source: Source = { name: options.name, lineStarts: lineStartsOf(text) };
  const isPlain = options.comments !== true && options.yaml11 !== true;
  const documents = isPlain ? readPlain(text, source, limits) : undefined;
  return documents === undefined ? loadWithLibrary(text, options) : { source, documents };
}

/** The same, by the library in any case. */
export function loadWithLibrary(text: string, options: LoadOptions): LoadedFile {
  const limits: Limits = { ...DEFAULT_LIMITS, ...options.limits };
  const source: Source = { name: options.name, lineStarts: lineStartsOf(text) };
  const fail = (code: ShyamlErrorCode, detail: string, offset: number): never => {
    throw new ShyamlError(code, detail, placeOf(source, offset));
  };
  const tooDeep = (offset: number) =>
    fail("LIMIT_EXCEEDED", `collections stand more than ${limits.maxDepth} deep`, offset);
  const converter = new Converter(options, limits, fail, (offset) => placeOf(source, offset));
  const documents: YamlDocument[] = [];
  const take = (document: Document.Parsed<ParsedNode>) => {
    const error = document.errors[0];
    if (error !== undefined && isTooDeep(error)) tooDeep(error.pos[0]);
    if (error !== undefined) fail("YAML_INVALID", withoutContent(error.message), error.pos[0]);
    if (documents.length === limits.maxDocuments)
      fail("LIMIT_EXCEEDED", `more than ${limits.maxDocuments} documents`, document.range[0]);
    const converted = converter.document(document, source, documents.length);
    if (converted !== undefined) documents.push(converted);
  };
  // Keys are compared by the converter, for the library does so in time square to their number.
  const composer = new Composer({
    version: options.yaml11 === true ? "1.1" : "1.2",
    intAsBigInt: true,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: "error",
  });
  let reached = 0;
  let hasDocument = false;
  try {
    for (const token of new Parser().parse(text)) {
      if ("offset" in token) reached = token.offset;
      hasDocument ||= token.type === "document";
      for (const document of composer.next(token)) take(document as Document.Parsed<ParsedNode>);
    }
    // The library tells faults outside of documents of one that it invents, which is none of the input's.
    for (const document of composer.end(!hasDocument, text.length)) {
      if (hasDocument || document.errors.length > 0) take(document as Document.Parsed<ParsedNode>);
    }
  } catch (cause) {
    if (isTooDeep(cause)) tooDeep(reached);
    throw cause;
  }
  return { source, documents };
}

/** The library goes down by recursion, and reports the end of the stack as a fault of the text. */
function isTooDeep(error: unknown): boolean {
  return error instanceof Error && /call stack/.test(error.message);
}

/** The library's message without what it quotes of the input, which may be secret. */
function withoutContent(message: string): string {
  return message
    .replace(/(?<=token[^:]*|indicator[^:]*|sequence[^:]*|character[^:]*): .*$/s, "")
    .split("\n")[0]!;
}

function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}
