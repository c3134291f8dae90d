import { type Backoff, backoffMs, type Client, NeedsDrover } from "@drover/client";
import type { CacheBackend, Change } from "./backend.ts";
import { backendKeyOf, type Cached, encodeQuestion, uniqueOf } from "./cached.ts";
import { Computations, type Compute, within } from "./computation.ts";
import { expired, failureOf, freshnessOf, invalidated, jittered, ttlOf } from "./core/freshness.ts";
import { decodeEnvelope, type Envelope, encodeEnvelope } from "./core/value.ts";
import { CacheError, ComputationFailed } from "./errors.ts";
import { Flight, type FlightEvent } from "./flight.ts";
import { Ladder } from "./ladder.ts";
import { type CacheMetrics, countHerd, type Level, noMetrics } from "./metrics.ts";
import { Reader } from "./reader.ts";
import { Remembered } from "./remembered.ts";
import { Turns } from "./turns.ts";
import { Waiter } from "./waiter.ts";

export interface CacheOptions<InParsed, Out> {
  /** Of the job server, whose workers compute. The cache does not close it. Default: none; the ladder begins below. */
  readonly client?: Client | undefined;
  /** Where values are kept. The cache does not close it. */
  readonly backend: CacheBackend;
  /** Computes in this process when the job server is away. Default: such calls fail with `NOBODY_COMPUTES`, or get a stale value. */
  readonly compute?: Compute<InParsed, Out> | undefined;
  /** How long the backend may take to answer, before it counts as away. Default: 1,000. */
  readonly backendTimeoutMs?: number;
  /** How long the job server may take to acknowledge a job, before the next step of the ladder is taken. Default: 1,000. */
  readonly jobServerTimeoutMs?: number;
  /** For how long it is then not asked, give or take a quarter. Default: 1,000. */
  readonly jobServerAwayMs?: number;
  /**
   * For how long Drover answers further submissions with a result, in case it could not be stored. Default: 1,000, and at
   * most half of `freshMs`.
   */
  readonly lingerMs?: number;
  /**
   * For how long stale values of a key do not ask to be computed anew, after that has failed for whatever reason.
   * Default: 1,000 ms, doubled with each failure in a row up to 30,000, up to half of it by chance.
   */
  readonly refreshBackoff?: Backoff;
  /** For how long an invalidation is known: longer than a computation may run. Default: 600,000. */
  readonly guardMs?: number;
  /** Calls that wait at a time; further ones fail with `TOO_MANY_WAITERS`. Default: 100,000. */
  readonly maxWaiters?: number;
  /** Keys being computed at a time; further ones fail with `TOO_MANY_FLIGHTS`, or get a stale value. Default: 10,000. */
  readonly maxFlights?: number;
  /** Computations in this process at a time; further ones wait. Default: 16. */
  readonly maxOwnComputations?: number;
  /** Keys in one request to the backend; more are several. Default: 1,000. */
  readonly maxBatch?: number;
  /** Keys in one `getMany`. Default: 10,000. */
  readonly maxKeys?: number;
  /** Bytes of partial data kept for each flight, and for each reader that is slow. Default: 1,048,576. */
  readonly maxPartBytes?: number;
  /** Keys of which invalidations and failures are remembered in case the backend loses them. Default: 10,000. */
  readonly maxRemembered?: number;
  /** Unix time in milliseconds. Default: `Date.now`. */
  readonly now?: () => number;
  /** Numbers from 0 up to 1. Default: `Math.random`. */
  readonly random?: () => number;
  /** Told of each computation that was waited for. Must not throw. */
  readonly onFlight?: (report: FlightReport) => void;
}

/** This many calls were this one computation. */
export interface FlightReport {
  readonly key: string;
  /** Calls of this process that it served; 0 where it was for the cache alone. */
  readonly herd: number;
  /** Which step of the ladder ended it; undefined where none did. */
  readonly level: Level | undefined;
  readonly durationMs: number;
  readonly error: Error | undefined;
}

