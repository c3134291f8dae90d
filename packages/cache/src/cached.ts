import { createHash } from "node:crypto";
import { type Codec, type DefinedFunction, defineFunction, type StandardSchema } from "@drover/client";
import { MAX_BACKEND_KEY_BYTES } from "./backend.ts";
import { CacheError } from "./errors.ts";

/** What `defineCached` takes. */
export interface CachedDefinition<In, InParsed, Out, OutParsed> {
  /** The function's name on the job server; values are kept under it, too. */
  readonly name: string;
  /** Raise it when the function computes something else than before: values and jobs of different versions never meet. Default: "1". */
  readonly version?: string;
  /** What is asked with. Default: anything that `key` takes. */
  readonly input?: StandardSchema<In, InParsed>;
  /** What is computed. A value in the cache that does not fit is a miss. Default: anything. */
  readonly output?: StandardSchema<Out, OutParsed>;
  /** Of input and value. Default: `jsonCodec`. */
  readonly codec?: Codec;
  /** Names the value. Equal keys are one value. Default: the input, which has to be text then. */
  readonly key?: (input: In) => string;
  /** Longest key in UTF-8 bytes. Default: 1,024. */
  readonly maxKeyBytes?: number;
  /** For how long a value is fresh. */
  readonly freshMs: number;
  /** For how long after that it may be served while it is computed anew, or when that fails. Default: 10 × `freshMs`. */
  readonly staleMs?: number;
  /** For how long a failure is remembered, give or take a quarter. Default: 1,000. */
  readonly failureMs?: number;
  /** How eagerly a value that is read often is computed before it expires (XFetch's β). 0: never. Default: 1. */
  readonly earlyRefresh?: number;
  /** Largest value, encoded. Larger ones are given to who asked, and not stored. Default: 1,000,000. */
  readonly maxValueBytes?: number;
}

/** A function whose results are cached, known to readers and workers alike. */
export interface Cached<In = string, InParsed = In, Out = unknown, OutParsed = Out> {
  readonly name: string;
  readonly version: string;
  readonly freshMs: number;
  readonly staleMs: number;
  readonly failureMs: number;
  readonly earlyRefresh: number;
  readonly maxValueBytes: number;
  readonly codec: DefinedFunction<In, InParsed, Out, OutParsed>;
  /** @throws CacheError `KEY_INVALID` */
  keyOf(input: In): string;
}

/**
 * Names a function whose results are cached, for how long they are, and what they look like; shared by cache and worker.
 *
 * @example
 * const price = defineCached<string, string, Price, Price>({ name: "price", freshMs: 60_000 });
 */
export function defineCached<In = string, InParsed = In, Out = unknown, OutParsed = Out>(
  definition: CachedDefinition<In, InParsed, Out, OutParsed>,
): Cached<In, InParsed, Out, OutParsed> {
  const {
    name,
    version = "1",
    key = (input: In) => input as string,
    maxKeyBytes = 1_024,
    freshMs,
  } = definition;
  const {
    staleMs = 10 * freshMs,
    failureMs = 1_000,
    earlyRefresh = 1,
    maxValueBytes = 1_000_000,
  } = definition;
  for (const [what, ms] of Object.entries({ freshMs, staleMs, failureMs, earlyRefresh }))
    if (!(ms >= 0) || ms === Number.POSITIVE_INFINITY) throw new RangeError(`${what} is not 0 or more`);
  return {
    name,
    version,
    freshMs,
    staleMs,
    failureMs,
    earlyRefresh,
    maxValueBytes,
    codec: defineFunction(definition),
    keyOf: (input) => {
      const made: unknown = key(input);
      if (typeof made !== "string" || made === "" || made.includes("\0"))
        throw new CacheError("KEY_INVALID", `a key of ${name} is no text, empty, or holds a NUL`);
      const bytes = Buffer.byteLength(made);
      if (bytes > maxKeyBytes)
        throw new CacheError("KEY_INVALID", `a key of ${name} has ${bytes} bytes, limit ${maxKeyBytes}`);
      return made;
    },
  };
}

type Named = { readonly name: string; readonly version: string };

/** What the backend calls a value: readable where that is possible, else a hash. */
export function backendKeyOf({ name, version }: Named, key: string): string {
  const readable = `${name}:${version}:${key}`;
  // Names that hold the separator could be taken for others.
  const clear = !/[:#]/.test(name + version) && /^[\x21-\x7e]+$/.test(readable);
  return clear && readable.length <= MAX_BACKEND_KEY_BYTES ? readable : `#${hashOf([name, version, key])}`;
}

/** What the computation is called on the job server: equal ones are one job. 49 bytes, so that every Gearman server takes it. */
export function uniqueOf({ name, version }: Named, key: string, invalidation: number): string {
  return `cache-${hashOf([name, version, key, String(invalidation)])}`;
}

function hashOf(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}

/** What a computation is told. */
export interface Question {
  readonly key: string;
  /** Of the last invalidation that the asker knows of. */
  readonly version: number;
  /** As of when the value is that the asker has; 0: it has none. A newer one in the cache will do. */
  readonly seenMs: number;
  readonly input: Uint8Array;
}

/** Three lines of text and the input: version, what was seen, key. */
export function encodeQuestion({ key, version, seenMs, input }: Question): Uint8Array {
  return Buffer.concat([Buffer.from(`${version}\0${seenMs}\0${key}\0`), input]);
}

/** @throws CacheError `KEY_INVALID` for what `encodeQuestion` did not make. */
export function decodeQuestion(bytes: Uint8Array): Question {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ends = [0];
  for (let i = 0; i < 3; i++) {
    const end = buffer.indexOf(0, ends[i]!);
    if (end < 0) throw new CacheError("KEY_INVALID", "a job that no cache has submitted");
    ends.push(end + 1);
  }
  const part = (i: number) => buffer.toString("utf8", ends[i], ends[i + 1]! - 1);
  const [version, seenMs] = [Number(part(0)), Number(part(1))];
  if (!Number.isFinite(version) || !Number.isFinite(seenMs))
    throw new CacheError("KEY_INVALID", "a job that no cache has submitted");
  return { key: part(2), version, seenMs, input: buffer.subarray(ends[3]) };
}
