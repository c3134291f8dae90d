import type { CommentView } from "@drover/gate/api";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Moment } from "../moment.tsx";
import { acted } from "./acting.ts";
import type { Spot } from "./diff.tsx";
import { dateOf } from "./pieces.tsx";

export function Comments({ of }: { readonly of: readonly CommentView[] }) {
  if (of.length === 0) return <p class="quiet">None yet.</p>;
  return (
    <ol class="gate-comments">
      {of.map(({ atMs, author, revision, vote, text, file, line }, at) => (
        <li key={at}>
          <p>
            <b>{author}</b> <span class="quiet">revision {revision}</span>{" "}
            {vote !== null && vote !== 0 && (
              <span class={`state ${vote > 0 ? "good" : "bad"}`}>{vote > 0 ? `+${vote}` : `−${-vote}`}</span>
            )}{" "}
            {file !== null && <span class="handle">{line === null ? file : `${file}:${line}`}</span>}{" "}
            <Moment at={dateOf(atMs)} />
          </p>
          {text !== "" && <pre class="gate-said">{linked(text)}</pre>}
        </li>
      ))}
    </ol>
  );
}

/** A text whose addresses are links. */
function linked(text: string) {
  // Every other part is an address; what ends a sentence is none of it.
  return text.split(/(https?:\/\/[^\s<>"]*[^\s<>".,;:!?)])/).map((part, at) =>
    at % 2 === 0 ? (
      part
    ) : (
      <a key={at} href={part} rel="noreferrer">
        {part}
      </a>
    ),
  );
}

const MAX_COMMENT_CHARACTERS = 10_000;

export function CommentForm({
  path,
  spot,
  onSpotGone,
  again,
}: {
  readonly path: string;
  /** The line that it is about; `null` = the whole change. */
  readonly spot: Spot | null;
  readonly onSpotGone: () => void;
  readonly again: () => void;
}) {
  const [text, setText] = useState("");
  const [vote, setVote] = useState("");
  const [isBusy, setBusy] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  // Before the browser is given back: what is typed right after the click goes into the field.
  useLayoutEffect(() => {
    if (spot !== null) field.current!.focus();
  }, [spot]);
  const send = async (): Promise<void> => {
    setBusy(true);
    const body = { text, ...(vote === "" ? {} : { vote: Number(vote) }), ...spot };
    if (await acted(`${path}/comment`, body)) {
      setText("");
      setVote("");
      onSpotGone();
      again();
    }
    setBusy(false);
  };
  return (
    <form
      class="gate-comment"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label class="field">
        {spot === null ? "Comment" : `Comment on ${spot.file}:${spot.line}`}
        <textarea
          ref={field}
          rows={3}
          maxLength={MAX_COMMENT_CHARACTERS}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <div class="buttons">
        <label>
          Vote{" "}
          <select value={vote} onChange={(event) => setVote(event.currentTarget.value)}>
            <option value="">none</option>
            <option value="1">+1</option>
            <option value="-1">−1</option>
          </select>
        </label>
        {spot !== null && (
          <button type="button" onClick={onSpotGone}>
            On the whole change
          </button>
        )}
        <button type="submit" disabled={isBusy || text.trim() === ""}>
          Send
        </button>
      </div>
    </form>
  );
}
