import { useEffect, useMemo, useState } from "preact/hooks";
import type { Loaded } from "../loaded.ts";
import { loadText, Refusal, session } from "../session.ts";
import { Lines } from "./lines.tsx";
import { GateTrouble } from "./pieces.tsx";

/** Of a diff, what is read and shown. */
const MAX_DIFF_CHARACTERS = 2 * 1024 * 1024;
/** Longer lines are cut where they are shown. */
const MAX_LINE_CHARACTERS = 2000;

interface DiffLine {
  readonly kind: "file" | "hunk" | "added" | "removed" | "kept";
  readonly text: string;
  /** In the new file; `null` for a line that it does not have. */
  readonly line: number | null;
}

export interface Spot {
  readonly file: string;
  readonly line: number;
}

/** Lines of a unified diff, and for each the file that it is of. */
function linesOf(text: string): { lines: DiffLine[]; files: string[] } {
  const lines: DiffLine[] = [];
  const files: string[] = [];
  let file = "";
  // Lines that the hunk still has: only after those may a header come.
  let oldLeft = 0;
  let newLeft = 0;
  let next = 0;
  const add = (kind: DiffLine["kind"], shown: string, line: number | null): void => {
    lines.push({ kind, text: shown, line });
    files.push(file);
  };
  for (const raw of text.replace(/\n$/, "").split("\n")) {
    const sign = raw[0];
    if (oldLeft > 0 || newLeft > 0) {
      if (sign === "+") {
        newLeft--;
        add("added", raw, next++);
        continue;
      }
      if (sign === "-") {
        oldLeft--;
        add("removed", raw, null);
        continue;
      }
      if (sign === " " || raw === "") {
        oldLeft--;
        newLeft--;
        add("kept", raw, next++);
        continue;
      }
    }
    const hunk = /^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(raw);
    if (hunk !== null) {
      oldLeft = Number(hunk[1] ?? 1);
      newLeft = Number(hunk[3] ?? 1);
      next = Number(hunk[2]);
      add("hunk", raw, null);
      continue;
    }
    const named = /^(?:\+\+\+ b\/|diff --git a\/.* b\/)(.*)$/.exec(raw);
    if (named !== null) file = named[1]!;
    add("file", raw, null);
  }
  return { lines, files };
}

function useDiff(path: string): Loaded<{ readonly text: string; readonly isCut: boolean }> {
  const [state, setState] = useState<{
    path: string;
    value?: { readonly text: string; readonly isCut: boolean };
    refusal?: Refusal;
  }>({ path });
  const tokens = session.value;
  useEffect(() => {
    const abort = new AbortController();
    loadText(path, MAX_DIFF_CHARACTERS, abort.signal).then(
      (value) => setState({ path, value }),
      (error) => {
        if (!abort.signal.aborted)
          setState({ path, refusal: error instanceof Refusal ? error : new Refusal(0, String(error)) });
      },
    );
    return () => abort.abort();
  }, [path, tokens]);
  const isOfPath = state.path === path;
  return {
    value: isOfPath ? state.value : undefined,
    refusal: isOfPath ? state.refusal : undefined,
    again() {},
  };
}

/** What a revision changes. Its lines' numbers say where a comment goes. */
export function Diff({
  change,
  revision,
  onSpot,
}: {
  readonly change: number;
  readonly revision: number;
  readonly onSpot: (spot: Spot) => void;
}) {
  const loaded = useDiff(`api/gate/changes/${change}/diff?revision=${revision}`);
  const text = loaded.value?.text ?? "";
  const { lines, files } = useMemo(() => linesOf(text), [text]);
  if (loaded.value === undefined) return <GateTrouble of={loaded} />;
  if (text === "") return <p class="quiet">It changes no file.</p>;
  return (
    <>
      {loaded.value.isCut && <p class="trouble">The diff is longer; git shows all of it after the fetch.</p>}
      <Lines
        label={`Diff of revision ${revision}`}
        count={lines.length}
        line={(index) => {
          const { kind, text: shown, line } = lines[index]!;
          const file = files[index]!;
          return (
            <span class={`diff ${kind}`}>
              {line === null ? (
                <span class="diff-number" />
              ) : (
                <button
                  type="button"
                  class="diff-number"
                  tabIndex={-1}
                  title={`Comment on ${file}:${line}`}
                  onClick={() => onSpot({ file, line })}
                >
                  {line}
                </button>
              )}
              {shown.slice(0, MAX_LINE_CHARACTERS)}
            </span>
          );
        }}
      />
    </>
  );
}
