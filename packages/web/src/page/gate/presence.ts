import { effect, signal } from "@preact/signals";
import { connection } from "../live.ts";
import { answers, type StreamState, session } from "../session.ts";

/* What the head of all pages knows of the gate; its pages themselves are loaded when one is looked at. */

export const hasGate = signal(false);
/** Of the stream of its status, while a page follows it. */
export const gateConnection = signal<StreamState | null>(null);

/** Asks whether there is a gate, again with each token and after each loss of the server. */
export function lookForGate(): void {
  let turn = 0;
  effect(() => {
    session.value;
    if (connection.value === "lost") return;
    const own = ++turn;
    void answers("api/gate/status").then((isThere) => {
      if (own === turn) hasGate.value = isThere;
    });
  });
}
