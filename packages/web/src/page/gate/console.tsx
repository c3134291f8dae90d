import { useEffect, useState } from "preact/hooks";
import { bytes as shownBytes } from "../format.ts";
import { tell } from "../notices.tsx";
import { followed, loadParts, Refusal, type StreamState, session } from "../session.ts";
import { spansOf } from "./ansi.ts";
import { ConsoleLog, MAX_CONSOLE_CHARACTERS } from "./console-log.ts";
import { Lines } from "./lines.tsx";

interface Console {
  readonly log: ConsoleLog;
  /** Bytes before the first that was read. */
  readonly skipped: number;
  readonly state: StreamState | "ended";
}

const UTF8 = new TextEncoder();

/**
 * Follows the console of a build, from its last megabytes on.
 * @param logBytes How long it was when somebody looked.
 */
function useConsole(build: string, logBytes: number): Console {
  const [shown, setShown] = useState<Console>(() => ({
    log: new ConsoleLog(),
    skipped: 0,
    state: "connecting",
  }));
  const tokens = session.value;
  useEffect(() => {
    const skipped = Math.max(0, logBytes - MAX_CONSOLE_CHARACTERS);
    let now: Console = { log: new ConsoleLog(), skipped, state: "connecting" };
    let next = skipped;
    // What comes first may begin in the middle of a line.
    let isCut = skipped > 0;
    let frame = 0;
    const change = (part: Partial<Console>): void => {
      now = { ...now, ...part };
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setShown(now);
      });
    };
    const stop = followed(
      () => `api/gate/builds/${encodeURIComponent(build)}/log?from=${next}`,
      {
        message(data, id) {
          const { from, text } = JSON.parse(data) as { from: number; text: string };
          // What is not UTF-8 is of another length in the log than in the text.
          next = id === "" ? from + UTF8.encode(text).length : Number(id);
          const lineStart = isCut ? text.indexOf("\n") + 1 : 0;
          if (isCut && lineStart === 0) return;
          isCut = false;
          now.log.append(lineStart === 0 ? text : text.slice(lineStart));
          change({});
        },
        end() {
          stop();
          change({ state: "ended" });
        },
      },
      (state) => change({ state }),
    );
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [build, tokens]);
  return shown;
}

/** As a file, which the browser puts where it puts files. */
async function save(build: string): Promise<void> {
  try {
    const address = URL.createObjectURL(await loadParts(`api/gate/builds/${encodeURIComponent(build)}/log`));
    const link = document.createElement("a");
    link.href = address;
    link.download = `build-${build}.log`;
    link.click();
    URL.revokeObjectURL(address);
  } catch (error) {
    tell(error instanceof Refusal ? error.message : String(error), true);
  }
}

const STATES: Readonly<Record<Console["state"], string>> = {
  connecting: "connecting …",
  live: "live",
  lost: "cut, and tried again",
  ended: "ended",
};

export function ConsoleView({ build, logBytes }: { readonly build: string; readonly logBytes: number }) {
  const { log, skipped, state } = useConsole(build, logBytes);
  const [wanted, setWanted] = useState("");
  const [found, setFound] = useState<{ readonly number: number }>();
  const [isMissing, setMissing] = useState(false);
  const [turn, setTurn] = useState(0);
  const find = (): void => {
    if (wanted === "") return;
    const number = log.find(wanted, found?.number ?? log.first - 1);
    setMissing(number === undefined);
    if (number !== undefined) setFound({ number });
  };
  const isShort = skipped > 0 || log.first > 0;
  return (
    <section class="part" aria-labelledby="console-title">
      <div class="title">
        <h2 id="console-title">Console</h2>
        <span class="quiet" role="status">
          {STATES[state]}
        </span>
        <form
          class="find"
          onSubmit={(event) => {
            event.preventDefault();
            find();
          }}
        >
          <input
            type="search"
            aria-label="Find in the console"
            placeholder="Find; Enter leads to the next"
            value={wanted}
            onInput={(event) => {
              setWanted(event.currentTarget.value);
              setMissing(false);
            }}
          />
          {isMissing && <span class="bad">not there</span>}
        </form>
        <button
          type="button"
          onClick={() => {
            setTurn(turn + 1);
            setFound(undefined);
          }}
        >
          To the end
        </button>
        <button type="button" onClick={() => void save(build)}>
          Save all of it
        </button>
      </div>
      {isShort && (
        <p class="quiet">
          The end of it; {skipped > 0 ? `${shownBytes(skipped)} before it are` : "earlier lines are"} not
          shown.
        </p>
      )}
      <Lines
        key={turn}
        label="Console"
        count={log.count}
        firstNumber={log.first}
        line={(index) =>
          spansOf(log.line(index)).map(({ text, looks }, at) =>
            looks === "" ? (
              text
            ) : (
              <span key={at} class={looks}>
                {text}
              </span>
            ),
          )
        }
        isConsole
        goTo={found}
      />
    </section>
  );
}
