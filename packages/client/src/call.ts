import type { JobTrace, Submitter, WireError } from "@drover/protocol";
import type { ServerConnection } from "./connection.ts";
import { type ClientError, JobLost, QueueFull, ServerRefused } from "./errors.ts";
import { EventFeed, type TerminalEvent } from "./feed.ts";
import type { Placed, Places } from "./places.ts";
import type { Waiter } from "./pool.ts";
import { requestFor, type Submission } from "./submission.ts";

/** What calls need of their client. */
export interface CallHost {
  readonly foregroundPlaces: Places;
  readonly maxBufferedBytes: number;
  readonly maxRejoins: number;
  /** Asks for a connection; `waiter.ready` may be called at once. */
  connect(waiter: Waiter): void;
  disconnect(waiter: Waiter): void;
  /** The call serves nobody any more. */
  ended(call: Call): void;
}

/** Who follows a call: a job of this client. */
export interface Follower {
  created(handle: string): void;
  traced(trace: JobTrace): void;
  ended(end: TerminalEvent | Error): void;
}

/**
 * One foreground submission on the wire, with all jobs of this client that it serves. Begins to submit when made. Goes
 * from connection to connection as far as it may be joined again.
 */
export class Call implements Waiter, Placed {
  readonly key: string;
  readonly submission: Submission;
  readonly feed: EventFeed;
  hasPlace = false;
  readonly #host: CallHost;
  readonly #rejoin: boolean;
  readonly #followers = new Set<Follower>();
  #attempt: Attempt | undefined;
  #trace: JobTrace | undefined;
  #rejoins = 0;
  #over = false;

  /** @param rejoin Whether it is submitted again when its connection is lost. */
  constructor(host: CallHost, submission: Submission, key: string, rejoin: boolean) {
    this.#host = host;
    this.submission = submission;
    this.key = key;
    this.#rejoin = rejoin;
    this.feed = new EventFeed(host.maxBufferedBytes);
  }

  /** Begins to submit, as soon as there is a place. */
  start(): void {
    try {
      this.#host.foregroundPlaces.take(this);
    } catch (error) {
      this.#end(error as Error);
    }
  }

  placed(): void {
    this.#host.connect(this);
  }

  /** The handle, once there is one. */
  get handle(): string | undefined {
    return this.#attempt?.handle;
  }

  follow(follower: Follower): void {
    this.#followers.add(follower);
    if (this.#trace !== undefined) follower.traced(this.#trace);
  }

  /** The follower wants no more. After the last one the server is told, where it understands. */
  leave(follower: Follower): void {
    if (!this.#followers.delete(follower) || this.#followers.size > 0 || this.#over) return;
    const attempt = this.#attempt;
    if (attempt === undefined) {
      this.#close();
      return;
    }
    // Without a handle it cannot be left yet; until it comes, the call may find new followers.
    if (attempt.handle === undefined) return;
    attempt.leave();
    this.#close();
  }

  /** Ends it for all. */
  fail(error: Error): void {
    this.#end(error);
  }

  ready(connection: ServerConnection): void {
    if (this.#over) return;
    try {
      const request = requestFor(this.submission, connection);
      this.#attempt = new Attempt(this, connection);
      connection.session.submit(request, this.#attempt);
    } catch (error) {
      this.#end(error as Error);
    }
  }

  created(attempt: Attempt, handle: string): void {
    if (this.#followers.size === 0) {
      attempt.leave();
      this.#close();
      return;
    }
    this.feed.push({ type: "created", handle });
    for (const follower of this.#followers) follower.created(handle);
  }

  traced(trace: JobTrace): void {
    this.#trace = trace;
    for (const follower of this.#followers) follower.traced(trace);
  }

  restarted(attempt: number): void {
    this.feed.reset(true);
    this.feed.push({ type: "restarted", reason: "worker lost", attempt });
  }

  ended(end: TerminalEvent): void {
    this.#end(end);
  }

  refused(error: WireError): void {
    const name = this.submission.function;
    this.#end(refusal(name, error));
  }

  lost(attempt: Attempt): void {
    const name = this.submission.function;
    this.#attempt = undefined;
    if (this.#followers.size === 0) this.#close();
    else if (!this.#rejoin) {
      const what = attempt.handle === undefined ? "before it was acknowledged" : "before it ended";
      this.#end(new JobLost(name, `the connection with ${attempt.server} was lost ${what}`));
    } else if (this.#rejoins >= this.#host.maxRejoins) {
      this.#end(new JobLost(name, `the connection was lost ${this.#rejoins + 1} times before it ended`));
    } else {
      this.#rejoins++;
      if (attempt.handle !== undefined) {
        this.feed.reset(false);
        this.feed.push({ type: "restarted", reason: "connection lost", attempt: this.#rejoins + 1 });
      }
      this.#host.connect(this);
    }
  }

  #end(end: TerminalEvent | Error): void {
    if (this.#over) return;
    this.#close();
    this.feed.end(end);
    for (const follower of this.#followers) follower.ended(end);
  }

  #close(): void {
    this.#over = true;
    this.#attempt?.release();
    this.#attempt = undefined;
    this.#host.disconnect(this);
    this.#host.foregroundPlaces.leave(this);
    this.#host.ended(this);
  }
}

/** A call's submission on one connection. What its connection tells reaches the call only while it is the call's. */
class Attempt implements Submitter {
  handle: string | undefined;
  readonly #connection: ServerConnection;
  #call: Call | undefined;

  constructor(call: Call, connection: ServerConnection) {
    this.#call = call;
    this.#connection = connection;
  }

  get server(): string {
    return this.#connection.server;
  }

  /** Its call needs it no more. */
  release(): void {
    this.#call = undefined;
  }

  leave(): void {
    const { session, drover } = this.#connection;
    this.#call = undefined;
    const handle = this.handle!;
    // Detaching would take along another submission of this connection with the same handle.
    if (drover && session.attachedTo(handle) === 1) session.detach(handle);
    else session.forget(handle, this);
  }

  created(handle: string): void {
    this.handle = handle;
    this.#call?.created(this, handle);
  }
  data(chunk: Uint8Array): void {
    this.#call?.feed.push({ type: "data", data: chunk });
  }
  warning(chunk: Uint8Array): void {
    this.#call?.feed.push({ type: "warning", data: chunk });
  }
  status(numerator: string, denominator: string): void {
    this.#call?.feed.push({
      type: "status",
      numerator: Number(numerator) || 0,
      denominator: Number(denominator) || 0,
    });
  }
  traced(trace: JobTrace): void {
    this.#call?.traced(trace);
  }
  restarted(attempt: number): void {
    this.#call?.restarted(attempt);
  }
  complete(result: Uint8Array): void {
    this.#take()?.ended({ type: "complete", data: result });
  }
  fail(): void {
    this.#take()?.ended({ type: "fail" });
  }
  exception(exception: Uint8Array): void {
    this.#take()?.ended({ type: "exception", data: exception });
  }
  refused(error: WireError): void {
    this.#take()?.refused(error);
  }
  lost(): void {
    this.#take()?.lost(this);
  }

  #take(): Call | undefined {
    const call = this.#call;
    this.#call = undefined;
    return call;
  }
}

/** The error for a submission that the server refused. */
export function refusal(functionName: string, error: WireError): ClientError {
  if (error.code === "QUEUE_ERROR" || error.code === "RATE_LIMITED")
    return new QueueFull(functionName, error.text);
  return new ServerRefused(`submission of ${functionName}`, error.code, error.text);
}
