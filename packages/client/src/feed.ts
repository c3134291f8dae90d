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

interface Entry {
  readonly event: JobEvent;
  /** Bytes of all events before this one since the feed began. */
  readonly offsetBytes: number;
}

/**
 * The events of one job for any number of readers, each at its own pace. All of it is kept for readers that come late,
 * up to `maxBufferedBytes`; beyond that, only what present readers have still to read, and a reader that is further
 * behind fails. At most one status is kept: the newest.
 */
export class EventFeed {
  readonly #maxBytes: number;
  readonly #readers = new Set<FeedReader>();
  /** Events from number `#base` on; a status that a newer one replaced leaves a hole. */
  #entries: (Entry | undefined)[] = [];
  #base = 0;
  #holes = 0;
  #statusNumber = -1;
  #totalBytes = 0;
  #keptFromBytes = 0;
  #outgrown = false;
  #end: TerminalEvent | Error | undefined;

  constructor(maxBufferedBytes: number) {
    this.#maxBytes = maxBufferedBytes;
  }

  /** Whether a reader that begins now would miss something. */
  get outgrown(): boolean {
    return this.#outgrown;
  }

  push(event: JobEvent): void {
    if (event.type === "status") this.#replaceStatus();
    this.#entries.push({ event, offsetBytes: this.#totalBytes });
    // A status replaces another, so it takes no room that the bound has to count.
    if (event.type !== "status")
      this.#totalBytes += EVENT_OVERHEAD_BYTES + ("data" in event ? event.data.length : 0);
    for (const reader of [...this.#readers]) reader.serve();
    this.#bound();
    this.#compact();
  }

  /** Drops what was reported, read or not, but for `created` where the handle stays. */
  reset(keepCreated: boolean): void {
    const first = this.#outgrown ? undefined : this.#entries[0];
    const created = keepCreated && first?.event.type === "created" ? first : undefined;
    const end = this.#base + this.#entries.length;
    for (const reader of this.#readers) {
      // Who has not even read `created` still does.
      reader.position = created !== undefined && reader.position === this.#base ? end : end + 1;
    }
    this.#base = created === undefined ? end + 1 : end;
    this.#entries = created === undefined ? [] : [{ event: created.event, offsetBytes: this.#totalBytes }];
    this.#holes = 0;
    this.#statusNumber = -1;
    this.#outgrown = false;
    this.#keptFromBytes = this.#totalBytes;
  }

  /** The last event, or the error that stands in its place. */
  end(end: TerminalEvent | Error): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const reader of [...this.#readers]) reader.end(end);
  }

  /** Reads from the beginning; fails at once when that is gone. */
  read(): FeedReader {
    const reader = new FeedReader(this, this.#base);
    if (this.#end !== undefined) reader.end(this.#end);
    if (this.#outgrown) reader.fail(new EventsDropped(this.#maxBytes));
    else this.#readers.add(reader);
    return reader;
  }

  /** Of a reader: the event at its position, which moves on. */
  take(reader: FeedReader): JobEvent | undefined {
    for (;;) {
      const index = reader.position - this.#base;
      if (index < 0 || index >= this.#entries.length) return undefined;
      reader.position++;
      const entry = this.#entries[index];
      if (entry !== undefined) return entry.event;
    }
  }

  /** Of a reader: it needs nothing more. */
  release(reader: FeedReader): void {
    this.#readers.delete(reader);
  }

  #replaceStatus(): void {
    const index = this.#statusNumber - this.#base;
    if (index >= 0) {
      this.#entries[index] = undefined;
      this.#holes++;
    }
    this.#statusNumber = this.#base + this.#entries.length;
  }

  #bound(): void {
    if (this.#totalBytes - this.#keptFromBytes > this.#maxBytes) this.#outgrown = true;
    if (!this.#outgrown) return;
    let needed = this.#base + this.#entries.length;
    for (const reader of [...this.#readers]) {
      const behind = this.#firstFrom(reader.position);
      if (behind !== undefined && this.#totalBytes - behind.offsetBytes > this.#maxBytes) {
        this.#readers.delete(reader);
        reader.fail(new EventsDropped(this.#maxBytes));
      } else needed = Math.min(needed, reader.position);
    }
    const read = needed - this.#base;
    // By halves, so that each event is moved once in the mean.
    if (read * 2 < this.#entries.length && needed !== this.#base + this.#entries.length) return;
    for (let i = 0; i < read; i++) if (this.#entries[i] === undefined) this.#holes--;
    this.#entries.splice(0, read);
    this.#base = needed;
  }

  #firstFrom(position: number): Entry | undefined {
    for (let i = Math.max(0, position - this.#base); i < this.#entries.length; i++) {
      if (this.#entries[i] !== undefined) return this.#entries[i];
    }
    return undefined;
  }

  /** Closes the holes that statuses left once they are most of what is kept. */
  #compact(): void {
    if (this.#holes < 64 || this.#holes * 2 < this.#entries.length) return;
    const moved: number[] = [];
    const live: Entry[] = [];
    for (const entry of this.#entries) {
      moved.push(this.#base + live.length);
      if (entry !== undefined) live.push(entry);
    }
    const end = this.#base + live.length;
    for (const reader of this.#readers) reader.position = moved[reader.position - this.#base] ?? end;
    this.#statusNumber = moved[this.#statusNumber - this.#base] ?? -1;
    this.#entries = live;
    this.#holes = 0;
  }
}

/** One reader's place in a feed; at most one `next` may be outstanding, as `for await` has it. */
export class FeedReader implements AsyncIterableIterator<JobEvent> {
  /** Number of the event that it reads next. The feed's to set. */
  position: number;
  readonly #feed: EventFeed;
  #end: TerminalEvent | Error | undefined;
  #done = false;
  #waiting: { resolve(result: IteratorResult<JobEvent>): void; reject(error: Error): void } | undefined;

  /** Use `EventFeed.read`. */
  constructor(feed: EventFeed, position: number) {
    this.#feed = feed;
    this.position = position;
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
    this.position = Number.MAX_SAFE_INTEGER;
    this.#end = error;
    this.serve();
  }

  /** Of the feed: there may be something for who waits. */
  serve(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    if (this.#done) {
      this.#waiting = undefined;
      waiting.resolve({ done: true, value: undefined });
      return;
    }
    const event = this.#feed.take(this);
    if (event !== undefined) {
      this.#waiting = undefined;
      waiting.resolve({ done: false, value: event });
    } else if (this.#end !== undefined) {
      const end = this.#end;
      this.#waiting = undefined;
      this.#finish();
      if (end instanceof Error) waiting.reject(end);
      else waiting.resolve({ done: false, value: end });
    }
  }

  #finish(): void {
    this.#done = true;
    this.#feed.release(this);
  }
}
