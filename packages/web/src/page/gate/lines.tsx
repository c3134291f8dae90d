import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** Height of a line, which the style sheet keeps. */
const LINE_PX = 20;
/** Lines drawn beyond what is seen, on either side. */
const MARGIN = 20;

/** Lines of equal height, of which only those that are seen are in the document. */
export function Lines({
  label,
  count,
  firstNumber = 0,
  line,
  isConsole = false,
  goTo,
}: {
  readonly label: string;
  readonly count: number;
  /** Of the first line: goes up when lines are dropped there, so that a line keeps its number. */
  readonly firstNumber?: number;
  /** What stands in a line. @param index from 0 */
  readonly line: (index: number) => ComponentChildren;
  /** Grows, and stays at its end unless somebody reads further up. */
  readonly isConsole?: boolean;
  /** The line to be seen; a new object leads there again. */
  readonly goTo?: { readonly number: number } | undefined;
}) {
  const [top, setTop] = useState(0);
  const [seenPx, setSeenPx] = useState(600);
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const dropped = useRef(firstNumber);

  useLayoutEffect(() => {
    const shown = box.current!;
    const measure = () => setSeenPx(shown.clientHeight);
    const resized = new ResizeObserver(measure);
    resized.observe(shown);
    measure();
    return () => resized.disconnect();
  }, []);

  useLayoutEffect(() => {
    const shown = box.current!;
    const gone = firstNumber - dropped.current;
    dropped.current = firstNumber;
    if (isConsole && isAtEnd.current) shown.scrollTop = shown.scrollHeight;
    else if (gone > 0) shown.scrollTop -= gone * LINE_PX;
    setTop(shown.scrollTop);
  }, [count, firstNumber, isConsole, seenPx]);

  useLayoutEffect(() => {
    if (goTo === undefined) return;
    const shown = box.current!;
    shown.scrollTop = (goTo.number - firstNumber) * LINE_PX - shown.clientHeight / 2;
    isAtEnd.current = false;
    setTop(shown.scrollTop);
  }, [goTo]);

  const first = Math.max(0, Math.floor(top / LINE_PX) - MARGIN);
  const last = Math.min(count, Math.ceil((top + seenPx) / LINE_PX) + MARGIN);
  const drawn = [];
  for (let index = first; index < last; index++) {
    const number = firstNumber + index;
    drawn.push(
      <div key={number} class={goTo?.number === number ? "line found" : "line"}>
        {line(index)}
      </div>,
    );
  }
  return (
    <section
      ref={box}
      class={isConsole ? "lines console" : "lines"}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
      tabIndex={0}
      onScroll={({ currentTarget: shown }) => {
        isAtEnd.current = shown.scrollTop + shown.clientHeight > shown.scrollHeight - LINE_PX;
        setTop(shown.scrollTop);
      }}
    >
      <div class="lines-all" style={{ height: `${count * LINE_PX}px` }}>
        <div class="lines-drawn" style={{ top: `${first * LINE_PX}px` }}>
          {drawn}
        </div>
      </div>
    </section>
  );
}
