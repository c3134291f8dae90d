import { managerOf, windowOf } from "./managers.ts";
import { Queue } from "./queue.ts";
import type { Gate, Pipeline } from "./state.ts";

/* Which queue something belongs to. */

/** A change, or a ref. */
interface Placed {
  readonly project: string;
  readonly branch: string | null;
  readonly ref?: string;
}

/** Names the queue of a change or ref where it is not alone in one. */
export function queueKey(pipeline: Pipeline, { project, branch, ref }: Placed): string {
  if (managerOf(pipeline).queues === "ref") return `ref ${project} ${branch ?? ref}`;
  const named = pipeline.rules.queues.get(project);
  if (named === undefined) return `project ${project}`;
  return named.perBranch ? `queue ${named.name} ${branch}` : `queue ${named.name}`;
}

/** The queue of a change or ref where it is not alone in one; it is made when there is none. */
export function queueFor(gate: Gate, pipeline: Pipeline, of: Placed): Queue {
  const key = queueKey(pipeline, of);
  const known = pipeline.queues.get(key);
  if (known !== undefined) return known;
  const named = pipeline.rules.queues.get(of.project);
  const isOfRef = managerOf(pipeline).queues === "ref";
  const branch = isOfRef ? (of.branch ?? of.ref ?? null) : named?.perBranch ? of.branch : null;
  const { size } = windowOf(pipeline);
  const queue = new Queue(++gate.last.queue, pipeline, key, named?.name ?? of.project, branch, size);
  pipeline.queues.set(key, queue);
  return queue;
}

/** A queue for one item alone, all of which is worked on. */
export function ownQueue(gate: Gate, pipeline: Pipeline): Queue {
  const serial = ++gate.last.queue;
  const queue = new Queue(serial, pipeline, `item ${serial}`, "", null, 0);
  pipeline.queues.set(queue.key, queue);
  return queue;
}
