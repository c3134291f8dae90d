import { backoffMs, type ConnectionTerms, pause, ServerConnection } from "@drover/client";
import { NOBODY, PacketType, type Submitter } from "@drover/protocol";
import type { Fleet, ForwardedSubmission } from "../core/fleet.ts";

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
  readonly #submitted = new Map<number, Relay>();
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
    const relay = new Relay(id, this.#ends, () => this.#submitted.delete(id));
    this.#submitted.set(id, relay);
    const send = (connection: ServerConnection) =>
      connection.session.submit({ function: fn, unique, options, background, workload }, relay);
    if (this.#connection === undefined) this.#early.set(id, send);
    else send(this.#connection);
  }

  askStatus(id: number, handle: string): void {
    const tell = (known: boolean, running: boolean, numerator: string, denominator: string) => {
      this.#ends.turn();
      this.#ends.fleet.statusKnown(id, [known ? "1" : "0", running ? "1" : "0", numerator, denominator]);
    };
    this.#connection?.session.getStatus(handle, {
      answer: ({ known, running, numerator, denominator }) => tell(known, running, numerator, denominator),
      refused: () => tell(false, false, "0", "0"),
      lost() {},
    });
  }

  leave(id: number): void {
    this.#early.delete(id);
    const relay = this.#submitted.get(id);
    if (relay === undefined || this.#connection === undefined) return;
    this.#submitted.delete(id);
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

/** Tells the fleet what becomes of one submission. */
class Relay implements Submitter {
  readonly #id: number;
  readonly #ends: LinkEnds;
  readonly #over: () => void;
  #handle = "";
  /** Set when it was left before it had a handle. */
  #leaves: ServerConnection | undefined;

  constructor(id: number, ends: LinkEnds, over: () => void) {
    this.#id = id;
    this.#ends = ends;
    this.#over = over;
  }

  leave(connection: ServerConnection): void {
    if (this.#handle === "") {
      this.#leaves = connection;
      return;
    }
    // Detaching would take along another submission of this connection with the same handle.
    const { session } = connection;
    if (session.attachedTo(this.#handle) === 1) session.detach(this.#handle);
    else session.forget(this.#handle, this);
  }

  created(handle: string): void {
    this.#handle = handle;
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
