import type { CacheBackend, Change } from "./backend.ts";
import { backendKeyOf, type Cached, type Question } from "./cached.ts";
import { envelopeOf, failed, failureOf, freshnessOf, jittered, supersedes, ttlOf } from "./core/freshness.ts";
import { decodeEnvelope, type Envelope, encodeEnvelope, looksLikeEnvelope } from "./core/value.ts";
import { CacheError } from "./errors.ts";

/** What a computation is given besides its input. */
export interface Computing {
  readonly key: string;
  /** Aborts when the result is of no use any more. */
  readonly signal: AbortSignal;
  /** Tells who waits how far it is. */
  status(numerator: number, denominator: number): void;
  /** Sends a part of the result ahead, to those who follow by `stream`. Resolves when more may be sent. */
  data(chunk: Uint8Array | string): Promise<void>;
}

export type Compute<InParsed, Out> = (input: InParsed, computing: Computing) => Out | Promise<Out>;

/** Where computations keep their results, in a worker or in the process that asks. */
export interface ComputationOptions {
  readonly backend: CacheBackend;
  /** How long the backend may take to answer, before a computation goes on without. Default: 1,000. */
  readonly backendTimeoutMs?: number;
  /** For how long an invalidation is known: longer than a computation may run. Default: 600,000. */
  readonly guardMs?: number;
  /** Unix time in milliseconds. Default: `Date.now`. */
  readonly now?: () => number;
  /** Numbers from 0 up to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** What was done for one cached function here, since the beginning. */
export interface ComputationFigures {
  /** Begun. */
  computations: number;
  /** Not begun, since the cache had a value by then, or a failure in force. */
  spared: number;
  failures: number;
  stored: number;
  /** Results and failures that the backend did not take, or that were too large. */
  notStored: number;
}

/** Computes, and stores before it answers, so that whoever asks after the answer finds it in the cache. */
export class Computations<In, InParsed, Out, OutParsed> {
  readonly figures: ComputationFigures = {
    computations: 0,
    spared: 0,
    failures: 0,
    stored: 0,
    notStored: 0,
  };
  readonly #cached: Cached<In, InParsed, Out, OutParsed>;
  readonly #backend: CacheBackend;
  readonly #timeoutMs: number;
  readonly #guardMs: number;
  readonly #now: () => number;
  readonly #random: () => number;

  constructor(cached: Cached<In, InParsed, Out, OutParsed>, options: ComputationOptions) {
    this.#cached = cached;
    this.#backend = options.backend;
    this.#timeoutMs = options.backendTimeoutMs ?? 1_000;
    this.#guardMs = options.guardMs ?? 600_000;
    this.#now = options.now ?? Date.now;
    this.#random = options.random ?? Math.random;
  }

  /**
   * Sends a stale value ahead that the asker did not have, as the first part of the result.
   * @returns The envelope, encoded. Throws what `compute` threw.
   */
  async answer(
    question: Question,
    compute: Compute<InParsed, Out>,
    computing: Computing,
  ): Promise<Uint8Array> {
    const backendKey = backendKeyOf(this.#cached, question.key);
    const held = await this.#held(backendKey);
    const nowMs = this.#now();
    const news = held !== undefined && held.version >= question.version && held.asOfMs > question.seenMs;
    const freshness = freshnessOf(held, nowMs, 0, 0);
    if (news && freshness === "stale") void sendAhead(computing, encodeEnvelope(held));
    const failure = failureOf(held, nowMs);
    if (failure !== undefined && held!.version >= question.version) {
      this.figures.spared++;
      throw new Error(failure);
    }
    // Another run ended between the asker's look into the cache and this one.
    if (news && freshness === "fresh") {
      this.figures.spared++;
      return encodeEnvelope(held);
    }
    const version = Math.max(question.version, held?.version ?? 0);
    this.figures.computations++;
    try {
      const input = await this.#cached.codec.decodeInput(question.input);
      const value = await this.#cached.codec.encodeOutput(await compute(input, withoutEnvelopes(computing)));
      const envelope = envelopeOf({ value, beganMs: nowMs, endedMs: this.#now(), version }, this.#cached);
      await this.#store(backendKey, envelope);
      return encodeEnvelope(envelope);
    } catch (error) {
      this.figures.failures++;
      // Then it is done again elsewhere, and may well succeed there.
      if (!computing.signal.aborted) {
        const text = error instanceof Error ? error.message : String(error);
        await this.fail(backendKey, text, version);
      }
      throw error;
    }
  }

  /** Remembers a failure for a while. Never throws. */
  async fail(backendKey: string, text: string, version: number): Promise<void> {
    const untilMs = this.#now() + jittered(this.#cached.failureMs, this.#random());
    await this.#set(backendKey, (bytes) => {
      const nowMs = this.#now();
      const held = bytes && decodeEnvelope(bytes);
      if (failureOf(held, nowMs) !== undefined) return undefined;
      const next = failed(held, text, untilMs, nowMs, version);
      return next && { value: encodeEnvelope(next), ttlMs: ttlOf(next, nowMs, this.#guardMs) };
    });
  }

  async #store(backendKey: string, envelope: Envelope): Promise<void> {
    if (envelope.value!.length > this.#cached.maxValueBytes) {
      this.figures.notStored++;
      return;
    }
    const bytes = encodeEnvelope(envelope);
    await this.#set(backendKey, (present) => {
      const nowMs = this.#now();
      if (!supersedes(envelope, present && decodeEnvelope(present), nowMs)) return undefined;
      return { value: bytes, ttlMs: ttlOf(envelope, nowMs, this.#guardMs) };
    });
  }

  async #set(backendKey: string, change: Change): Promise<void> {
    try {
      await within(this.#timeoutMs, this.#backend.set(backendKey, change));
      this.figures.stored++;
    } catch {
      this.figures.notStored++;
    }
  }

  async #held(backendKey: string): Promise<Envelope | undefined> {
    try {
      const [entry] = await within(this.#timeoutMs, this.#backend.get([backendKey]));
      return entry === undefined || entry instanceof Error || entry.value === undefined
        ? undefined
        : decodeEnvelope(entry.value);
    } catch {
      return undefined;
    }
  }
}

/** Or not: what cannot be sent comes with the result. */
async function sendAhead(computing: Computing, bytes: Uint8Array): Promise<void> {
  try {
    await computing.data(bytes);
  } catch {
    // Too large, or nobody is there any more.
  }
}

/** What is sent ahead is bytes in a row: cut after the first one, no part of it is taken for a stale value. */
function withoutEnvelopes(computing: Computing): Computing {
  return {
    ...computing,
    data: async (chunk) => {
      const bytes = Buffer.from(chunk as Uint8Array);
      const isCut = looksLikeEnvelope(bytes);
      if (isCut) await computing.data(bytes.subarray(0, 1));
      await computing.data(isCut ? bytes.subarray(1) : bytes);
    },
  };
}

/** @throws CacheError `STORE_SLOW` when `asked` takes longer. */
export async function within<T>(timeoutMs: number, asked: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new CacheError("STORE_SLOW", `the backend gave no answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    return await Promise.race([asked, promise]);
  } finally {
    clearTimeout(timer);
  }
}
