import type { Peer } from "./core/index.ts";

/* Which writes of a turn may wait for the next ones. */

/**
 * With so many connections to write to in one turn, those that can wait do: see `canWait`. With fewer, the server has time;
 * with more, the turn is long enough for writes to be full.
 */
export const DEFERRING_CONNECTIONS = { least: 8, most: 64 };
/** With more connections to write to for each that was read, a turn fans out: see `JobServer`. */
export const FANNING_OUT = 8;
/** For so long at most, though always for one turn. */
const DEFERRED_MS = 0.3;
/** More than this is sent at once. */
const DEFERRED_BYTES = 16 * 1024;

/**
 * Whether a write may wait some turns and then carry more: a client that still waits for other jobs does not go on
 * before they end. Half of the writes are to clients, and a write costs more than all else that is done for a job.
 */
export function canWait(peer: Peer, deferredSinceMs: number, nowMs: number): boolean {
  const { submissionCount, out, closing, stalled, gone } = peer;
  if (submissionCount === 0 || out.bytes >= DEFERRED_BYTES) return false;
  if (deferredSinceMs > 0 && nowMs - deferredSinceMs >= DEFERRED_MS) return false;
  return closing === null && !stalled && !gone;
}