export interface GetOptions {
  /** Gives this call up: it rejects with the signal's reason. Others go on waiting. */
  readonly signal?: AbortSignal | undefined;
  /** Gives this call up with `CACHE_TIMEOUT` after so long. Default: never. */
  readonly deadlineMs?: number | undefined;
  /** Waits for a fresh value where a stale one is there. Ignored by `stream`, which has both. Default: false. */
  readonly fresh?: boolean | undefined;
  /** What becomes of a computation when the last call that waited for it has gone: `abandon` drops a job that nobody has
   * begun. Default: `keep`, which fills the cache. */
  readonly whenLeft?: "keep" | "abandon" | undefined;
}

export interface Found<Out> {
  readonly value: Out;
  /** Its time to be fresh has passed, or it was invalidated. It is being computed anew, unless there is an `error`. */
  readonly stale: boolean;
  /** When its computation began, in Unix milliseconds. */
  readonly asOfMs: number;
  /** Why there is no fresh one. */
  readonly error?: CacheError;
}

/** What `lookup` finds. */
export interface Lookup<Out> extends Found<Out> {
  /** The fresh value after a stale one, as `lookup` with `fresh` gives it. */
  fresh(options?: GetOptions): Promise<Lookup<Out>>;
}

/** What `stream` tells: a value at once if there is one, how the next comes about, and that one. */
export type CacheEvent<Out> =
  | ({ readonly type: "value" } & Found<Out>)
  | FlightEvent
  /** There is no fresh value; the stale one was told before. The last event. */
  | { readonly type: "failed"; readonly error: Error };

export interface InvalidateOptions {
  /** Goes on serving the old value as a stale one, until there is a new one. Default: false. */
  readonly serveStale?: boolean;
}

/** What a look into the backend came to. */
interface Look<OutParsed> {
  readonly key: string;
  readonly backendKey: string;
  readonly held: Envelope | undefined;
  readonly found: Found<OutParsed> | undefined;
  /** Whether it is to be computed. */
  readonly wanted: boolean;
  readonly version: number;
}

/** Makes the cache of a function. @see Cache */
export function createCache<In, InParsed, Out, OutParsed>(
  cached: Cached<In, InParsed, Out, OutParsed>,
  options: CacheOptions<InParsed, Out>,
): Cache<In, InParsed, Out, OutParsed> {
  return new Cache(cached, options);
}

/**
 * The values of one function, which are computed once for all who ask at the same time, wherever they are.
 *
 * @example
 * const prices = createCache(price, { client, backend });
 * const { euros } = await prices.get("sku-1");
 */
export class Cache<In = string, InParsed = In, Out = unknown, OutParsed = Out> implements AsyncDisposable {
  readonly metrics: CacheMetrics = noMetrics();
  readonly #cached: Cached<In, InParsed, Out, OutParsed>;
  readonly #backend: CacheBackend;
  readonly #client: Client | undefined;
  readonly #backendTimeoutMs: number;
  readonly #guardMs: number;
  readonly #maxWaiters: number;
  readonly #maxFlights: number;
  readonly #maxKeys: number;
  readonly #maxPartBytes: number;
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #onFlight: (report: FlightReport) => void;
  readonly #reader: Reader;
  readonly #ladder: Ladder<In, InParsed, Out, OutParsed>;
  readonly #computations: Computations<In, InParsed, Out, OutParsed>;
  readonly #remembered: Remembered;
  readonly #refreshBackoff: Backoff;
  readonly #refreshes = new Turns();
  /** By unique, so that none is joined that began before an invalidation. */
  readonly #flights = new Map<string, Flight>();
  readonly #waiters = new Set<Waiter>();
  #closed = false;

