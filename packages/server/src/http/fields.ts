import type { IncomingHttpHeaders } from "node:http";
import { byteString, byteStringOfText, isTraceparent } from "@drover/protocol";
import { type BareItem, parseItem, Token } from "structured-headers";
import { Problem } from "./problems.ts";

/* What a request asks for in its header fields, which are structured ones (RFC 9651). */

export type Mode = "body" | "sse" | "ndjson" | "packets";

/** A submission as its headers describe it. */
export interface SubmissionFields {
  /** Byte string; empty = joins nothing. */
  readonly unique: string;
  readonly priority: "high" | "normal" | "low";
  /** Not to wait for an end: a background job. */
  readonly isBackground: boolean;
  /** How long to wait before the job goes on by itself, in milliseconds. */
  readonly waitMs: number | undefined;
  /** Unix time in milliseconds. */
  readonly atMs: number | undefined;
  readonly lingerMs: number | undefined;
  readonly deadlineMs: number | undefined;
  readonly keep: boolean;
  /** Byte string; undefined = none. */
  readonly reducer: string | undefined;
  readonly rerunIfActive: boolean;
  readonly requiresWorker: boolean;
  readonly rejectsConflict: boolean;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
}

/** Longest that a request waits (`Prefer: wait`), below what proxies allow. */
export const MAX_WAIT_S = 60;
const MAX_TTL_S = 86_400;

/** @throws Problem `bad-header` that names the field and says what it takes. */
export function submissionFields(headers: IncomingHttpHeaders): SubmissionFields {
  const preferences = prefer(headers);
  const atMs = runAt(headers);
  return {
    unique: uniqueOf(headers),
    priority: priorityOf(headers),
    isBackground: preferences.isAsync || atMs !== undefined || isTrue(headers, "gearman-background"),
    waitMs: preferences.waitMs,
    atMs,
    lingerMs: seconds(headers, "gearman-result-ttl", MAX_TTL_S),
    deadlineMs: seconds(headers, "gearman-deadline", MAX_TTL_S),
    keep: isTrue(headers, "gearman-keep"),
    reducer: nameOf(headers, "gearman-reducer"),
    rerunIfActive: isTrue(headers, "gearman-rerun-if-active"),
    requiresWorker: isTrue(headers, "gearman-require-worker"),
    rejectsConflict: token(headers, "gearman-on-conflict", ["join", "reject"]) === "reject",
    traceparent: traceparentOf(headers),
    // The job server looks at it.
    tracestate: headers.tracestate === undefined ? undefined : String(headers.tracestate),
  };
}

/** One that is malformed is ignored, as W3C's Trace Context wants it. */
function traceparentOf(headers: IncomingHttpHeaders): string | undefined {
  const { traceparent } = headers;
  return typeof traceparent === "string" && isTraceparent(traceparent) ? traceparent : undefined;
}
const NO_PREFERENCES = { isAsync: false, waitMs: undefined };

/** `Prefer: respond-async, wait=20` (RFC 7240). What is not known is not obeyed, as it says. */
export function prefer(headers: IncomingHttpHeaders): { isAsync: boolean; waitMs: number | undefined } {
  const text = one(headers, "prefer");
  if (text === undefined) return NO_PREFERENCES;
  let isAsync = false;
  let waitMs: number | undefined;
  for (const preference of text.split(",")) {
    const [name, value] = preference
      .split(";")[0]!
      .split("=")
      .map((part) => part.trim().toLowerCase());
    if (name === "respond-async") isAsync = true;
    const text = value?.replaceAll('"', "");
    if (name === "wait" && text !== undefined && /^\d{1,6}$/.test(text)) {
      waitMs = Math.min(Number(text), MAX_WAIT_S) * 1000;
    }
  }
  // Both together: wait, and if that was not enough, go on without (RFC 7240, section 4.3).
  return { isAsync: isAsync && waitMs === undefined, waitMs };
}

