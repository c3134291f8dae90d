import type { Subject } from "./change.ts";
import { dropItem } from "./leaving.ts";
import { touch } from "./news.ts";
import type { Queue } from "./queue.ts";
import { note } from "./reasons.ts";
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
  touch(gate, subject.id);
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
