import type { Log } from "@drover/server";
import type { ReportConnection } from "../config/index.ts";
import { deliverToCommand } from "./command.ts";
import { DeliveryFailed } from "./delivery-failed.ts";
import { deliverByMail } from "./mail.ts";
import type { Outbox, Undelivered, WaitingLetter } from "./outbox.ts";
import { deliverToWebhook } from "./webhook.ts";

export interface CourierParts {
  readonly outbox: Outbox;
  /** Of the tenant as it is configured now. */
  readonly connection: (name: string) => ReportConnection | undefined;
  /** Below which files of secrets are that are not absolute; and where commands run. */
  readonly folder: string;
  readonly log: Log;
  readonly nowMs: () => number;
}

/** How long a connection is left alone when the outbox itself cannot be read or written. */
const FAULT_MS = 60_000;
/** Longest wait of a timer. */
const MAX_WAIT_MS = 0x7fffffff;

/**
 * Brings reports from the outbox to their connections: of each connection one after the other, in their order as long as it
 * takes them. What one connection does not take holds up no other, and nothing else of the gate.
 */
export class Courier {
  readonly #parts: CourierParts;
  readonly #busy = new Map<string, Promise<void>>();
  readonly #ending = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: CourierParts) {
    this.#parts = parts;
  }

  /** Sends what is due. To be called when something was written to the outbox, after it is on the disk. */
  wake(): void {
    if (this.#ending.signal.aborted) return;
    const { outbox, nowMs } = this.#parts;
    for (const name of outbox.dueConnections(nowMs())) {
      if (this.#busy.has(name)) continue;
      const sent = this.#send(name).then(
        () => 0,
        (error: Error) => {
          const fields = { code: "GATE_EFFECT_FAILED", connection: name, error };
          this.#parts.log.error(fields, "reports of a connection could not be sent");
          return FAULT_MS;
        },
      );
      this.#busy.set(
        name,
        sent.then((waitMs) => this.#rest(name, waitMs)),
      );
    }
    this.#setTimer();
  }

  /** What is under way is broken off, and sent again by whoever starts this gate again. */
  async close(): Promise<void> {
    this.#ending.abort();
    clearTimeout(this.#timer);
    await Promise.all(this.#busy.values());
  }

  async #send(name: string): Promise<void> {
    const { outbox, nowMs, log } = this.#parts;
    const { signal } = this.#ending;
    // Elsewhere than in the turn that wrote it, whose transaction may be under way.
    await new Promise(setImmediate);
    for (;;) {
      if (signal.aborted) return;
      const waiting = outbox.due(name, nowMs());
      if (waiting === undefined) return;
      const { id, attempts } = waiting;
      const { pipeline, report, subject } = waiting.letter.body;
      const about = {
        ...{ connection: name, report: id, attempt: attempts + 1, pipeline, kind: report },
        ...{ project: subject.project, change: subject.number },
      };
      try {
        const noted = await this.#deliver(waiting);
        outbox.delivered(id);
        log.info({ ...about, ...noted }, "a report was delivered");
      } catch (error) {
        if (signal.aborted) return;
        // A fault of ours is told as one; its text may hold anything.
        const isTold = error instanceof DeliveryFailed;
        const problem = isTold ? error.message : "the gate itself failed; its log tells more";
        const noted = isTold ? error.noted : { error };
        const givenUp = outbox.failed(id, problem, nowMs());
        log.warn(
          { code: "REPORT_NOT_DELIVERED", ...about, problem, ...noted },
          "a report was not taken by its connection",
        );
        if (givenUp !== undefined) noteGivenUp(log, givenUp);
      }
    }
  }

  async #deliver({ id, connection: name, letter }: WaitingLetter): Promise<object> {
    const { connection: find, folder, nowMs } = this.#parts;
    const connection = find(name);
    if (connection === undefined)
      throw new DeliveryFailed(`there is no connection ${name} in the tenant file any more`);
    const place = { folder, signal: this.#ending.signal, nowMs };
    switch (connection.driver) {
      case "command":
        return deliverToCommand(connection, id, letter.body, place);
      case "webhook":
        return deliverToWebhook(connection, id, letter.body, place);
      case "smtp":
        return deliverByMail(connection, id, letter, place);
    }
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const { outbox, nowMs } = this.#parts;
    const at = outbox.nextMs(new Set(this.#busy.keys()));
    if (at === null) return;
    this.#timer = setTimeout(() => this.wake(), Math.min(MAX_WAIT_MS, Math.max(1, at - nowMs()))).unref();
  }

  #rest(name: string, waitMs: number): void {
    const go = (): void => {
      this.#busy.delete(name);
      this.wake();
    };
    if (waitMs === 0) go();
    else setTimeout(go, waitMs).unref();
  }
}

/** Says that a report will not come. */
export function noteGivenUp(log: Log, { subject, ...one }: Undelivered): void {
  const { id: report, connection, pipeline, report: kind, attempts, problem } = one;
  log.error(
    { code: "REPORT_GIVEN_UP", connection, report, pipeline, kind, subject, attempts, problem },
    "a report was given up: its connection will not have it",
  );
}
