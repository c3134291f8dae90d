import { admitChange } from "./admission.ts";
import { admitRef } from "./alone.ts";
import type { Change, ChangeId, RefUpdate } from "./change.ts";
import { cycleOf } from "./cycles.ts";
import { type Terms, termsOf } from "./entering.ts";
import type { GateEvent } from "./events.ts";
import { dropItem } from "./leaving.ts";
import { managerOf } from "./managers.ts";
import { needsDiffer, touch } from "./news.ts";
import { ofMember } from "./reasons.ts";
import { reenqueue } from "./regrouping.ts";
import { type Gate, type Item, itemsOf, liveItem, markDirty, memberOf, type Pipeline } from "./state.ts";

/* What forges and operators say of changes, and what is remembered of it. */

const PLAIN: Terms = { ignoreRequirements: false, ignoreNeeds: [] };

export function onOffer(gate: Gate, { subject, pipelines }: Extract<GateEvent, { kind: "offer" }>): void {
  for (const pipeline of gate.pipelines.values())
    if (pipelines.includes(pipeline.rules.name)) offer(gate, pipeline, subject, PLAIN);
}

export function onEnqueue(gate: Gate, event: Extract<GateEvent, { kind: "enqueue" }>): void {
  const { subject, ignoreRequirements, ignoreNeeds } = event;
  const pipeline = gate.pipelines.get(event.pipeline);
  if (pipeline !== undefined) offer(gate, pipeline, subject, { ignoreRequirements, ignoreNeeds });
}

/** Has a change or a ref enter a pipeline, or remembers that it wants to. */
export function offer(gate: Gate, pipeline: Pipeline, subject: ChangeId | RefUpdate, terms: Terms): void {
  const { name } = pipeline.rules;
  const say = (id: string, reason: string) =>
    gate.decisions.note(id, { atMs: gate.nowMs, pipeline: name, text: `was refused: it ${reason}` });
  if (typeof subject !== "string") {
    const reason = admitRef(gate, pipeline, subject, terms);
    if (reason !== null) say(subject.id, reason);
    return;
  }
  const known = gate.intents.find(subject, name);
  const kept = { ...terms, ignoreNeeds: [...new Set([...terms.ignoreNeeds, ...(known?.ignoreNeeds ?? [])])] };
  const refusal = admitChange(gate, pipeline, subject, kept);
  if (refusal === null) {
    gate.intents.drop(subject, name);
    return;
  }
  const { reason, waits, waitsFor } = refusal;
  const change = gate.changes.get(subject);
  if (!waits || change === undefined) {
    gate.intents.drop(subject, name);
    say(subject, reason);
    return;
  }
  const { revision } = change;
  const sinceMs = known?.revision === revision ? known.sinceMs : gate.nowMs;
  gate.intents.remember({ change: subject, revision, pipeline: name, sinceMs, ...kept, reason, waitsFor });
  if (known?.reason !== reason)
    gate.decisions.note(subject, { atMs: gate.nowMs, pipeline: name, text: `waits: it ${reason}` });
}

/** Tries again what was refused and for which something changed. */
export function retryIntents(gate: Gate): void {
  for (const { change: id, revision, pipeline: name, ...terms } of gate.intents.takeDirty()) {
    const pipeline = gate.pipelines.get(name);
    const change = gate.changes.get(id);
    const why = pipeline === undefined ? "the pipeline is gone" : endOf(pipeline, change, revision);
    if (why === null) offer(gate, pipeline!, id, terms);
    else {
      gate.intents.drop(id, name);
      gate.decisions.note(id, { atMs: gate.nowMs, pipeline: name, text: `waits no longer: ${why}` });
    }
  }
}

/** Why an intent is dropped. */
function endOf(pipeline: Pipeline, change: Change | undefined, revision: number): string | null {
  if (change === undefined) return "the change is not known any more";
  if (change.revision !== revision) return "there is a newer revision";
  if (change.state !== "open") return `it is ${change.state}`;
  return managerOf(pipeline).merges && !change.isApproved ? "it is not approved any more" : null;
}

/** Who operates may take anything out; what is asked for and waits, too. */
export function onDequeue(
  gate: Gate,
  { subject, pipeline: name }: Extract<GateEvent, { kind: "dequeue" }>,
): void {
  const pipeline = gate.pipelines.get(name);
  if (pipeline === undefined) return;
  if (gate.intents.find(subject, name) !== undefined) {
    gate.intents.drop(subject, name);
    gate.decisions.note(subject, {
      atMs: gate.nowMs,
      pipeline: name,
      text: "waits no longer: it was dequeued",
    });
  }
  for (let item = liveItem(gate, pipeline, subject); item !== null; ) {
    const isLanding = item.landing !== null;
    dropItem(gate, item, "was dequeued by an operator");
    item = isLanding ? null : liveItem(gate, pipeline, subject);
  }
}

export function onChange(gate: Gate, change: Change): void {
  const before = gate.changes.set(change);
  const now = gate.changes.get(change.id)!;
  for (const item of [...itemsOf(gate, change.id)]) {
    const member = memberOf(item, change.id)!;
    if (!item.live || member.kind !== "change" || gate.items.get(item.id) !== item) continue;
    const { rules } = item.pipeline;
    const { merges, needs } = managerOf(item.pipeline);
    const isOld = now.revision > member.revision;
    const drop = (why: string): void => dropMember(gate, item, change.id, why);
    if (isOld && (merges || rules.dequeueOnNewRevision)) drop("has a newer revision");
    else if (now.state === "abandoned") drop("was abandoned");
    else if (item.landing !== null && !now.isApproved && now.state === "open")
      drop("is not approved any more");
    else if (before !== undefined && needs === "underneath" && !isOld && needsDiffer(before, now)) {
      if (!rules.ignoreDependencies && now.state === "open")
        reenqueue(gate, item, "what it needs was changed");
    }
  }
  touch(gate, change.id);
  // Who is in a cycle by way of it may be far from it.
  for (const { id } of cycleOf(gate, change.id, []))
    for (const item of itemsOf(gate, id)) markDirty(gate, item);
}

/** Takes an item out because of one of its members. The others of its cycle wait for that one from then on. */
export function dropMember(gate: Gate, item: Item, id: ChangeId, why: string): void {
  const { pipeline, members, landing } = item;
  dropItem(gate, item, ofMember(item, id, why));
  if (landing !== null) return;
  for (const member of members) if (member.id !== id) offer(gate, pipeline, member.id, termsOf(item));
}
