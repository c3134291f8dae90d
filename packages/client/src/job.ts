import { type JobTrace, textOfByteString } from "@drover/protocol";
import type { Call, Follower } from "./call.ts";
import { JobException, JobFailed, JobTimeout } from "./errors.ts";
import type { FeedReader, JobEvent, TerminalEvent } from "./feed.ts";
import type { SubmissionSpan } from "./tracing.ts";

/** How one caller follows a call. */
export interface JobTerms<Output> {
  /** The function's name, as a byte string. */
  readonly function: string;
  readonly signal: AbortSignal | undefined;
  readonly deadlineMs: number | undefined;
  readonly decode: (result: Uint8Array) => Output | Promise<Output>;
}

/**
 * A submitted job, as one caller sees it: an async iterable of its events, and its result. Equal submissions of one
 * client share the job on the server; each has a `Job` of its own, which can be given up alone.
 */
export class Job<Output = Uint8Array> implements AsyncIterable<JobEvent> {
  readonly #following: Following<Output>;
  #result: Promise<Output> | undefined;

  /** Use `Client.submit`. */
  constructor(following: Following<Output>) {
    this.#following = following;
  }

  /** The function's name. */
  get function(): string {
    return textOfByteString(this.#following.terms.function);
  }

  /** The job's name on the server, once the server has taken it; a new one when it was joined anew. */
  get handle(): string | undefined {
    return this.#following.handle;
  }

  /** Whether it has ended for this caller: by its outcome, or by being given up. */
  get over(): boolean {
    return this.#following.over;
  }

  /** Resolves with the handle when the server has taken the job. Rejects as `result` does when that never happens. */
  created(): Promise<string> {
    return this.#following.acknowledged.promise();
  }

  /**
   * What the worker returned: the data of `WORK_COMPLETE`, without that of `data` events before.
   * @throws JobFailed, JobException, JobLost, JobTimeout, QueueFull, … or the reason of the signal that aborted.
   */
  result(): Promise<Output> {
    this.#result ??= this.#following.outcome();
    return this.#result;
  }

  /**
   * All events from the beginning, those of the past at once; `complete`, `fail` or `exception` is the last. Throws
   * where the job ends in none of these (such as lost, or given up), and `EventsDropped` when the loop is too slow.
   */
  [Symbol.asyncIterator](): AsyncGenerator<JobEvent, void, undefined> {
    return this.#following.events();
  }
}

/** What stands behind a `Job`: how its caller follows the call. */
export class Following<Output> implements Follower {
  readonly terms: JobTerms<Output>;
  /** Traces the submission. */
  span: SubmissionSpan | undefined;
  readonly acknowledged = new Later<string>();
  handle: string | undefined;
  over = false;
  readonly #begun = new Later<Call>();
  readonly #ended = new Later<TerminalEvent>();
  #readers: Set<FeedReader> | undefined;
  readonly #onAbort = () => this.giveUp(this.terms.signal?.reason as Error);
  #call: Call | undefined;
  #gaveUp: Error | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(terms: JobTerms<Output>) {
    this.terms = terms;
    const { signal, deadlineMs } = terms;
    if (signal?.aborted) {
      this.#onAbort();
      return;
    }
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (deadlineMs !== undefined) {
      this.#timer = setTimeout(() => this.giveUp(new JobTimeout(terms.function, deadlineMs)), deadlineMs);
    }
  }

  /** It is traced from here on, by `span` if any. */
  trace(span: SubmissionSpan | undefined): void {
    this.span = span;
    if (this.#gaveUp !== undefined) span?.ended(this.#gaveUp);
  }

  /** The call that serves this job is known. */
  begin(call: Call): void {
    this.#call = call;
    call.follow(this);
    this.#begun.resolve(call);
    if (call.handle !== undefined) this.created(call.handle);
  }

  created(handle: string): void {
    this.handle = handle;
    this.span?.created(handle);
    this.acknowledged.resolve(handle);
  }

  traced(trace: JobTrace): void {
    this.span?.traced(trace);
  }

  ended(end: TerminalEvent | Error): void {
    if (end instanceof Error) {
      this.giveUp(end);
      return;
    }
    if (!this.#finish(end)) return;
    this.#ended.resolve(end);
  }

  /** Ends it for this caller alone. */
  giveUp(error: Error): void {
    if (!this.#finish(error)) return;
    this.#gaveUp = error;
    this.#call?.leave(this);
    for (const reader of this.#readers ?? []) reader.fail(error);
    this.#begun.reject(error);
    this.acknowledged.reject(error);
    this.#ended.reject(error);
  }

  async outcome(): Promise<Output> {
    const end = await this.#ended.promise();
    if (end.type === "complete") return this.terms.decode(end.data);
    if (end.type === "fail") throw new JobFailed(this.terms.function, this.handle ?? "");
    throw new JobException(this.terms.function, this.handle ?? "", end.data);
  }

  async *events(): AsyncGenerator<JobEvent, void, undefined> {
    const call = await this.#begun.promise();
    const reader = call.feed.read();
    if (this.#gaveUp !== undefined) reader.fail(this.#gaveUp);
    this.#readers ??= new Set();
    this.#readers.add(reader);
    try {
      yield* reader;
    } finally {
      this.#readers.delete(reader);
    }
  }

  #finish(end: TerminalEvent | Error): boolean {
    if (this.over) return false;
    this.over = true;
    this.span?.ended(end);
    clearTimeout(this.#timer);
    this.terms.signal?.removeEventListener("abort", this.#onAbort);
    return true;
  }
}

/**
 * A value to come, as a promise for who asks. Without one no promise is made, and a rejection that nobody looks at is
 * no unhandled one: of a job's several promises a caller mostly wants one.
 */
class Later<T> {
  #settle: ((asked: PromiseWithResolvers<T>) => void) | undefined;
  #asked: PromiseWithResolvers<T> | undefined;

  resolve(value: T): void {
    this.#be(({ resolve }) => resolve(value));
  }

  reject(error: Error): void {
    this.#be(({ reject }) => reject(error));
  }

  promise(): Promise<T> {
    if (this.#asked === undefined) {
      this.#asked = Promise.withResolvers<T>();
      this.#settle?.(this.#asked);
    }
    return this.#asked.promise;
  }

  #be(settle: (asked: PromiseWithResolvers<T>) => void): void {
    if (this.#settle !== undefined) return;
    this.#settle = settle;
    if (this.#asked !== undefined) settle(this.#asked);
  }
}
