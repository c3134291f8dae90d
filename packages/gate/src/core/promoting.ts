import { resetTree } from "./buildsets.ts";
import type { GateEvent } from "./events.ts";
import { managerOf } from "./managers.ts";
import { itemAheadOf, needsOf } from "./needs.ts";
import type { Queue } from "./queue.ts";
import { note, subjectName } from "./reasons.ts";
import { type Gate, type Item, liveItem, markDirty, type Pipeline } from "./state.ts";

/**
 * Puts items of one queue ahead of all others of it, in the order given, each behind what it needs; the others follow in
 * the order that they had. Where the order is as it was, items keep their builds; from there on they are tested anew. Where
 * each item has a queue of its own, theirs are served first.
 *
 * It does nothing when one of them is not there, or not in the same queue.
 */
export function onPromote(gate: Gate, event: Extract<GateEvent, { kind: "promote" }>): void {
  const pipeline = gate.pipelines.get(event.pipeline);
  if (pipeline === undefined || promotionObstacle(gate, pipeline, event.subjects) !== null) return;
  const items = event.subjects.map((subject) => liveItem(gate, pipeline, subject)!);
  if (managerOf(pipeline).queues === "own") serveFirst(pipeline, items);
  else reorder(gate, items[0]!.queue, items);
  for (const item of items) note(gate, item, "was promoted by an operator");
}

/** Why items cannot be promoted, in a sentence. */
export function promotionObstacle(
  gate: Gate,
  pipeline: Pipeline,
  subjects: readonly string[],
): string | null {
  const { name } = pipeline.rules;
  const { queues } = managerOf(pipeline);
  if (queues === "ref") return `pipeline ${name} keeps what is newest, and has no order`;
  const items = subjects.map((subject) => liveItem(gate, pipeline, subject));
  for (const [at, item] of items.entries()) {
    if (item === null) return `${subjects[at]} is not in pipeline ${name}`;
    if (queues === "shared" && item.queue !== items[0]!.queue)
      return `${subjects[at]} is not in the queue of ${subjects[0]}, and neither is ahead of the other`;
  }
  return null;
}

function serveFirst({ queues }: Pipeline, items: readonly Item[]): void {
  const others = [...queues.values()].filter((queue) => !items.some((item) => item.queue === queue));
  const order = [...new Set(items.map(({ queue }) => queue)), ...others];
  queues.clear();
  for (const queue of order) queues.set(queue.key, queue);
}

function reorder(gate: Gate, queue: Queue, promoted: readonly Item[]): void {
  const before = [...queue.items];
  // What is being merged cannot be taken back, and what is being deployed is not left half done.
  const { oneByOne } = managerOf(queue.pipeline);
  const fixed = before.findLastIndex((item) => item.landing !== null || (oneByOne && item.buildset !== null));
  const order = new Set(before.slice(0, fixed + 1));
  const take = (item: Item): void => {
    if (order.has(item)) return;
    if (managerOf(queue.pipeline).needs === "ahead") {
      for (const need of needsOf(gate, item)) {
        const needed = itemAheadOf(gate, item, need);
        if (needed !== null) take(needed);
      }
    }
    order.add(item);
  };
  for (const item of [...promoted, ...before]) take(item);
  const after = [...order];
  const from = after.findIndex((item, at) => item !== before[at]);
  if (from < 0) return;
  for (const item of before.slice(from))
    resetTree(gate, item, `${promoted.map(subjectName).join(", ")} was put ahead by an operator`);
  queue.reorder(from, after.slice(from));
  for (const item of [...queue.refreshActive(), ...queue.items.slice(Math.max(0, from - 1))])
    markDirty(gate, item);
}
