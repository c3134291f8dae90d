import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, joinRatio, rate } from "./format.ts";
import { beat, functions, type LiveFunction } from "./live.ts";
import { functionHref } from "./route.ts";

/** Height of a row, which the style sheet keeps. */
const ROW_PX = 36;
/** Rows drawn beyond what is seen, on either side. */
const MARGIN = 8;

interface Column {
  readonly name: string;
  readonly title?: string;
  readonly value: (fn: LiveFunction) => number | string;
  readonly shown: (fn: LiveFunction) => string;
}

const COLUMNS: readonly Column[] = [
  { name: "Function", value: (fn) => fn.name, shown: (fn) => fn.name },
  number("Queued", (fn) => fn.queued),
  number("Delayed", (fn) => fn.delayed),
  number("Running", (fn) => fn.running),
  number("Workers", (fn) => fn.workers),
  {
    name: "Join ratio",
    title: "submissions for each run, since the start",
    value: (fn) => (fn.runs === 0 ? 0 : fn.submissions / fn.runs),
    shown: (fn) => joinRatio(fn.submissions, fn.runs),
  },
  {
    name: "Submitted/s",
    title: "submissions a second",
    value: (fn) => fn.submissionRate,
    shown: (fn) => rate(fn.submissionRate),
  },
  { name: "Run/s", title: "runs a second", value: (fn) => fn.runRate, shown: (fn) => rate(fn.runRate) },
  { ...number("Failed", (fn) => fn.failed), title: "jobs that failed, since the start" },
];

function number(name: string, value: (fn: LiveFunction) => number): Column {
  return { name, value, shown: (fn) => count(value(fn)) };
}

interface Order {
  readonly column: number;
  readonly isDescending: boolean;
}

/** By the column, then by name. */
function sorted(wanted: string, { column, isDescending }: Order): LiveFunction[] {
  const found: LiveFunction[] = [];
  const lower = wanted.toLowerCase();
  for (const fn of functions.values()) {
    if (lower === "" || fn.name.toLowerCase().includes(lower)) found.push(fn);
  }
  const { value } = COLUMNS[column]!;
  const sign = isDescending ? -1 : 1;
  return found.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x !== y) return x < y ? -sign : sign;
    return a.name < b.name ? -1 : 1;
  });
}

/**
 * All functions, of which only the rows that are seen are in the document. Numbers change at every beat; the order stays while
 * the focus is in a row, so that nothing moves away from under somebody.
 */