  /** Use `createCache`. */
  constructor(cached: Cached<In, InParsed, Out, OutParsed>, options: CacheOptions<InParsed, Out>) {
    const { client, backend, compute, now = Date.now, random = Math.random } = options;
    const { backendTimeoutMs = 1_000, guardMs = 600_000 } = options;
    this.#cached = cached;
    this.#backend = backend;
    this.#client = client;
    this.#backendTimeoutMs = backendTimeoutMs;
    this.#guardMs = guardMs;
    this.#maxWaiters = options.maxWaiters ?? 100_000;
    this.#maxFlights = options.maxFlights ?? 10_000;
    this.#maxKeys = options.maxKeys ?? 10_000;
    this.#maxPartBytes = options.maxPartBytes ?? 1_048_576;
    this.#now = now;
    this.#random = random;
    this.#onFlight = options.onFlight ?? (() => {});
    this.#reader = new Reader(backend, backendTimeoutMs, options.maxBatch ?? 1_000);
    this.#remembered = new Remembered(options.maxRemembered ?? 10_000);
    this.#refreshBackoff = { initialMs: 1_000, maxMs: 30_000, ...options.refreshBackoff };
    this.#computations = new Computations(cached, { backend, backendTimeoutMs, guardMs, now, random });
    const terms = {
      client,
      backend,
      backendTimeoutMs,
      jobServerTimeoutMs: options.jobServerTimeoutMs ?? 1_000,
      jobServerAwayMs: options.jobServerAwayMs ?? 1_000,
      lingerMs: Math.min(options.lingerMs ?? 1_000, Math.floor(cached.freshMs / 2)),
      maxOwnComputations: options.maxOwnComputations ?? 16,
      now,
      random,
    };
    this.#ladder = new Ladder(cached, terms, this.#computations, compute);
  }

  /**
   * The value: a fresh one, or at once a stale one, which is then computed anew.
   * @throws ComputationFailed, CacheError, the signal's reason, or what the client throws where the server refuses the job.
   */
  async get(input: In, options?: GetOptions): Promise<OutParsed> {
    return (await this.lookup(input, options)).value;
  }

