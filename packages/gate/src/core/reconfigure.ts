import { refreeze, resetTree } from "./buildsets.ts";
import type { GateEvent } from "./events.ts";
import type { PipelineRules } from "./layout.ts";
import { dropItem, resizeWindow } from "./leaving.ts";
import { managerOf, windowOf } from "./managers.ts";
import { dropMember } from "./offers.ts";
import { queueFor, queueKey } from "./project-queues.ts";
import { note, subjectName } from "./reasons.ts";
import { emptyPipeline } from "./snapshot.ts";
import { type Gate, type Item, markDirty, type Pipeline } from "./state.ts";
import { carried } from "./window.ts";

/**
 * Takes a new layout. Items stay with their builds: each is found its queue again, keeps the item ahead of it if that is
 * in the same queue, and has its jobs frozen anew. What has no place any more leaves.
 */
export function onConfigured(gate: Gate, event: Extract<GateEvent, { kind: "configured" }>): void {
  const { layout, atStart = false } = event;
  const before = gate.pipelines;
  gate.layout = layout;
  gate.pipelines = new Map();
  for (const rules of layout.pipelines) {
    const known = before.get(rules.name);
    const isKept = known?.rules.manager === rules.manager;
    const pipeline = isKept ? known : emptyPipeline(rules);
    gate.pipelines.set(rules.name, pipeline);
    if (isKept) before.delete(rules.name);
    if (atStart) continue;
    pipeline.failuresInARow = 0;
    pipeline.isDisabled = false;
  }
  for (const gone of before.values()) empty(gate, gone);
  for (const rules of layout.pipelines) carryOver(gate, gate.pipelines.get(rules.name)!, rules);
  for (const buildset of gate.buildsets.values()) refreeze(gate, buildset);
  gate.intents.touchAll();
}

/** The pipeline is gone, or manages its items in another way now. */
function empty(gate: Gate, { queues }: Pipeline): void {
  for (const item of itemsInOrder(queues)) {
    if (!item.live) continue;
    // Nobody is left to take the answer; that it merged is heard as news of the change.
    item.landing = null;
    dropItem(gate, item, "is in a pipeline that is not there any more");
  }
}

function itemsInOrder(queues: Pipeline["queues"]): Item[] {
  return [...queues.values()].flatMap(({ items }) => items).sort((a, b) => a.order - b.order);
}

function carryOver(gate: Gate, pipeline: Pipeline, rules: PipelineRules): void {
  pipeline.rules = rules;
  for (const item of itemsInOrder(pipeline.queues)) {
    const gone = item.members.find(({ project }) => !gate.layout.projects.has(project));
    if (item.live && gone !== undefined) {
      const why = `is of project ${gone.project}, which is not in this tenant any more`;
      dropMember(gate, item, gone.id, why);
    }
  }
  if (managerOf(pipeline).queues === "shared") regroup(gate, pipeline);
  for (const item of itemsInOrder(pipeline.queues)) markDirty(gate, item);
}

/** Puts items into the queues that their projects are in now. */
function regroup(gate: Gate, pipeline: Pipeline): void {
  const moved = itemsInOrder(pipeline.queues).filter(
    ({ queue, subject }) => queue.key !== queueKey(pipeline, subject),
  );
  for (const item of moved) {
    const to = queueFor(gate, pipeline, item.subject);
    const from = item.queue;
    from.items.splice(from.indexOf(item), 1);
    item.queue = to;
    const place = to.items.findIndex(({ order }) => order > item.order);
    to.items.splice(place < 0 ? to.items.length : place, 0, item);
    note(gate, item, `is in queue ${to.name} now`);
  }
  if (moved.length > 0) {
    for (const item of itemsInOrder(pipeline.queues)) {
      const { itemAhead, queue } = item;
      if (itemAhead === null || itemAhead.queue === queue) continue;
      resetTree(gate, item, `${subjectName(itemAhead)} ahead of it is in another queue now`);
      itemAhead.itemsBehind.delete(item);
      item.itemAhead = null;
    }
  }
  const rules = windowOf(pipeline);
  for (const [key, queue] of pipeline.queues) {
    const window = carried(queue.window, rules);
    if (queue.items.length === 0 && (moved.length > 0 || window === rules.size)) {
      pipeline.queues.delete(key);
      gate.dirtyQueues.delete(queue);
    } else resizeWindow(gate, queue, window);
    if (!managerOf(pipeline).oneByOne) continue;
    for (const item of queue.items)
      if (!item.active && item.buildset !== null)
        resetTree(gate, item, "an item that came before it is in its queue now");
  }
}
