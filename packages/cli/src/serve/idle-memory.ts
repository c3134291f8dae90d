import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What is looked at to tell whether a burst is over. */
export interface Load {
  /** Submissions since the start. */
  readonly submitted: () => number;
  /** Jobs there are now. */
  readonly alive: () => number;
}

const EVERY_MS = 10_000;
/** So many submissions leave enough behind to be worth a collection. */
const BURST = 10_000;
/** Up to so many jobs a collection is over in a few milliseconds. */
const FEW_JOBS = 10_000;
/** Up to so many submissions within `EVERY_MS` the server counts as idle. */
const IDLE = 100;

/**
 * Gives memory back to the system after a burst. V8 collects when something is allocated, and an idle server allocates
 * next to nothing: without this the remains of a million jobs stay for as long as nobody submits more.
 * @param collect Collects all garbage. Default: V8's own, where there is one.
 */
export function giveBackWhenIdle(load: Load, collect?: () => void): void {
  let collectedAt = 0;
  let before = 0;
  const timer = setInterval(() => {
    const submitted = load.submitted();
    const isIdle = submitted - before <= IDLE && load.alive() <= FEW_JOBS;
    before = submitted;
    if (!isIdle || submitted - collectedAt < BURST) return;
    collectedAt = submitted;
    collect ??= collector();
    collect();
  }, EVERY_MS);
  timer.unref();
}

/** Node has no other way to ask for a collection. */
function collector(): () => void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("globalThis.gc");
  return typeof collect === "function" ? () => collect() : () => {};
}