export function FunctionTable({ filter }: { readonly filter: string }) {
  const [order, setOrder] = useState<Order>({ column: 1, isDescending: true });
  const [top, setTop] = useState(0);
  const [seenPx, setSeenPx] = useState(800);
  const [focused, setFocused] = useState<string | null>(null);
  const scroller = useRef<HTMLElement>(null);
  const kept = useRef<LiveFunction[]>([]);
  const wantsFocus = useRef<string | null>(null);
  const turn = beat.value;

  const rows = useMemo(() => {
    const isHeld = focused !== null && kept.current.length > 0;
    if (!isHeld) return sorted(filter, order);
    return kept.current.flatMap(({ name }) => functions.get(name) ?? []);
  }, [turn, filter, order, focused]);
  kept.current = rows;

  useLayoutEffect(() => {
    const box = scroller.current!;
    const measure = () => setSeenPx(box.clientHeight);
    const resized = new ResizeObserver(measure);
    resized.observe(box);
    measure();
    return () => resized.disconnect();
  }, []);

  useLayoutEffect(() => {
    const name = wantsFocus.current;
    if (name === null) return;
    for (const link of scroller.current!.querySelectorAll<HTMLAnchorElement>("tbody a")) {
      if (link.dataset.name !== name) continue;
      wantsFocus.current = null;
      link.focus({ preventScroll: true });
    }
  });

  const first = Math.max(0, Math.floor(top / ROW_PX) - MARGIN);
  const last = Math.min(rows.length, Math.ceil((top + seenPx) / ROW_PX) + MARGIN);

  const moveTo = (index: number): void => {
    const box = scroller.current!;
    const at = Math.max(0, Math.min(rows.length - 1, index));
    const headPx = ROW_PX;
    if (at * ROW_PX < box.scrollTop) box.scrollTop = at * ROW_PX;
    else if ((at + 1) * ROW_PX > box.scrollTop + box.clientHeight - headPx) {
      box.scrollTop = (at + 1) * ROW_PX - box.clientHeight + headPx;
    }
    wantsFocus.current = rows[at]!.name;
    setFocused(rows[at]!.name);
    setTop(box.scrollTop);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (rows.length === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = focused === null ? first : rows.findIndex(({ name }) => name === focused);
    const page = Math.max(1, Math.floor(seenPx / ROW_PX) - 2);
    const steps: Record<string, number> = {
      ArrowDown: focused === null ? at : at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: rows.length - 1,
    };
    const to = steps[event.key];
    if (to === undefined) return;
    event.preventDefault();
    moveTo(to);
  };

  // One row can be reached by Tab, the others by the arrows.
  const reachable = rows.some(({ name }, at) => name === focused && at >= first && at < last)
    ? focused
    : rows[Math.min(rows.length - 1, Math.ceil(top / ROW_PX))]?.name;
  return (
    <section
      ref={scroller}
      class="scroll functions"
      aria-label="Functions, arrow keys move between rows"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
      tabIndex={0}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      onKeyDown={onKeyDown}
      onFocusOut={(event) => {
        if (wantsFocus.current === null && !event.currentTarget.contains(event.relatedTarget as Node | null))
          setFocused(null);
      }}
    >
      <table aria-rowcount={rows.length + 1}>
        <caption class="hidden">Functions</caption>
        <thead>
          <tr aria-rowindex={1}>
            {COLUMNS.map((column, at) => (
              <Heading
                key={column.name}
                column={column}
                isNumber={at > 0}
                direction={
                  order.column === at ? (order.isDescending ? "descending" : "ascending") : undefined
                }
                onClick={() => {
                  setOrder({
                    column: at,
                    isDescending: order.column === at ? !order.isDescending : at > 0,
                  });
                }}
              />
            ))}
          </tr>
        </thead>
        <tbody>
          <Space rows={first} />
          {rows.slice(first, last).map((fn, at) => (
            <Row
              key={fn.name}
              fn={fn}
              index={first + at}
              isReachable={fn.name === reachable}
              onFocus={() => setFocused(fn.name)}
            />
          ))}
          <Space rows={rows.length - last} />
        </tbody>
      </table>
    </section>
  );
}

function Heading({
  column: { name, title },
  isNumber,
  direction,
  onClick,
}: {
  readonly column: Column;
  readonly isNumber: boolean;
  readonly direction: "ascending" | "descending" | undefined;
  readonly onClick: () => void;
}) {
  return (
    <th scope="col" class={isNumber ? "number" : "name"} aria-sort={direction}>
      <button type="button" class="sort" title={title} onClick={onClick}>
        {name}
        <span aria-hidden="true">
          {direction === undefined ? "" : direction === "ascending" ? " ↑" : " ↓"}
        </span>
      </button>
    </th>
  );
}

function Row({
  fn,
  index,
  isReachable,
  onFocus,
}: {
  readonly fn: LiveFunction;
  readonly index: number;
  readonly isReachable: boolean;
  readonly onFocus: () => void;
}) {
  return (
    <tr aria-rowindex={index + 2} class={fn.queued + fn.running + fn.delayed === 0 ? "idle" : ""}>
      <th scope="row" class="name">
        <a
          href={functionHref(fn.name)}
          data-name={fn.name}
          tabIndex={isReachable ? 0 : -1}
          onFocus={onFocus}
          title={fn.name}
        >
          {fn.name}
        </a>
        {fn.paused && <span class="state warn">paused</span>}
        {fn.queued > 0 && fn.workers === 0 && <span class="state warn">no worker</span>}
      </th>
      {COLUMNS.slice(1).map(({ name, shown }) => {
        const text = shown(fn);
        const isNothing = text === "0" || text === "–";
        const isBad = name === "Failed" && !isNothing;
        return (
          <td key={name} class={isNothing ? "number nothing" : isBad ? "number bad" : "number"}>
            {text}
          </td>
        );
      })}
    </tr>
  );
}

/** The height of rows that are not drawn. */
function Space({ rows }: { readonly rows: number }) {
  if (rows <= 0) return null;
  return (
    <tr class="space">
      <td colSpan={COLUMNS.length} style={{ height: `${rows * ROW_PX}px` }} />
    </tr>
  );
}
