import { printable } from "@drover/protocol";
import { auditEntry } from "./auth/audit.ts";
import { ANYONE, type CoreNote } from "./core/index.ts";

/** The part of a logger that the server uses; pino's loggers have it. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Notes of one code logged in full within a second; the rest is counted, so that a flood cannot fill a disk. */
const FULL_PER_SECOND = 10;
const WINDOW_MS = 1000;
const NAME_LENGTH = 120;

/** Writes what the core noticed to the log, every name escaped. */
export class NoteLog {
  readonly #log: Log;
  #windowStartMs = 0;
  /** How often the core noted what, since the start. */
  readonly counts = new Map<CoreNote["code"], number>();
  /** How often each limit refused something, by the limit's name. */
  readonly limitHits = new Map<string, number>();
  readonly #inWindow = new Map<CoreNote["code"], number>();

  constructor(log: Log) {
    this.#log = log;
  }

  write(notes: readonly CoreNote[], nowMs: number): void {
    if (notes.length === 0) return;
    if (nowMs - this.#windowStartMs >= WINDOW_MS) this.#turnWindow(nowMs);
    for (const note of notes) {
      // What administrators did is never left out.
      if (note.code === "ADMIN_ACT") {
        this.#writeAct(note);
        continue;
      }
      const before = this.#inWindow.get(note.code) ?? 0;
      this.#inWindow.set(note.code, before + 1);
      if (before < FULL_PER_SECOND) this.#writeOne(note);
      this.counts.set(note.code, (this.counts.get(note.code) ?? 0) + 1);
      if (note.code === "LIMIT_REACHED") this.countLimit(note.limit);
    }
  }

  countLimit(limit: string): void {
    this.limitHits.set(limit, (this.limitHits.get(limit) ?? 0) + 1);
  }

  #turnWindow(nowMs: number): void {
    for (const [code, count] of this.#inWindow) {
      if (count > FULL_PER_SECOND) {
        this.#log.warn({ code, suppressed: count - FULL_PER_SECOND }, "more of the same were not logged");
      }
    }
    this.#inWindow.clear();
    this.#windowStartMs = nowMs;
  }

  #writeAct({ peer, act, target, result }: CoreNote & { readonly code: "ADMIN_ACT" }): void {
    auditEntry(this.#log, {
      identity: peer.identity.name,
      act: printable(act, NAME_LENGTH),
      target: printable(target, NAME_LENGTH),
      from: peer.address,
      result: printable(result, NAME_LENGTH),
    });
  }

  #writeOne(note: Exclude<CoreNote, { readonly code: "ADMIN_ACT" }>): void {
    const { code } = note;
    const at = "peer" in note ? { peer: note.peer.id, address: note.peer.address } : {};
    const who =
      "peer" in note && note.peer.identity !== ANYONE ? { identity: printable(note.peer.identity.name) } : {};
    const fn = "fn" in note && note.fn !== "" ? { function: printable(note.fn, NAME_LENGTH) } : {};
    const fields = { code, ...at, ...who, ...fn };
    switch (code) {
      case "SLOW_READER":
        this.#log.warn(
          { ...fields, backlogBytes: note.backlogBytes },
          "closed a connection that does not read",
        );
        return;
      case "PROTOCOL_VIOLATION":
        this.#log.warn({ ...fields, detail: printable(note.detail, NAME_LENGTH) }, "closed a connection");
        return;
      case "UNAUTHENTICATED":
        this.#log.warn({ ...fields, detail: note.detail }, "refused a connection that has not authenticated");
        return;
      case "FORBIDDEN":
        this.#log.warn({ ...fields, right: note.right }, "refused what an identity may not do");
        return;
      case "IDENTITY_ENDED":
        this.#log.warn({ ...fields, detail: note.detail }, "closed a connection whose identity ended");
        return;
      case "LIMIT_REACHED":
        this.#log.warn({ ...fields, limit: note.limit }, "refused what is beyond a limit");
        return;
      case "MEMBER_UP":
        this.#log.info({ ...fields, ...memberOf(note) }, "a server of the fleet is there");
        return;
      case "MEMBER_LOST":
        this.#log.warn({ ...fields, ...memberOf(note) }, "a server of the fleet is not there");
        return;
      case "FORWARD_REFUSED":
        this.#log.warn(
          { ...fields, detail: printable(note.detail, NAME_LENGTH) },
          "a forwarded submission failed",
        );
        return;
      case "DEAD_LETTER":
        this.#log.error({ ...fields, handle: note.handle, reason: note.reason }, "gave up a background job");
        return;
      case "DEAD_LETTER_EVICTED":
        this.#log.error(
          { ...fields, handle: note.handle },
          "dropped the oldest dead letter for want of room",
        );
        return;
      case "OVERRUN":
        this.#log.warn(
          { ...fields, handle: note.handle, worker: note.worker.id },
          "a job goes on beyond its end: its timeout passed, or it was cancelled",
        );
    }
  }
}

function memberOf({ member, detail }: { readonly member: string; readonly detail: string }) {
  return { member: printable(member, NAME_LENGTH), detail: printable(detail, NAME_LENGTH) };
}
