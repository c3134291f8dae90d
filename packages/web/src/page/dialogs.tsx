import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { giveToken, tokenState } from "./session.ts";

/** A modal dialog, which the browser keeps the focus in and gives it back from. */
function Modal({
  title,
  onCancel,
  children,
}: {
  readonly title: string;
  readonly onCancel: () => void;
  readonly children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current!;
    shown.showModal();
    return () => shown.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        onCancel();
      }}
    >
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}

interface Question {
  readonly title: string;
  readonly text: string;
  readonly yes: string;
  readonly answer: (isYes: boolean) => void;
}

const question = signal<Question | null>(null);

/** Asks before something that cannot be undone. */
export function confirmed(title: string, text: string, yes: string): Promise<boolean> {
  return new Promise((resolve) => {
    question.value = {
      title,
      text,
      yes,
      answer(isYes) {
        question.value = null;
        resolve(isYes);
      },
    };
  });
}

function Confirm({ title, text, yes, answer }: Question) {
  return (
    <Modal title={title} onCancel={() => answer(false)}>
      <p>{text}</p>
      <div class="buttons">
        <button type="button" onClick={() => answer(false)}>
          Cancel
        </button>
        <button type="button" class="danger" onClick={() => answer(true)}>
          {yes}
        </button>
      </div>
    </Modal>
  );
}

interface TokenQuestion {
  readonly title: string;
  readonly text: ComponentChildren;
  /** `null`: none was given. */
  readonly answer: (token: string | null) => void;
}

const tokenQuestion = signal<TokenQuestion | null>(null);

/** Asks for a token, which the caller keeps. @returns `null` when none was given. */
export function askedToken(title: string, text: string): Promise<string | null> {
  return new Promise((resolve) => {
    tokenQuestion.value = {
      title,
      text,
      answer(token) {
        tokenQuestion.value = null;
        resolve(token);
      },
    };
  });
}

function AskToken({ title, text, answer }: TokenQuestion) {
  const [token, setToken] = useState("");
  return (
    <Modal title={title} onCancel={() => answer(null)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          answer(token.trim());
        }}
      >
        <p>{text} It is kept until this tab is closed.</p>
        <label class="field">
          Token
          <input
            type="password"
            autocomplete="off"
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <div class="buttons">
          <button type="submit" class="primary">
            Continue
          </button>
        </div>
      </form>
    </Modal>
  );
}

const OF_SERVER: TokenQuestion = {
  title: "This server asks for a token",
  text: (
    <>
      Its role must be <code>status</code> to look, <code>admin</code> to act.
    </>
  ),
  answer(token) {
    if (token === null) tokenState.value = "declined";
    else giveToken(token);
  },
};

export function Dialogs() {
  if (tokenQuestion.value !== null) return <AskToken {...tokenQuestion.value} />;
  if (tokenState.value === "asking") return <AskToken {...OF_SERVER} />;
  return question.value === null ? null : <Confirm {...question.value} />;
}
