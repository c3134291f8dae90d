import { backoffMs, type ConnectionTerms, pause, ServerConnection } from "@drover/client";
import {
  type JobOutcome,
  type JobStatus,
  type JobTrace,
  NOBODY,
  PacketType,
  type Submitter,
} from "@drover/protocol";
import type { Fleet, ForwardedSubmission } from "../core/fleet.ts";
import type { Answer, Question } from "../core/questions.ts";

/** What a link tells the fleet, in turns of the server. */
export interface LinkEnds {
  readonly fleet: Fleet;
  /** Begins a turn of the server. */
  turn(): void;
  /** Why there is no connection; empty while there is one. */
  shown(member: string, problem: string): void;
}

/** Tries to connect are never further apart, so that a server that is back is soon known to be. */
const MAX_BACKOFF_MS = 1_000;

/**
 * The connection with one member, made anew whenever it is lost. Everything that is forwarded there goes over it, through
 * the client's own session.
 */
export class MemberLink {
  readonly member: string;
  readonly #address: string;
  readonly #terms: ConnectionTerms;
  readonly #self: string;
  readonly #ends: LinkEnds;
  readonly #closing = new AbortController();
  readonly #submitted = new Relays();
  /** What came before the connection did: the server's own link counts as up from the start. */
  readonly #early = new Map<number, (connection: ServerConnection) => void>();
  #connection: ServerConnection | undefined;

  /** @param self Name by which this server shows itself. */
  constructor(member: string, address: string, terms: ConnectionTerms, self: string, ends: LinkEnds) {
    this.member = member;
    this.#address = address;
    this.#terms = terms;
    this.#self = self;
    this.#ends = ends;
    void this.#keepConnected();
  }

