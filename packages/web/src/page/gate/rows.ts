import type {
  ItemView,
  PipelineView,
  QueueView,
  StatusView,
  SubjectView,
  WaitingView,
} from "@drover/gate/api";
import { type Twig, twigsOf } from "./graph.ts";

/** A line of the status page. */
export type Row =
  | {
      readonly kind: "pipeline";
      readonly key: string;
      readonly pipeline: PipelineView;
      readonly isOpen: boolean;
    }
  | { readonly kind: "queue"; readonly key: string; readonly queue: QueueView }
  | {
      readonly kind: "item";
      readonly key: string;
      readonly pipeline: string;
      readonly item: ItemView;
      /** `null` where rows between are left out. */
      readonly twig: Twig | null;
    }
  /** Items below it are outside of the window. */
  | {
      readonly kind: "edge";
      readonly key: string;
      readonly window: number;
      readonly lanes: readonly number[];
    }
  | { readonly kind: "waiting"; readonly key: string; readonly waiting: WaitingView };

/** Heights, which the style sheet keeps. */
const HEIGHTS_PX: Readonly<Record<Row["kind"], number>> = {
  pipeline: 44,
  queue: 30,
  item: 34,
  edge: 22,
  waiting: 34,
};

export const heightOf = ({ kind }: Row): number => HEIGHTS_PX[kind];

export const canBeChosen = ({ kind }: Row): boolean => kind !== "queue" && kind !== "edge";

export const itemKey = (id: number): string => `item ${id}`;

/**
 * All lines of a status.
 * @param filter Part of a change's number, title, project, branch, owner or job; empty = all.
 * @param closed Names of pipelines of which only the heading is wanted.
 */
export function rowsOf({ pipelines }: StatusView, filter: string, closed: ReadonlySet<string>): Row[] {
  const wanted = filter.trim().toLowerCase();
  return pipelines.flatMap((pipeline): Row[] => {
    const isOpen = !closed.has(pipeline.name);
    const rows: Row[] = isOpen ? rowsOfPipeline(pipeline, wanted) : [];
    if (wanted !== "" && isOpen && rows.length === 0) return [];
    return [{ kind: "pipeline", key: `pipeline ${pipeline.name}`, pipeline, isOpen }, ...rows];
  });
}

function rowsOfPipeline({ name, manager, queues, waiting }: PipelineView, wanted: string): Row[] {
  const rows: Row[] = [];
  queues.forEach((queue, at) => {
    const found = rowsOfItems(name, queue, wanted);
    if (found.length === 0) return;
    // An independent pipeline has a queue for each change, of which the name tells nothing.
    if (manager !== "independent") rows.push({ kind: "queue", key: `queue ${name} ${at}`, queue });
    for (const row of found) rows.push(row);
  });
  for (const one of waiting) {
    if (wanted === "" || matches(one.subject, wanted))
      rows.push({ kind: "waiting", key: `waiting ${name} ${one.subject.id}`, waiting: one });
  }
  return rows;
}

function rowsOfItems(pipeline: string, { items, window }: QueueView, wanted: string): Row[] {
  if (wanted !== "") {
    return items
      .filter(({ members, jobs }) => {
        return members.some((one) => matches(one, wanted)) || jobs.some(({ name }) => has(name, wanted));
      })
      .map((item) => ({ kind: "item", key: itemKey(item.id), pipeline, item, twig: null }));
  }
  const twigs = twigsOf(items);
  return items.flatMap((item, at): Row[] => {
    const twig = twigs[at]!;
    const row: Row = { kind: "item", key: itemKey(item.id), pipeline, item, twig };
    if (window === 0 || at !== window) return [row];
    const lanes = [...twig.passing, ...(twig.leaves === null ? [twig.lane] : [])];
    return [{ kind: "edge", key: `edge ${item.id}`, window, lanes }, row];
  });
}

function matches({ number, title, project, branch, owner }: SubjectView, wanted: string): boolean {
  return (
    String(number) === wanted ||
    [title, project, branch, owner].some((text) => text !== null && has(text, wanted))
  );
}

const has = (text: string, wanted: string): boolean => text.toLowerCase().includes(wanted);
