import type { Envelope } from "./value.ts";

/*
 * What is to be done with what a backend holds, and what is to be held next. Clock and chance come in as arguments.
 */

/**
 * - `fresh`: serve it.
 * - `early`: serve it, and compute it anew before it expires, as a draw has decided.
 * - `stale`: serve it if need be, and compute it anew.
 * - `missing`: compute it.
 */
export type Freshness = "fresh" | "early" | "stale" | "missing";

/**
 * Early refresh is XFetch: each reader draws, and the nearer the expiry and the longer the computation, the likelier one of
 * them computes. Expects the computation to be worth `beta` times as much haste as is optimal.
 * @param draw From 0 up to 1.
 * @param beta 0: never early. 1: optimal (Vattani, Chierichetti and Lowenstein, 2015).
 */
export function freshnessOf(
  held: Envelope | undefined,
  nowMs: number,
  draw: number,
  beta: number,
): Freshness {
  if (held?.value === undefined || nowMs >= held.serveUntilMs) return "missing";
  if (nowMs >= held.freshUntilMs) return "stale";
  // A draw of 0 has no logarithm; 1 - draw lies above 0 and is drawn alike.
  const earlyByMs = -held.tookMs * beta * Math.log(1 - draw);
  return nowMs + earlyByMs >= held.freshUntilMs ? "early" : "fresh";
}

/** The failure that is in force: nobody needs to try again before its time. */
export function failureOf(held: Envelope | undefined, nowMs: number): string | undefined {
  return held?.failure !== undefined && nowMs < held.failure.untilMs ? held.failure.text : undefined;
}

/** What a cached function promises about time. */
export interface Lifetimes {
  readonly freshMs: number;
  readonly staleMs: number;
}

/** A computation's good end. */
export interface Computed {
  readonly value: Uint8Array;
  readonly beganMs: number;
  readonly endedMs: number;
  /** Of the invalidation that whoever asked knew of. */
  readonly version: number;
}

export function envelopeOf(computed: Computed, { freshMs, staleMs }: Lifetimes): Envelope {
  const { value, beganMs, endedMs, version } = computed;
  const freshUntilMs = endedMs + freshMs;
  const tookMs = Math.max(0, endedMs - beganMs);
  const serveUntilMs = freshUntilMs + staleMs;
  return { asOfMs: beganMs, freshUntilMs, serveUntilMs, version, tookMs, value, failure: undefined };
}

/** Whether `next` may replace what is held: not when that knows of a later invalidation, or is of a later computation. */
export function supersedes(next: Envelope, held: Envelope | undefined, nowMs: number): boolean {
  if (held === undefined || held.version < next.version) return true;
  if (held.version > next.version) return false;
  // A clock that runs ahead must not keep all others out.
  return held.value === undefined || held.asOfMs <= next.asOfMs || held.asOfMs > nowMs;
}

/** What is held after a failure: what was, with the failure. Undefined where a later invalidation makes it nobody's concern. */
export function failed(
  held: Envelope | undefined,
  text: string,
  untilMs: number,
  nowMs: number,
  version: number,
): Envelope | undefined {
  if (held !== undefined && held.version > version) return undefined;
  const failure = { untilMs, text };
  if (held?.value !== undefined && nowMs < held.serveUntilMs && held.version === version)
    return { ...held, failure };
  return {
    asOfMs: nowMs,
    freshUntilMs: nowMs,
    serveUntilMs: untilMs,
    version,
    tookMs: held?.tookMs ?? 0,
    value: undefined,
    failure,
  };
}

/** What is held after an invalidation. Each has a version above all that were before. */
export function invalidated(
  held: Envelope | undefined,
  atLeast: number,
  nowMs: number,
  serveStale: boolean,
): Envelope {
  const version = Math.max(Math.floor(nowMs), atLeast, (held?.version ?? 0) + 1);
  const kept = serveStale && held?.value !== undefined && nowMs < held.serveUntilMs ? held : undefined;
  return {
    asOfMs: kept?.asOfMs ?? nowMs,
    freshUntilMs: Math.min(kept?.freshUntilMs ?? nowMs, nowMs),
    serveUntilMs: kept?.serveUntilMs ?? nowMs,
    version,
    tookMs: held?.tookMs ?? 0,
    value: kept?.value,
    failure: undefined,
  };
}

/** The same value, no longer fresh. Undefined where there is none. */
export function expired(held: Envelope | undefined, nowMs: number): Envelope | undefined {
  if (held?.value === undefined || nowMs >= held.serveUntilMs) return undefined;
  return { ...held, freshUntilMs: Math.min(held.freshUntilMs, nowMs), failure: undefined };
}

/**
 * For how long a backend has to hold it: until its hard expiry, and what knows of an invalidation at least as long as
 * computations may run that do not.
 */
export function ttlOf(envelope: Envelope, nowMs: number, guardMs: number): number {
  const { serveUntilMs, version, failure } = envelope;
  const guard = version === 0 ? 0 : Math.min(guardMs, version + guardMs - nowMs);
  return Math.max(1, serveUntilMs - nowMs, guard, (failure?.untilMs ?? 0) - nowMs);
}

/** A duration spread by up to a quarter to either side, so that what began together does not end together. */
export function jittered(durationMs: number, draw: number): number {
  return durationMs * (0.75 + draw / 2);
}
