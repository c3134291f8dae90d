import type { Subject } from "./change.ts";
import { frozenBecause } from "./frozen-branches.ts";
import { failureOf, holdingJob } from "./job-graph.ts";
import { managerOf } from "./managers.ts";
import { type Gate, type Item, liveAhead } from "./state.ts";

/* Every decision has a reason, and every reason is a sentence or the end of one: "local:12 was reset: …". */

export function subjectName({ members }: { readonly members: readonly Subject[] }): string {
  const ids = members.map(({ id }) => id);
  return ids.length === 1 ? ids[0]! : `the cycle of ${listed(ids)}`;
}

/** What is so of a member, said of its item. @param text The end of a sentence that begins with the member. */
export function ofMember({ members }: Item, id: string, text: string): string {
  return members.length === 1 ? text : `includes ${id}, which ${text}`;
}

/** Writes a decision about an item down, for each of its members. */
export function note(gate: Gate, { members, pipeline }: Item, text: string): void {
  for (const { id } of members)
    gate.decisions.note(id, { atMs: gate.nowMs, pipeline: pipeline.rules.name, text });
}

/** "A", "A and B", "A, B and C". */
export function listed(names: readonly string[]): string {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** What a buildset was tested on top of, for the one who reads of its failure. */
function withAhead({ buildset }: Item): string {
  const { chain, item } = buildset!;
  const ahead = chain.slice(0, chain.length - item.links.length).map(({ change }) => change);
  return ahead.length === 0 ? "" : `, with ${listed(ahead)} ahead`;
}

/** A member for which nothing was tested. */
function memberWithoutJobs({ members, buildset }: Item): string | null {
  const jobs = [...buildset!.jobs.values()].map(({ job }) => job);
  if (members.length === 1) return jobs.length === 0 ? members[0]!.id : null;
  return members.find(({ id }) => !jobs.some(({ of }) => of?.changes.includes(id)))?.id ?? null;
}

/** Why an item cannot merge by what its own buildset has shown. */
export function ownFailure(item: Item): string | null {
  const { buildset, pipeline } = item;
  if (buildset === null) return null;
  switch (buildset.state) {
    case "conflict":
      return `does not merge${withAhead(item)}: ${buildset.detail}`;
    case "broken":
      return `its configuration is wrong${withAhead(item)}: ${buildset.problems[0]?.message ?? "no jobs could be frozen"}`;
    case "ready": {
      if (managerOf(pipeline).merges) {
        const without = memberWithoutJobs(item);
        if (without !== null) return ofMember(item, without, "has no jobs in this pipeline");
      } else if (buildset.jobs.size === 0) return null;
      const failure = failureOf(buildset.jobs);
      return failure === null ? null : `${failure}${withAhead(item)}`;
    }
    default:
      return null;
  }
}

/** Why an item is where it is, and goes no further now. Empty when one of its builds runs. */
export function waitingReasons(gate: Gate, item: Item): string[] {
  const { buildset, queue } = item;
  if (!item.live) return [`is tested underneath ${listed([...item.itemsBehind].map(subjectName))}`];
  if (item.landing !== null) return ["is being merged"];
  if (buildset === null) {
    if (!item.active && managerOf(item.pipeline).oneByOne)
      return [`waits until ${subjectName(queue.items[0]!)} is done, which is ahead of it`];
    if (!item.active) return [`waits for a place among the first ${queue.window} of its queue`];
    return item.failing === null ? ["is about to be tested"] : [];
  }
  switch (buildset.state) {
    case "merging":
      return ["is being merged with what is ahead of it"];
    case "retrying":
      return [`will be merged again, which could not be tried: ${buildset.detail}`];
    case "blocked":
      return [`waits for ${buildset.chain[buildset.blockedBy]!.change}, which does not merge`];
    case "freezing":
      return ["waits for its jobs to be read from the configuration"];
    case "ready":
      return readyReasons(gate, item);
    default:
      return buildset.isRefreezing
        ? ["waits for its jobs to be read from the new configuration"]
        : aheadReasons(item);
  }
}

function readyReasons(gate: Gate, item: Item): string[] {
  const { jobs, isRefreezing } = item.buildset!;
  if (isRefreezing) return ["waits for its jobs to be read from the new configuration"];
  const reasons = new Set<string>();
  let allEnded = true;
  for (const { state, reason } of jobs.values()) {
    if (state === "running") return [];
    if (state !== "ended") {
      allEnded = false;
      if (reason !== null) reasons.add(reason);
    }
  }
  if (!allEnded) return [...reasons];
  if (liveAhead(item) !== null) return aheadReasons(item);
  if (gate.isPaused) return ["the gate is paused"];
  const frozen = managerOf(item.pipeline).merges ? frozenBecause(gate, item) : null;
  return frozen === null ? [] : [frozen];
}

function aheadReasons(item: Item): string[] {
  const ahead = liveAhead(item);
  return ahead === null ? [] : [`is done, and waits for ${subjectName(ahead)} ahead of it`];
}

/** The job of an item, or of one ahead of it, that holds what follows. */
export function isHolding(item: Item): boolean {
  if (!item.live) return false;
  const { buildset } = item;
  // What its jobs are is not known yet, and one of them may hold.
  if (item.active && (buildset === null || buildset.state === "merging" || buildset.state === "freezing"))
    return true;
  if (buildset?.state === "ready" && holdingJob(buildset.jobs) !== null) return true;
  return liveAhead(item)?.holds ?? false;
}
