import { EventsDropped } from "./errors.ts";

/** What a job reports, as its submitter sees it. */
export type JobEvent =
  /** The server has taken the submission. Again after a `restarted` for a lost connection, with a new handle. */
  | { readonly type: "created"; readonly handle: string }
  | { readonly type: "data"; readonly data: Uint8Array }
  | { readonly type: "warning"; readonly data: Uint8Array }
  /** How far the job is. Who reads slowly sees the newest only. */
  | { readonly type: "status"; readonly numerator: number; readonly denominator: number }
  /** Everything reported so far is void: the job begins again, or was joined anew and is told from its beginning. */
  | {
      readonly type: "restarted";
      readonly reason: "worker lost" | "connection lost";
      readonly attempt: number;
    }
  | TerminalEvent;

/** The last event of a job. */
export type TerminalEvent =
  | { readonly type: "complete"; readonly data: Uint8Array }
  | { readonly type: "fail" }
  | { readonly type: "exception"; readonly data: Uint8Array };

/** Counted for each event besides its bytes, so that empty ones are bounded too. */
const EVENT_OVERHEAD_BYTES = 64;

/** An event in the list of a feed's; also the list's front, which has none. */
interface Entry {
  readonly event: JobEvent | undefined;
  /** Bytes of all events up to this one since the feed began. */
  readonly endBytes: number;
  next: Entry | undefined;
}

/**
 * The events of one job for any number of readers, each at its own pace. All of it is kept for readers that come late,
 * up to `maxBufferedBytes`; beyond that, only what present readers have still to read, and a reader that is further
 * behind fails. At most one status is kept: the newest.
 *
 * It is a list in which each reader holds the entry that it has read last, so that what all have read is nobody's.
 */
export class EventFeed {
  readonly #maxBytes: number;
  readonly #readers = new Set<FeedReader>();
  /** Before the first event; undefined once the feed has outgrown its bound. */
  #front: Entry | undefined = { event: undefined, endBytes: 0, next: undefined };
  #last: Entry = this.#front!;
  /** The entry before the status. */
  #beforeStatus: Entry | undefined;
  #keptFromBytes = 0;
  #end: TerminalEvent | Error | undefined;

  constructor(maxBufferedBytes: number) {
    this.#maxBytes = maxBufferedBytes;
  }

  /** Whether a reader that begins now would miss something. */
  get outgrown(): boolean {
    return this.#front === undefined;
  }

  push(event: JobEvent): void {
    let { endBytes } = this.#last;
    if (event.type === "status") {
      this.#dropStatus();
      this.#beforeStatus = this.#last;
    } else {
      // A status replaces another, so it takes no room that the bound has to count.
      endBytes += EVENT_OVERHEAD_BYTES + ("data" in event ? event.data.length : 0);
    }
    this.#last = this.#last.next = { event, endBytes, next: undefined };
    for (const reader of [...this.#readers]) reader.serve();
    if (endBytes - this.#keptFromBytes <= this.#maxBytes) return;
    this.#front = undefined;
    for (const reader of [...this.#readers]) {
      if (endBytes - reader.at.endBytes > this.#maxBytes) reader.fail(new EventsDropped(this.#maxBytes));
    }
  }

  /** Drops what was reported, read or not, but for `created` where the handle stays. */
  reset(keepCreated: boolean): void {
    const before = this.#front;
    const event = before?.next?.event;
    const { endBytes } = this.#last;
    const front: Entry = { event: undefined, endBytes, next: undefined };
    this.#front = this.#last = front;
    if (keepCreated && event?.type === "created") this.#last = front.next = { ...front, event };
    // Who has not even read `created` still does.
    for (const reader of this.#readers) reader.at = reader.at === before ? front : this.#last;
    this.#beforeStatus = undefined;
    this.#keptFromBytes = endBytes;
  }

  /** The last event, or the error that stands in its place. */
  end(end: TerminalEvent | Error): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const reader of [...this.#readers]) reader.end(end);
  }

  /** Reads from the beginning; fails at once when that is gone. */
  read(): FeedReader {
    const reader = new FeedReader(this, this.#front ?? this.#last);
    if (this.#end !== undefined) reader.end(this.#end);
    if (this.outgrown) reader.fail(new EventsDropped(this.#maxBytes));
    else this.#readers.add(reader);
    return reader;
  }

  /** Of a reader: it needs nothing more. */
  release(reader: FeedReader): void {
    this.#readers.delete(reader);
  }

  /** Takes the status out of the list. */
  #dropStatus(): void {
    const before = this.#beforeStatus;
    const status = before?.next;
    if (before === undefined || status === undefined) return;
    before.next = status.next;
    if (this.#last === status) this.#last = before;
    for (const reader of this.#readers) if (reader.at === status) reader.at = before;
  }
}

/** One reader's place in a feed; at most one `next` may be outstanding, as `for await` has it. */
export class FeedReader implements AsyncIterableIterator<JobEvent> {
  /** What it has read last. The feed's to set. */
  at: Entry;
  readonly #feed: EventFeed;
  #end: TerminalEvent | Error | undefined;
  #done = false;
  #waiting: { resolve(result: IteratorResult<JobEvent>): void; reject(error: Error): void } | undefined;

  /** Use `EventFeed.read`. */
  constructor(feed: EventFeed, at: Entry) {
    this.#feed = feed;
    this.at = at;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<JobEvent>> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.serve();
    });
  }

  return(): Promise<IteratorResult<JobEvent>> {
    this.#finish();
    this.serve();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Of the feed: after what is left to read comes this. */
  end(end: TerminalEvent | Error): void {
    this.#end ??= end;
    this.serve();
  }

  /** Fails in place of all that is left to read. */
  fail(error: Error): void {
    this.#feed.release(this);
    this.at = { ...this.at, next: undefined };
    this.#end = error;
    this.serve();
  }

  /** Of the feed: there may be something for who waits. */
  serve(): void {
    const waiting = this.#waiting;
    const { next } = this.at;
    const end = this.#end;
    if (waiting === undefined || !(this.#done || next || end)) return;
    this.#waiting = undefined;
    if (this.#done) {
      waiting.resolve({ done: true, value: undefined });
    } else if (next !== undefined) {
      this.at = next;
      waiting.resolve({ done: false, value: next.event! });
    } else {
      this.#finish();
      if (end instanceof Error) waiting.reject(end);
      else waiting.resolve({ done: false, value: end! });
    }
  }

  #finish(): void {
    this.#done = true;
    this.#feed.release(this);
  }
}
