import { Queue } from "./queue.ts";
import type { Gate, Pipeline } from "./state.ts";

/* Which queue something belongs to. */

/** Names the queue of a project and branch where projects share queues. */
export function queueKey(
  { rules }: Pick<Pipeline, "rules">,
  { project, branch }: { readonly project: string; readonly branch: string | null },
): string {
  const named = rules.queues.get(project);
  if (named === undefined) return `project ${project}`;
  return named.perBranch ? `queue ${named.name} ${branch}` : `queue ${named.name}`;
}

/** The queue of a project and branch where projects share queues; it is made when there is none. */
export function queueFor(
  gate: Gate,
  pipeline: Pipeline,
  of: { readonly project: string; readonly branch: string | null },
): Queue {
  const key = queueKey(pipeline, of);
  const known = pipeline.queues.get(key);
  if (known !== undefined) return known;
  const named = pipeline.rules.queues.get(of.project);
  const branch = named?.perBranch ? of.branch : null;
  const { size } = pipeline.rules.window;
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