/** The form of the answer. @throws Problem `not-acceptable` */
export function modeOf(accept: string | undefined): Mode {
  if (accept === undefined || accept === "") return "body";
  for (const range of accept.split(",")) {
    const type = range.split(";")[0]!.trim().toLowerCase();
    if (type === "text/event-stream") return "sse";
    if (type === "application/x-ndjson") return "ndjson";
    if (type === "application/vnd.gearman") return "packets";
    if (type === "*/*" || type === "application/*" || type === "application/octet-stream") return "body";
  }
  throw new Problem(
    "not-acceptable",
    "Accept takes */*, application/octet-stream, text/event-stream, application/x-ndjson or application/vnd.gearman",
  );
}

/** `Gearman-Unique`, or what others call it. @throws Problem `bad-header` */
function uniqueOf(headers: IncomingHttpHeaders): string {
  const own = nameOf(headers, "gearman-unique");
  if (own !== undefined) return own;
  const alias = one(headers, "idempotency-key") ?? one(headers, "x-gearman-unique");
  if (alias === undefined) return "";
  const quoted = /^"(.*)"$/.exec(alias);
  return checked("gearman-unique", byteStringOfText(quoted?.[1] ?? alias));
}

/** A name as a string or bytes. @throws Problem `bad-header` */
function nameOf(headers: IncomingHttpHeaders, field: string): string | undefined {
  const text = one(headers, field);
  if (text === undefined) return undefined;
  const takes = 'a string "key" or bytes :base64:';
  const value = item(field, text, takes);
  if (typeof value === "string") return byteStringOfText(value);
  // By its members: the parser may be of another realm.
  if (typeof value === "object" && "byteLength" in value)
    return checked(field, byteString(new Uint8Array(value as ArrayBuffer)));
  throw bad(field, takes);
}

function checked(field: string, name: string): string {
  if (name.includes("\0")) throw bad(field, "no NUL");
  return name;
}

function priorityOf(headers: IncomingHttpHeaders): "high" | "normal" | "low" {
  const name = one(headers, "gearman-priority") === undefined ? "x-gearman-priority" : "gearman-priority";
  return (
    (token(headers, name, ["high", "normal", "low"]) as "high" | "normal" | "low" | undefined) ?? "normal"
  );
}

/** `Gearman-Run-At: @1790000000`. */
function runAt(headers: IncomingHttpHeaders): number | undefined {
  const text = one(headers, "gearman-run-at");
  if (text === undefined) return undefined;
  const value = item("gearman-run-at", text, "a date such as @1790000000");
  if (value instanceof Date) return value.getTime();
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value * 1000;
  throw bad("gearman-run-at", "a date such as @1790000000");
}

/** A whole number of seconds, as milliseconds. */
export function seconds(headers: IncomingHttpHeaders, name: string, max: number): number | undefined {
  const text = one(headers, name);
  if (text === undefined) return undefined;
  const takes = `a whole number of seconds from 0 to ${max}`;
  const value = item(name, text, takes);
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max)
    throw bad(name, takes);
  return value * 1000;
}

function isTrue(headers: IncomingHttpHeaders, name: string): boolean {
  const text = one(headers, name) ?? one(headers, `x-${name}`);
  // gearmand's own plugin has it spelled out.
  if (text === undefined || text === "false") return false;
  if (text === "true") return true;
  const value = item(name, text, "?1 or ?0");
  if (typeof value !== "boolean") throw bad(name, "?1 or ?0");
  return value;
}

function token(headers: IncomingHttpHeaders, name: string, allowed: readonly string[]): string | undefined {
  const text = one(headers, name);
  if (text === undefined) return undefined;
  const takes = allowed.join(", ");
  const value = item(name, text, takes);
  const word = value instanceof Token ? value.toString() : value;
  if (typeof word !== "string" || !allowed.includes(word)) throw bad(name, takes);
  return word;
}

function item(name: string, text: string, takes: string): BareItem {
  try {
    return parseItem(text)[0];
  } catch {
    throw bad(name, takes);
  }
}

function bad(name: string, takes: string): Problem {
  return new Problem("bad-header", `${name} takes ${takes}`);
}

/** A field that is given once. @throws Problem `bad-header` when it is given more often. */
export function one(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  if (Array.isArray(value)) throw bad(name, "one value");
  return value;
}
