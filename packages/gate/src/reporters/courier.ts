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

/** Longest wait of a timer. */
const MAX_WAIT_MS = 0x7fffffff;

/**
 * Brings reports from the outbox to their connections: of each connection one after the other, in their order as long as it
 * takes them. What one connection does not take holds up no other, and nothing else of the gate; one that takes nothing is
 * left alone for longer and longer, however much waits for it.
 */
export class Courier {
  readonly #parts: CourierParts;
  readonly #busy = new Map<string, Promise<void>>();
  /** Connections that failed the last time: how often in a row, and until when they are left alone. */
  readonly #resting = new Map<string, { readonly failures: number; readonly untilMs: number }>();
  readonly #ending = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: CourierParts) {
    this.#parts = parts;
  }

  /** Sends what is due. To be called when something was written to the outbox, after it is on the disk. */
  wake(): void {
    if (this.#ending.signal.aborted) return;
    const nowMs = this.#parts.nowMs();
    for (const [name, atMs] of this.#nextTimes()) {
      if (atMs > nowMs) continue;
      const sent = this.#send(name).catch((error: Error) => {
        const fields = { code: "GATE_EFFECT_FAILED", connection: name, error };
        this.#parts.log.error(fields, "reports of a connection could not be sent");
        this.#rest(name);
      });
      this.#busy.set(
        name,
        sent.then(() => {
          this.#busy.delete(name);
          this.wake();
        }),
      );
    }
    this.#setTimer();
  }

  /** Whether something is on its way now. */
  get isBusy(): boolean {
    return this.#busy.size > 0;
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
        this.#resting.delete(name);
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
        this.#rest(name);
        return;
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

  /** When something is to be sent, of each connection that nothing is being sent to. */
  #nextTimes(): [string, number][] {
    const times = [...this.#parts.outbox.nextTimes()].filter(([name]) => !this.#busy.has(name));
    return times.map(([name, atMs]) => [name, Math.max(atMs, this.#resting.get(name)?.untilMs ?? 0)]);
  }

  #rest(name: string): void {
    const { outbox, nowMs } = this.#parts;
    const failures = (this.#resting.get(name)?.failures ?? 0) + 1;
    const { firstRetryMs, maxPauseMs } = outbox.limits;
    const pauseMs = Math.min(maxPauseMs, firstRetryMs * 2 ** Math.min(failures - 1, 40));
    this.#resting.set(name, { failures, untilMs: nowMs() + pauseMs });
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const times = this.#nextTimes().map(([, atMs]) => atMs);
    if (times.length === 0) return;
    const waitMs = Math.min(...times) - this.#parts.nowMs();
    this.#timer = setTimeout(() => this.wake(), Math.min(MAX_WAIT_MS, Math.max(1, waitMs))).unref();
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