  submit(submission: ForwardedSubmission): void {
    const { id, fn, unique, options, background, workload } = submission;
    const relay = new Relay(id, this.#ends, this.#submitted, background ? "" : `${fn}\0${unique}`);
    const send = (connection: ServerConnection) =>
      connection.session.submit({ function: fn, unique, options, background, workload }, relay);
    if (this.#connection === undefined) this.#early.set(id, send);
    else send(this.#connection);
  }

  ask(id: number, question: Question): void {
    if (this.#connection === undefined) {
      this.#early.set(id, () => this.ask(id, question));
      return;
    }
    const { session } = this.#connection;
    const tell = (answer: Answer) => {
      this.#ends.turn();
      this.#ends.fleet.questions.answered(id, answer);
    };
    const others = { refused: () => tell(null), lost() {} };
    const status = ({ known, running, numerator, denominator, waiting = 0 }: JobStatus) =>
      tell(known ? ["1", running ? "1" : "0", numerator, denominator, String(waiting)] : null);
    if (question.kind === "status") {
      session.getStatus(question.handle, { ...others, answer: status });
    } else if (question.kind === "unique")
      session.getStatusOfUnique(question.unique, { ...others, answer: status });
    else {
      const answer = ({ handle, state, numerator, denominator, waiting, endedMs }: JobOutcome) =>
        tell(
          state === "unknown"
            ? null
            : [handle, state, numerator, denominator, String(waiting), String(endedMs)],
        );
      session.getOutcome(question.fn, question.unique, { ...others, answer });
    }
  }

  leave(id: number): void {
    this.#early.delete(id);
    const relay = this.#submitted.get(id);
    if (relay === undefined || this.#connection === undefined) return;
    relay.leave(this.#connection);
  }

  close(): void {
    this.#closing.abort(new Error("the server stops"));
    this.#connection?.end();
  }

  async #keepConnected(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; ) {
      const wasUp = await this.#connectOnce();
      failures = wasUp ? 1 : failures + 1;
      await pause(backoffMs(failures, { maxMs: MAX_BACKOFF_MS }, this.#terms.random()), signal);
    }
  }

  /** Resolves when there is no connection (any more). @returns whether there was one of use. */
  async #connectOnce(): Promise<boolean> {
    const { dial, connectTimeoutMs } = this.#terms;
    const address = this.#address;
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(connectTimeoutMs)]);
    let connection: ServerConnection;
    try {
      const options = { ...this.#terms, exceptions: true };
      connection = await ServerConnection.open(await dial(address, signal), address, options, signal);
      if (connection.over) throw new Error("the connection was lost at once");
    } catch (error) {
      this.#down(error as Error);
      return false;
    }
    let wasUp = false;
    const end = Promise.withResolvers<void>();
    connection.onLost = (error) => {
      this.#down(error ?? new Error("the connection was closed"));
      end.resolve();
    };
    if (!connection.drover) {
      connection.destroy(new Error("it is no Drover"));
      await end.promise;
      return false;
    }
    connection.session.option(`drover.peer:${this.#self}`, {
      ...NOBODY,
      answer: () => {
        wasUp = true;
        this.#connection = connection;
        this.#ends.turn();
        this.#ends.shown(this.member, "");
        for (const send of this.#early.values()) send(connection);
        this.#early.clear();
        this.#ends.fleet.up(this.member);
      },
      refused: ({ code, text }) => connection.destroy(new Error(`${code}: ${text}`)),
    });
    await end.promise;
    return wasUp;
  }

  #down(error: Error): void {
    this.#connection = undefined;
    this.#submitted.clear();
    this.#early.clear();
    if (this.#closing.signal.aborted) return;
    this.#ends.turn();
    this.#ends.shown(this.member, error.message);
    this.#ends.fleet.down(this.member);
  }
}

/** What is under way on one link. */
export class Relays {
  readonly #relays = new Map<number, Relay>();
  /** Foreground submissions without a handle so far, by key. */
  readonly #unanswered = new Map<string, number>();

  get(id: number): Relay | undefined {
    return this.#relays.get(id);
  }

  add(id: number, key: string, relay: Relay): void {
    this.#relays.set(id, relay);
    if (key !== "") this.#unanswered.set(key, (this.#unanswered.get(key) ?? 0) + 1);
  }

  answered(key: string): void {
    const left = (this.#unanswered.get(key) ?? 0) - 1;
    if (left > 0) this.#unanswered.set(key, left);
    else this.#unanswered.delete(key);
  }

  delete(id: number): void {
    this.#relays.delete(id);
  }

  /** Whether one is on its way that may come to the job that others of its key have. */
  hasUnanswered(key: string): boolean {
    return this.#unanswered.has(key);
  }

  clear(): void {
    this.#relays.clear();
    this.#unanswered.clear();
  }
}

/** Tells the fleet what becomes of one submission. */
export class Relay implements Submitter {
  readonly #id: number;
  readonly #ends: Pick<LinkEnds, "fleet" | "turn">;
  readonly #relays: Relays;
  readonly #key: string;
  #handle = "";
  /** Set when it was left before it had a handle. */
  #leaves: Pick<ServerConnection, "session"> | undefined;

  /**
   * @param relays It is in there until its end.
   * @param key The same for all that may come to one job there; empty for a background submission, whose end is its handle.
   */
  constructor(id: number, ends: Pick<LinkEnds, "fleet" | "turn">, relays: Relays, key: string) {
    this.#id = id;
    this.#ends = ends;
    this.#relays = relays;
    this.#key = key;
    relays.add(id, key, this);
  }

  leave(connection: Pick<ServerConnection, "session">): void {
    if (this.#handle === "") {
      this.#leaves = connection;
      return;
    }
    this.#over();
    // Detaching would take along another submission of this connection that has the same handle or is about to.
    const { session } = connection;
    const isAlone = session.attachedTo(this.#handle) === 1 && !this.#relays.hasUnanswered(this.#key);
    if (isAlone) session.detach(this.#handle);
    else session.forget(this.#handle, this);
  }

  #over(): void {
    this.#relays.delete(this.#id);
  }

  created(handle: string): void {
    this.#handle = handle;
    if (this.#key === "") this.#over();
    else this.#relays.answered(this.#key);
    if (this.#leaves !== undefined) this.leave(this.#leaves);
    else this.#fleet.created(this.#id, handle);
  }
  data(chunk: Uint8Array): void {
    this.#fleet.data(this.#id, PacketType.WORK_DATA, chunk);
  }
  warning(chunk: Uint8Array): void {
    this.#fleet.data(this.#id, PacketType.WORK_WARNING, chunk);
  }
  status(numerator: string, denominator: string): void {
    this.#fleet.status(this.#id, numerator, denominator);
  }
  traced(trace: JobTrace): void {
    this.#fleet.traced(this.#id, trace);
  }
  restarted(): void {
    this.#fleet.restarted(this.#id);
  }
  complete(result: Uint8Array): void {
    this.#over();
    this.#fleet.complete(this.#id, result);
  }
  fail(): void {
    this.#over();
    this.#fleet.fail(this.#id);
  }
  exception(exception: Uint8Array): void {
    this.#over();
    this.#fleet.exception(this.#id, exception);
  }
  refused({ code, text }: { code: string; text: string }): void {
    if (this.#key !== "") this.#relays.answered(this.#key);
    this.#over();
    this.#fleet.refused(this.#id, code, text);
  }
  /** The link tells of all at once. */
  lost(): void {}

  get #fleet(): Fleet {
    this.#ends.turn();
    return this.#ends.fleet;
  }
}
