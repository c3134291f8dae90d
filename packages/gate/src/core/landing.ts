import { resetTree } from "./buildsets.ts";
import type { GateEvent } from "./events.ts";
import { projectMerged } from "./inner-triggers.ts";
import { dropItem, remove, removeUnmerged, report, resizeWindow } from "./leaving.ts";
import { managerOf } from "./managers.ts";
import { note, subjectName } from "./reasons.ts";
import type { Gate, Item } from "./state.ts";
import { grown } from "./window.ts";

/* What becomes of a branch: by the gate, or by somebody else. */

export function onLanded(gate: Gate, event: Extract<GateEvent, { kind: "landed" }>): void {
  const item = gate.buildsets.get(event.buildset)?.item;
  if (item === undefined || item.landing === null) {
    gate.counters.stale++;
    return;
  }
  const { leave, isStale } = item.landing;
  if (event.refused === null) {
    merged(gate, item);
    return;
  }
  item.landing = null;
  if (leave !== null) dropItem(gate, item, leave);
  else if (isStale || event.moved === true)
    resetTree(gate, item, "its branch was moved by somebody else before it could merge");
  else refuse(gate, item, event.refused);
}

function merged(gate: Gate, item: Item): void {
  const { queue, pipeline, members } = item;
  gate.counters.landed += members.length;
  note(gate, item, "was merged");
  report(gate, item, "success", `${subjectName(item)} passed and was merged`);
  for (const member of members) {
    const change = gate.changes.get(member.id);
    if (change !== undefined && member.kind === "change")
      gate.changes.set({ ...change, revision: Math.max(change.revision, member.revision), state: "merged" });
  }
  for (const project of new Set(members.map((member) => member.project))) projectMerged(gate, project);
  remove(gate, item);
  resizeWindow(gate, queue, grown(queue.window, pipeline.rules.window));
}

/** Its jobs passed, and still it did not merge: nobody behind is tested on a fiction. The window stays as it is. */
function refuse(gate: Gate, item: Item, refused: string): void {
  gate.counters.refused++;
  note(gate, item, `passed, but its merge was refused: ${refused}`);
  report(gate, item, "failure", `${subjectName(item)} passed, but its merge was refused: ${refused}`);
  removeUnmerged(gate, item, "was refused by its forge");
}

/** A branch is not where the gate put it. Items of that branch, and all behind them, are tested again on the new tip. */
export function onBranchMoved(gate: Gate, event: Extract<GateEvent, { kind: "branchMoved" }>): void {
  for (const pipeline of gate.pipelines.values()) {
    if (!managerOf(pipeline).merges) continue;
    for (const queue of pipeline.queues.values()) {
      for (const item of queue.items) {
        const { project, branch } = event;
        if (!item.members.some((member) => member.project === project && member.branch === branch)) continue;
        const reason = `branch ${branch} of ${project} was moved by somebody else`;
        if (item.landing === null) resetTree(gate, item, reason);
        else {
          item.landing.isStale = true;
          for (const behind of [...item.itemsBehind]) resetTree(gate, behind, reason);
        }
      }
    }
  }
}
