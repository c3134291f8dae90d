import { discard, resetTree } from "./buildsets.ts";
import type { ReportedBuild, ReportKind } from "./events.ts";
import { managerOf } from "./managers.ts";
import { touch } from "./news.ts";
import { forgetPast } from "./providing.ts";
import type { Queue } from "./queue.ts";
import { note, subjectName } from "./reasons.ts";
import { mayMakeRoom } from "./room.ts";
import { type Gate, type Item, itemsOf, markDirty, type Pipeline, type Report } from "./state.ts";

/* The ways out of a queue, and what is told of them. */

/** Tells of an item, on each of its members. It is told until somebody says that it was. */
export function report(gate: Gate, item: Item, what: ReportKind, reason: string): void {
  const { buildset, pipeline, members } = item;
  const builds: ReportedBuild[] = [];
  for (const { job, build, result } of buildset?.jobs.values() ?? [])
    builds.push({
      ...{ job: job.name, build, result: result ?? "CANCELED", voting: job.voting },
      ...(job.of === undefined ? {} : { change: job.of.changes[0]! }),
    });
  for (const subject of members) {
    const told: Report = {
      kind: "report",
      report: ++gate.last.report,
      what,
      item: item.id,
      buildset: buildset?.id ?? null,
      pipeline: pipeline.rules.name,
      subject,
      reason,
      builds: what === "start" ? [] : builds,
      problems: buildset?.problems ?? [],
      ...(pipeline.isDisabled ? { isDisabled: true } : {}),
    };
    gate.reports.set(told.report, told);
    gate.effects.push(told);
  }
  countResult(pipeline, what);
}

const FAILURES: readonly ReportKind[] = ["failure", "merge-conflict", "config-error"];

/** The one that is too many is still told where it belongs. */
function countResult(pipeline: Pipeline, what: ReportKind): void {
  if (what === "success") pipeline.failuresInARow = 0;
  if (!FAILURES.includes(what)) return;
  const { disableAfter } = pipeline.rules;
  pipeline.failuresInARow++;
  if (disableAfter != null && pipeline.failuresInARow >= disableAfter) pipeline.isDisabled = true;
}

/**
 * Takes an item out that does not merge: everything that was tested on top of it is tested again without it, and what
 * needs it cannot stay.
 *
 * @param why The end of a sentence that begins with the item: "failed", "was abandoned".
 */
export function removeUnmerged(gate: Gate, item: Item, why: string): void {
  const name = subjectName(item);
  for (const behind of [...item.itemsBehind].sort((a, b) => a.order - b.order))
    resetTree(gate, behind, `${name} ahead of it ${why}`);
  for (const member of item.live ? item.members : []) {
    for (const { id } of gate.changes.needing(member.id)) {
      for (const other of itemsOf(gate, id))
        if (other.queue === item.queue && other !== item) other.lostNeed = `needs ${name}, which ${why}`;
    }
  }
  remove(gate, item);
}

/** Takes an item out that its host is told about, if it was told that it began. */
export function dropItem(gate: Gate, item: Item, why: string): void {
  if (item.landing !== null) {
    item.landing.leave = why;
    return;
  }
  note(gate, item, `left the pipeline: it ${why}`);
  if (item.hasReportedStart) report(gate, item, "dequeue", `${subjectName(item)} ${why}`);
  removeUnmerged(gate, item, why);
}

/** Takes an item out of everything. What hangs below it keeps its builds. */
export function remove(gate: Gate, item: Item): void {
  const { queue, pipeline, itemAhead, members } = item;
  discard(gate, item);
  forgetPast(gate, item);
  for (const behind of item.itemsBehind) markDirty(gate, behind);
  const index = queue.indexOf(item);
  queue.remove(item);
  // There is room now for what waits for it.
  if (mayMakeRoom(gate, pipeline)) gate.intents.touchAll();
  pipeline.size--;
  gate.items.delete(item.id);
  for (const { id } of members) {
    const others = gate.itemsOf.get(id)!;
    others.delete(item);
    if (others.size === 0) gate.itemsOf.delete(id);
  }
  dirtyFollowers(gate, queue, index);
  for (const other of queue.refreshActive()) markDirty(gate, other);
  if (itemAhead !== null) markDirty(gate, itemAhead);
  for (const { id } of members) touch(gate, id);
  if (queue.items.length === 0 && managerOf(pipeline).queues !== "shared") {
    pipeline.queues.delete(queue.key);
    gate.dirtyQueues.delete(queue);
  }
}

/** Looks again at all items from a place in the list on that may now have another nearest non-failing one ahead. */
export function dirtyFollowers(gate: Gate, queue: Queue, from: number): void {
  for (let i = from; i < queue.items.length; i++) {
    const item = queue.items[i]!;
    markDirty(gate, item);
    if (item.live && item.failing === null) return;
  }
}

/** Sets the window of a queue, and looks at the items that it gains or loses. */
export function resizeWindow(gate: Gate, queue: Queue, window: number): void {
  queue.window = window;
  for (const item of queue.refreshActive()) markDirty(gate, item);
}
