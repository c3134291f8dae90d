import { type Gate, MAX_ITEMS, type Pipeline } from "./state.ts";

/** The end of a sentence that begins with what did not enter. */
const FULL = `finds the pipeline full: ${MAX_ITEMS} items`;

/**
 * Why a pipeline takes no more: the end of a sentence that begins with what would enter, or `null`.
 * @param items What would enter, each with its changes, those put underneath among them.
 */
export function roomObstacle(
  { layout }: Gate,
  pipeline: Pipeline,
  items: readonly (readonly unknown[])[],
): string | null {
  if (pipeline.size + items.length > MAX_ITEMS) return FULL;
  const { maxChangesPerPipeline: max } = layout;
  if (max === undefined) return null;
  const queued = [...pipeline.queues.values()].flatMap((queue) => queue.items);
  const there = queued.reduce((sum, { members }) => sum + members.length, 0);
  const more = items.reduce((sum, { length }) => sum + length, 0);
  return there + more > max
    ? `finds no room: the tenant's max-changes-per-pipeline is ${max}, and there are ${there}`
    : null;
}

/** Whether what waits has to be asked again when something leaves. */
export function mayMakeRoom({ layout }: Gate, { size }: Pipeline): boolean {
  return size >= MAX_ITEMS || layout.maxChangesPerPipeline !== undefined;
}
