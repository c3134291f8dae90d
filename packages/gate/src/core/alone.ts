import { absence, type Refusal, unmetRequirement } from "./admission.ts";
import { type ChangeId, isStanding, type RefUpdate } from "./change.ts";
import { append, type Terms } from "./entering.ts";
import { managerOf } from "./managers.ts";
import { ownQueue, queueFor, queueKey } from "./project-queues.ts";
import { roomObstacle } from "./room.ts";
import { type Gate, type Item, liveItem, type Pipeline } from "./state.ts";

/* What enters a pipeline by itself: branches and tags, and changes where it does not matter what they need. */

/** @returns `null` when it is there, now or already. */
export function admitAlone(gate: Gate, pipeline: Pipeline, id: ChangeId, terms: Terms): Refusal | null {
  const { require, reject } = pipeline.rules;
  const refuse = (reason: string, waits: boolean): Refusal => ({ reason, waits, waitsFor: [id] });
  const change = gate.changes.get(id);
  if (change === undefined) return refuse("is not known", false);
  if (liveItem(gate, pipeline, id, change.revision) !== null) return null;
  const unmet = unmetRequirement(require, reject, change);
  if (!terms.ignoreRequirements && unmet !== null) return refuse(unmet, false);
  const absent = absence(gate, change);
  if (absent !== null) return refuse(absent, true);
  const full = roomObstacle(gate, pipeline, [[change]]);
  if (full !== null) return refuse(full, true);
  append(gate, queueFor(gate, pipeline, change), [change], true, terms);
  return null;
}

/** Refs need nothing and nothing needs them. @returns The end of a sentence, or `null`. */
export function admitRef(gate: Gate, pipeline: Pipeline, ref: RefUpdate, terms: Terms): string | null {
  const { merges, queues } = managerOf(pipeline);
  if (merges) return "is not a change, and this pipeline merges changes";
  if (!gate.layout.projects.has(ref.project))
    return `is of project ${ref.project}, which is not in this tenant`;
  const same =
    queues === "own" || isStanding(ref) ? liveItem(gate, pipeline, ref.id) : newestOf(pipeline, ref);
  if (same?.subject.id === ref.id) return null;
  const full = roomObstacle(gate, pipeline, [[ref]]);
  if (full !== null) return full;
  const queue = queues === "own" ? ownQueue(gate, pipeline) : queueFor(gate, pipeline, ref);
  append(gate, queue, [ref], true, terms);
  return null;
}

/** Where things are done in order, a ref that came back to where it was is news, unless nothing came between. */
function newestOf(pipeline: Pipeline, { project, ref, ...of }: RefUpdate): Item | undefined {
  const queue = pipeline.queues.get(queueKey(pipeline, { project, ref, ...of }));
  return queue?.items.findLast(
    ({ subject }) => subject.kind === "ref" && subject.project === project && subject.ref === ref,
  );
}