  /** As `get`, with what is known about the value, and the way to the fresh one after a stale one. */
  async lookup(input: In, options: GetOptions = {}): Promise<Lookup<OutParsed>> {
    const waiter = this.#wait(options);
    try {
      const found = await waiter.until(this.#find(input, options, waiter));
      return { ...found, fresh: (further) => this.lookup(input, { ...further, fresh: true }) };
    } finally {
      this.#leave(waiter);
    }
  }

  /** Several values. Each succeeds or fails for itself. @throws CacheError `BATCH_TOO_LARGE` */
  async getMany(
    inputs: readonly In[],
    options?: GetOptions,
  ): Promise<readonly PromiseSettledResult<OutParsed>[]> {
    if (inputs.length > this.#maxKeys)
      throw new CacheError("BATCH_TOO_LARGE", `${inputs.length} keys, limit ${this.#maxKeys}`);
    return Promise.allSettled(inputs.map((input) => this.get(input, options)));
  }

  /**
   * The stale value at once, if there is one, then how the fresh one comes about, then that. A fresh one is the only event.
   * Throws as `get` where no value was told.
   */
  async *stream(input: In, options: GetOptions = {}): AsyncGenerator<CacheEvent<OutParsed>, void, undefined> {
    const waiter = this.#wait(options);
    let told = false;
    try {
      const look = await waiter.until(this.#look(input));
      if (look.found !== undefined) {
        told = true;
        this.metrics[look.found.stale ? "stale" : "hits"]++;
        if (!look.found.stale && look.wanted) this.#refresh(look, input);
        yield { type: "value", ...look.found };
        if (!look.found.stale) return;
      } else this.metrics.misses++;
      const flight = await waiter.until(this.#flightOf(look, input, options, waiter));
      const events = flight.follow();
      try {
        for (;;) {
          const { value: event, done } = await waiter.until(events.next());
          if (done === true) break;
          if (event.type !== "held") yield event;
          else if (!told) {
            const held = await waiter.until(this.#heldIn(event.envelope));
            if (held !== undefined) yield { type: "value", ...held };
            told = held !== undefined;
          }
        }
      } finally {
        // It may be waiting for an event, so its end is not waited for.
        void events.return();
      }
      const found = await waiter.until(flight.outcome.then((envelope) => this.#foundIn(envelope)));
      yield { type: "value", ...found };
    } catch (error) {
      if (!told || options.signal?.aborted) throw error;
      yield { type: "failed", error: error as Error };
    } finally {
      this.#leave(waiter);
    }
  }

  /**
   * From when this resolves, nobody is given what was computed from older inputs, nor joins a computation that began before;
   * with `serveStale`, as a stale value only.
   * @throws CacheError `INVALIDATION_LOST` when the backend does not take it: others may still be given the old value.
   */
  async invalidate(input: In, { serveStale = false }: InvalidateOptions = {}): Promise<void> {
    this.#checkOpen();
    const backendKey = backendKeyOf(this.#cached, this.#cached.keyOf(input));
    this.metrics.invalidations++;
    let version = 0;
    await this.#change(backendKey, (bytes) => {
      const nowMs = this.#now();
      const atLeast = this.#remembered.versionOf(backendKey) + 1;
      const next = invalidated(bytes && decodeEnvelope(bytes), atLeast, nowMs, serveStale);
      version = next.version;
      return { value: encodeEnvelope(next), ttlMs: ttlOf(next, nowMs, this.#guardMs) };
    }).finally(() => {
      const unheard = Math.max(Math.floor(this.#now()), this.#remembered.versionOf(backendKey) + 1);
      this.#remembered.invalidated(backendKey, version === 0 ? unheard : version);
    });
  }

  /**
   * The inputs have changed, and the value should follow soon: has it computed anew in the background, once more after a
   * computation that is under way, and serves the old one meanwhile. However often it is called, at most one computation
   * runs and one waits. On servers other than Drover it is `invalidate` with `serveStale`.
   * @throws CacheError `INVALIDATION_LOST`, `TOO_MANY_FLIGHTS`, or what the client throws.
   */
  async refresh(input: In): Promise<void> {
    this.#checkOpen();
    const client = this.#client;
    if (client === undefined) return this.invalidate(input, { serveStale: true });
    const key = this.#cached.keyOf(input);
    const backendKey = backendKeyOf(this.#cached, key);
    if (this.#refreshes.size >= this.#maxFlights && !this.#refreshes.has(backendKey))
      throw new CacheError("TOO_MANY_FLIGHTS", `${this.#maxFlights} keys are being refreshed`);
    return this.#refreshes.take(backendKey, () => this.#submitRefresh(client, input, key, backendKey));
  }

  async #submitRefresh(client: Client, input: In, key: string, backendKey: string): Promise<void> {
    let version = this.#remembered.versionOf(backendKey);
    // Else a computation that waits already would find the value new enough.
    await this.#change(backendKey, (bytes) => {
      const held = bytes && decodeEnvelope(bytes);
      const nowMs = this.#now();
      version = Math.max(version, held?.version ?? 0);
      const next = expired(held, nowMs);
      return next && { value: encodeEnvelope(next), ttlMs: ttlOf(next, nowMs, this.#guardMs) };
    });
    const workload = encodeQuestion({
      key,
      version,
      seenMs: this.#now(),
      input: await this.#cached.codec.encodeInput(input),
    });
    const unique = uniqueOf(this.#cached, key, version);
    try {
      await client.background(this.#cached.name, workload, { unique, rerunIfActive: true });
    } catch (error) {
      if (!(error instanceof NeedsDrover)) throw error;
      await this.invalidate(input, { serveStale: true });
    }
  }

  /** Gives up what waits, with `CACHE_CLOSED`. Client and backend stay open. */
  async close(): Promise<void> {
    this.#closed = true;
    const error = new CacheError("CACHE_CLOSED", "the cache is closed");
    for (const waiter of this.#waiters) waiter.fail(error);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #find(input: In, options: GetOptions, waiter: Waiter): Promise<Found<OutParsed>> {
    const look = await this.#look(input);
    const { found } = look;
    if (found !== undefined && !(found.stale && options.fresh === true)) {
      this.metrics[found.stale ? "stale" : "hits"]++;
      if (look.wanted) this.#refresh(look, input);
      return found;
    }
    this.metrics.misses++;
    const flight = await this.#flightOf(look, input, options, waiter);
    const held = options.fresh === true ? undefined : await flight.held;
    return (held && (await this.#heldIn(held))) ?? this.#foundIn(await flight.outcome);
  }

  /** Reads what is held, and judges it. @throws ComputationFailed where a failure is in force and there is no value. */
  async #look(input: In): Promise<Look<OutParsed>> {
    const key = this.#cached.keyOf(input);
    const backendKey = backendKeyOf(this.#cached, key);
    const entry = await this.#reader.read(backendKey);
    const away = entry instanceof Error;
    if (away) this.metrics.backendErrors++;
    const bytes = away ? undefined : entry.value;
    let held = bytes === undefined ? undefined : decodeEnvelope(bytes);
    if (bytes !== undefined && held === undefined) this.metrics.unreadable++;
    const nowMs = this.#now();
    const known = this.#remembered.versionOf(backendKey);
    if (held !== undefined) this.#remembered.told(backendKey, held);
    if (held !== undefined && held.version < known) held = undefined;
    const version = Math.max(known, held?.version ?? 0);
    const text = failureOf(held, nowMs) ?? this.#remembered.failureOf(backendKey, nowMs);
    const freshness = freshnessOf(held, nowMs, this.#random(), this.#cached.earlyRefresh);
    let found: Found<OutParsed> | undefined;
    if (freshness !== "missing") {
      found = await this.#heldIn(held!);
    }
    const stale = freshness === "stale";
    if (text !== undefined && (stale || found === undefined)) {
      const error = new ComputationFailed(text);
      if (found === undefined) throw error;
      found = { ...found, stale, error };
    } else if (found !== undefined) found = { ...found, stale };
    return { key, backendKey, held, found, version, wanted: freshness !== "fresh" && text === undefined };
  }

  async #foundIn(envelope: Envelope): Promise<Found<OutParsed>> {
    const value = await this.#cached.codec.decodeOutput(envelope.value!);
    return { value, stale: false, asOfMs: envelope.asOfMs };
  }

  /** A stale value; undefined where the schema does not take it. */
  #heldIn(envelope: Envelope): Promise<Found<OutParsed> | undefined> {
    return this.#foundIn(envelope).then(
      (found) => ({ ...found, stale: true }),
      () => {
        this.metrics.unreadable++;
        return undefined;
      },
    );
  }

  /** Computes for the cache alone, unless too many are being computed, or this one has just failed. */
  #refresh(look: Look<OutParsed>, input: In): void {
    if (this.#flights.size >= this.#maxFlights || this.#closed) return;
    if (this.#remembered.rests(look.backendKey, this.#now())) return;
    this.#fly(look, input).then(
      (flight) => flight.keep(),
      () => {},
    );
  }

  /** The flight that is to be waited for. */
  async #flightOf(look: Look<OutParsed>, input: In, options: GetOptions, waiter: Waiter): Promise<Flight> {
    if (look.found?.error !== undefined) throw look.found.error;
    const flight = await this.#fly(look, input, options.whenLeft !== "abandon");
    if (waiter.left) return flight;
    flight.join(options.whenLeft !== "abandon");
    waiter.flight = flight;
    this.metrics.waits++;
    return flight;
  }

  /** Joins what is being computed for this version, or begins. */
  async #fly(look: Look<OutParsed>, input: In, keep?: boolean): Promise<Flight> {
    const unique = uniqueOf(this.#cached, look.key, look.version);
    const joined = this.#flights.get(unique);
    if (joined !== undefined && !joined.signal.aborted) return joined;
    const encoded = this.#cached.codec.encodeInput(input);
    const bytes = encoded instanceof Promise ? await encoded : encoded;
    const meanwhile = this.#flights.get(unique);
    if (meanwhile !== undefined && !meanwhile.signal.aborted) return meanwhile;
    if (this.#flights.size >= this.#maxFlights)
      throw new CacheError("TOO_MANY_FLIGHTS", `${this.#maxFlights} keys are being computed`);
    const seenMs = look.held?.value === undefined ? 0 : look.held.asOfMs;
    const question = { key: look.key, version: look.version, seenMs, input: bytes };
    const flight = new Flight(question, this.#now(), this.#maxPartBytes);
    if (keep !== false) flight.keep();
    // For those who could not read it.
    if (look.found?.stale === true) flight.tell({ type: "held", envelope: look.held! });
    this.#flights.set(unique, flight);
    this.metrics.flights++;
    if (keep === undefined) this.metrics.refreshes++;
    void this.#run(flight, unique, look);
    return flight;
  }

  async #run(flight: Flight, unique: string, { held, backendKey, key }: Look<OutParsed>): Promise<void> {
    let ran: { readonly envelope: Envelope; readonly level: Level } | undefined;
    let error: Error | undefined;
    try {
      ran = await this.#ladder.run(flight, held?.tookMs ?? 0);
      this.#remembered.told(backendKey, ran.envelope);
      this.#remembered.endedWell(backendKey);
    } catch (thrown) {
      error = thrown as Error;
      this.metrics.failures++;
      if (!flight.signal.aborted) {
        const restMs = (times: number) => backoffMs(times, this.#refreshBackoff, this.#random());
        this.#remembered.endedBadly(backendKey, this.#now(), restMs);
      }
      if (error instanceof ComputationFailed) {
        const untilMs = this.#now() + jittered(this.#cached.failureMs, this.#random());
        this.#remembered.failed(backendKey, error.message.replace(/^COMPUTATION_FAILED: /, ""), untilMs);
      }
    }
    if (this.#flights.get(unique) === flight) this.#flights.delete(unique);
    if (ran !== undefined) this.metrics.levels[ran.level]++;
    countHerd(this.metrics, flight.herd);
    this.metrics.ownComputations = this.#computations.figures.computations;
    flight.settle(ran?.envelope ?? error!);
    const durationMs = this.#now() - flight.beganMs;
    this.#onFlight({ key, herd: flight.herd, level: ran?.level, durationMs, error });
  }

  async #change(backendKey: string, change: Change): Promise<void> {
    try {
      await within(this.#backendTimeoutMs, this.#backend.invalidate(backendKey, change));
    } catch (cause) {
      throw new CacheError("INVALIDATION_LOST", "the backend did not take it", { cause });
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new CacheError("CACHE_CLOSED", "the cache is closed");
  }

  #wait({ signal, deadlineMs }: GetOptions): Waiter {
    this.#checkOpen();
    signal?.throwIfAborted();
    if (this.#waiters.size >= this.#maxWaiters)
      throw new CacheError("TOO_MANY_WAITERS", `${this.#maxWaiters} calls wait`);
    const waiter = new Waiter(signal, deadlineMs, () => {
      this.metrics.timeouts++;
      return new CacheError("CACHE_TIMEOUT", `${this.#cached.name} gave no value within ${deadlineMs} ms`);
    });
    this.#waiters.add(waiter);
    return waiter;
  }

  #leave(waiter: Waiter): void {
    this.#waiters.delete(waiter);
    waiter.leave();
  }
}
