import type { Subject } from "./change.ts";
import { parentEnqueued } from "./inner-triggers.ts";
import { dropItem } from "./leaving.ts";
import { managerOf } from "./managers.ts";
import { touch } from "./news.ts";
import type { Queue } from "./queue.ts";
import { note, subjectName } from "./reasons.ts";
import { type Gate, type Item, linksOf, liveItem, markDirty, type Pipeline } from "./state.ts";

/** On what terms something enters. */
export interface Terms {
  readonly ignoreRequirements: boolean;
  /** Sources of dependencies that are not waited for. */
  readonly ignoreNeeds: readonly string[];
}

/** On which an item entered, and enters again. */
export function termsOf({ ignoreRequirements, ignoreNeeds }: Item): Terms {
  return { ignoreRequirements, ignoreNeeds };
}

/** Puts what was admitted at the tail of a queue: one subject, or the changes of a cycle in the order in which they merge. */
export function append(
  gate: Gate,
  queue: Queue,
  members: readonly Subject[],
  live: boolean,
  terms: Terms,
): Item {
  const { pipeline } = queue;
  const item: Item = {
    id: ++gate.last.item,
    pipeline,
    members,
    subject: members.at(-1)!,
    links: linksOf(members),
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
    past: null,
    isDirty: false,
  };
  queue.append(item);
  pipeline.size++;
  gate.items.set(item.id, item);
  for (const { id } of members) {
    const others = gate.itemsOf.get(id) ?? new Set();
    gate.itemsOf.set(id, others.add(item));
  }
  markDirty(gate, item);
  gate.counters.enqueues++;
  if (!live) return item;
  note(gate, item, `was enqueued${item.itemAhead === null ? "" : ` behind ${subjectName(item.itemAhead)}`}`);
  for (const member of members) {
    gate.intents.drop(member.id, pipeline.rules.name);
    supersede(gate, pipeline, member);
    touch(gate, member.id);
    if (member.kind === "change") parentEnqueued(gate, pipeline.rules.name, member.id);
  }
  if (managerOf(pipeline).queues === "ref") supersedeWaiting(gate, item);
  return item;
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
