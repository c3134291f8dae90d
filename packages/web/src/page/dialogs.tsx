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

function AskToken() {
  const [token, setToken] = useState("");
  return (
    <Modal
      title="This server asks for a token"
      onCancel={() => {
        tokenState.value = "declined";
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          giveToken(token.trim());
        }}
      >
        <p>
          Its role must be <code>status</code> to look, <code>admin</code> to act. It is kept until this tab
          is closed.
        </p>
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

export function Dialogs() {
  if (tokenState.value === "asking") return <AskToken />;
  return question.value === null ? null : <Confirm {...question.value} />;
}
