import type { ItemView } from "@drover/gate/api";

/**
 * Whether nothing is under way of an item but builds that wait to be told how to end.
 * @param of `areSlotsFew`: builds that are queued may stay so. `isWaiting`: whether a build waits to be told.
 */
export function isItemSettled(
  { live, active, failing, itemAhead, buildset, jobs }: ItemView,
  of: { readonly areSlotsFew: boolean; readonly isWaiting: (build: string) => boolean },
): boolean {
  if (!live || !active) return true;
  if (buildset === null || jobs.length === 0) return failing && itemAhead !== null;
  const isOver = jobs.every(({ state }) => state === "ended");
  if (isOver) return itemAhead !== null;
  return jobs.every(({ state, build, reason }) => {
    if (state === "paused") return jobs.some((job) => job.state !== "paused" && job.state !== "ended");
    if (state === "queued") return of.areSlotsFew || reason?.startsWith("waits for semaphore") === true;
    return state !== "running" || (build !== null && of.isWaiting(build));
  });
}
