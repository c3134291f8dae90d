import type { Subject } from "./change.ts";
import { dropItem } from "./leaving.ts";
import { managerOf } from "./managers.ts";
import { touch } from "./news.ts";
import type { Queue } from "./queue.ts";
import { note, subjectName } from "./reasons.ts";
import { type Gate, type Item, linkOf, liveItem, markDirty, type Pipeline } from "./state.ts";

/** On what terms something enters. */
export interface Terms {
  readonly ignoreRequirements: boolean;
  /** Sources of dependencies that are not waited for. */
  readonly ignoreNeeds: readonly string[];
}

/** Puts a subject, which was admitted, at the tail of a queue. */
export function append(gate: Gate, queue: Queue, subject: Subject, live: boolean, terms: Terms): void {
  const { pipeline } = queue;
  const item: Item = {
    id: ++gate.last.item,
    pipeline,
    subject,
    link: linkOf(subject),
    live,
    enqueuedMs: gate.nowMs,
    ignoreRequirements: terms.ignoreRequirements,
    ignoreNeeds: terms.ignoreNeeds,
    queue,
    order: ++gate.last.order,
    active: false,
    itemAhead: null,
    itemsBehind: new Set(),
    buildset: null,
    resets: 0,
    resetReason: null,
    disputes: 0,
    failing: null,
    holds: true,
    hasReportedStart: false,
    landing: null,
    lostNeed: null,
    isDirty: false,
  };
  queue.append(item);
  pipeline.size++;
  gate.items.set(item.id, item);
  const others = gate.itemsOf.get(subject.id) ?? new Set();
  gate.itemsOf.set(subject.id, others.add(item));
  markDirty(gate, item);
  gate.counters.enqueues++;
  if (!live) return;
  note(gate, item, `was enqueued${item.itemAhead === null ? "" : ` behind ${item.itemAhead.subject.id}`}`);
  gate.intents.drop(subject.id, pipeline.rules.name);
  supersede(gate, pipeline, subject);
  if (managerOf(pipeline).queues === "ref") supersedeWaiting(gate, item);
  touch(gate, subject.id);
}

/** The first is being worked on, and the last is the newest: what is between has nothing to say any more. */
function supersedeWaiting(gate: Gate, newest: Item): void {
  for (const item of newest.queue.items.slice(1, -1))
    dropItem(gate, item, `was superseded by ${subjectName(newest)}`);
}

/** A change that enters here is done with the pipelines that this one supersedes. */
function supersede(gate: Gate, { rules }: Pipeline, subject: Subject): void {
  for (const name of rules.supercedes) {
    const other = gate.pipelines.get(name);
    if (other === undefined) continue;
    gate.intents.drop(subject.id, name);
    const item = liveItem(gate, other, subject.id);
    if (item !== null) dropItem(gate, item, `is in pipeline ${rules.name} now`);
  }
}
