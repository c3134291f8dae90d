import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { changeHref } from "../route.ts";
import { canBeChosen, heightOf, itemKey, type Row } from "./rows.ts";
import { TreeRow } from "./tree-row.tsx";

/** Drawn beyond what is seen, on either side. */
const MARGIN_PX = 300;

/**
 * All queues as one tree, of which only the rows that are seen are in the document, and the chosen one. One row can be reached by
 * Tab, the others by the arrows: left leads to the item ahead, Enter to the change.
 */
export function Tree({
  rows,
  atMs,
  chosen,
  onChoose,
  onToggle,
}: {
  readonly rows: readonly Row[];
  readonly atMs: number;
  /** Key of a row. */
  readonly chosen: string | null;
  readonly onChoose: (key: string) => void;
  readonly onToggle: (pipeline: string) => void;
}) {
  const [top, setTop] = useState(0);
  const [seenPx, setSeenPx] = useState(800);
  const scroller = useRef<HTMLDivElement>(null);
  const wantsFocus = useRef(false);
  const { tops, indexes } = useMemo(() => placed(rows), [rows]);
  const heightPx = tops.at(-1)!;

  useLayoutEffect(() => {
    const box = scroller.current!;
    const measure = () => setSeenPx(box.clientHeight);
    const resized = new ResizeObserver(measure);
    resized.observe(box);
    measure();
    return () => resized.disconnect();
  }, []);

  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    scroller.current!.querySelector<HTMLElement>("[aria-selected=true]")?.focus({ preventScroll: true });
  });

  const first = indexAt(tops, top - MARGIN_PX);
  const last = Math.min(rows.length, indexAt(tops, top + seenPx + MARGIN_PX) + 1);
  const at = chosen === null ? undefined : indexes.get(chosen);
  const drawn = rows.slice(first, last).map((_, i) => first + i);
  // In its order, so that it is not moved in the document, which would take the focus from it.
  if (at !== undefined && at < first) drawn.unshift(at);
  if (at !== undefined && at >= last) drawn.push(at);
  const reachable = at ?? drawn.find((index) => canBeChosen(rows[index]!));

  const moveTo = (index: number): void => {
    const box = scroller.current!;
    const [from, to] = [tops[index]!, tops[index + 1]!];
    if (from < box.scrollTop) box.scrollTop = from;
    else if (to > box.scrollTop + box.clientHeight) box.scrollTop = to - box.clientHeight;
    wantsFocus.current = true;
    setTop(box.scrollTop);
    onChoose(rows[index]!.key);
  };

  /** The nearest row that can be chosen, from `index` on in a direction. */
  const nearest = (index: number, step: 1 | -1): number | undefined => {
    for (let i = index; i >= 0 && i < rows.length; i += step) if (canBeChosen(rows[i]!)) return i;
    return undefined;
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    if (rows.length === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const from = reachable ?? 0;
    const row = rows[from]!;
    let to: number | undefined;
    switch (event.key) {
      case "ArrowDown":
        to = nearest(at === undefined ? from : from + 1, 1);
        break;
      case "ArrowUp":
        to = nearest(from - 1, -1);
        break;
      case "PageDown":
        to = nearest(Math.min(rows.length - 1, indexAt(tops, tops[from]! + seenPx)), -1);
        break;
      case "PageUp":
        to = nearest(indexAt(tops, tops[from]! - seenPx), 1);
        break;
      case "Home":
        to = nearest(0, 1);
        break;
      case "End":
        to = nearest(rows.length - 1, -1);
        break;
      case "ArrowLeft":
        if (row.kind === "pipeline" && row.isOpen) onToggle(row.pipeline.name);
        to = row.kind === "item" ? indexes.get(itemKey(row.item.itemAhead ?? -1)) : undefined;
        break;
      case "ArrowRight":
        if (row.kind === "pipeline" && !row.isOpen) onToggle(row.pipeline.name);
        to = row.kind === "item" ? indexes.get(itemKey(row.item.itemsBehind[0] ?? -1)) : undefined;
        break;
      case "Enter":
        open(row);
        break;
      default:
        return;
    }
    event.preventDefault();
    if (to !== undefined) moveTo(to);
  };

  /** The row that something happened in. */
  const indexOf = ({ target }: Event): number | undefined =>
    indexes.get((target as Element).closest<HTMLElement>("[data-key]")?.dataset.key ?? "");

  const open = (row: Row): void => {
    if (row.kind === "pipeline") onToggle(row.pipeline.name);
    const subject =
      row.kind === "item" ? row.item.subject : row.kind === "waiting" ? row.waiting.subject : undefined;
    if (subject?.number) location.hash = changeHref(subject.number);
  };

  return (
    <div
      ref={scroller}
      class="gate-tree"
      role="tree"
      aria-label="Queues"
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      onKeyDown={onKeyDown}
      onFocusIn={(event) => {
        const index = indexOf(event);
        if (index !== undefined && index !== at) onChoose(rows[index]!.key);
      }}
      onClick={(event) => {
        const row = rows[indexOf(event) ?? -1];
        if (row?.kind === "pipeline") onToggle(row.pipeline.name);
      }}
    >
      <div class="gate-rows" role="presentation" style={{ height: `${heightPx}px` }}>
        {drawn.map((index) => {
          const row = rows[index]!;
          return (
            <TreeRow
              key={row.key}
              row={row}
              topPx={tops[index]!}
              atMs={atMs}
              isChosen={index === at}
              isReachable={index === reachable}
            />
          );
        })}
      </div>
    </div>
  );
}

/** Where each row begins, and at last where they end; and the index of each key. */
function placed(rows: readonly Row[]): { tops: number[]; indexes: ReadonlyMap<string, number> } {
  const tops = [0];
  const indexes = new Map<string, number>();
  rows.forEach((row, i) => {
    tops.push(tops[i]! + heightOf(row));
    indexes.set(row.key, i);
  });
  return { tops, indexes };
}

/** The row that a height is in. */
function indexAt(tops: readonly number[], px: number): number {
  let low = 0;
  let high = Math.max(0, tops.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle]! <= px) low = middle;
    else high = middle - 1;
  }
  return low;
}
