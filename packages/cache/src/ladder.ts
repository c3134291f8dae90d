import { setTimeout as after } from "node:timers/promises";
import {
  type Client,
  type ClientErrorCode,
  JobException,
  JobFailed,
  type SubmitOptions,
} from "@drover/client";
import type { CacheBackend } from "./backend.ts";
import { backendKeyOf, type Cached, encodeQuestion, uniqueOf } from "./cached.ts";
import { type Computations, type Compute, within } from "./computation.ts";
import { failureOf, freshnessOf, jittered } from "./core/freshness.ts";
import { decodeEnvelope, type Envelope } from "./core/value.ts";
import { CacheError, ComputationFailed } from "./errors.ts";
import type { Flight, Told } from "./flight.ts";
import type { Level } from "./metrics.ts";

export interface LadderTerms {
  readonly client: Client | undefined;
  readonly backend: CacheBackend;
  readonly backendTimeoutMs: number;
  readonly jobServerTimeoutMs: number;
  readonly jobServerAwayMs: number;
  readonly lingerMs: number;
  readonly maxOwnComputations: number;
  readonly now: () => number;
  readonly random: () => number;
}

/** Codes that say nothing about the computation, and all about the way to the job server. */
const AWAY: readonly ClientErrorCode[] = [
  "CLIENT_CLOSED",
  "JOB_LOST",
  "NO_SERVER",
  "SERVER_LOST",
  "TOO_MANY_CALLS",
  "UNAUTHENTICATED",
];

const MIN_ELECTION_MS = 2_000;
const FIRST_POLL_MS = 10;
const MAX_POLL_MS = 100;

/** The job server cannot be had. Never leaves this file. */
class Away extends Error {}

/** The ways to a computation, best first: as a job, by an election in the backend, in this process. */
export class Ladder<In, InParsed, Out, OutParsed> {
  readonly #cached: Cached<In, InParsed, Out, OutParsed>;
  readonly #terms: LadderTerms;
  readonly #computations: Computations<In, InParsed, Out, OutParsed>;
  readonly #compute: Compute<InParsed, Out> | undefined;
  readonly #queue: (() => void)[] = [];
  #running = 0;
  /** The job server is not tried before. */
  #awayUntilMs = 0;
  /** Whether wishes that only Drover knows are sent. */
  #drover = true;

  constructor(
    cached: Cached<In, InParsed, Out, OutParsed>,
    terms: LadderTerms,
    computations: Computations<In, InParsed, Out, OutParsed>,
    compute: Compute<InParsed, Out> | undefined,
  ) {
    this.#cached = cached;
    this.#terms = terms;
    this.#computations = computations;
    this.#compute = compute;
  }

  /** @throws ComputationFailed, CacheError `NOBODY_COMPUTES`, or the client's error where the server refuses the job. */
  async run(flight: Flight, tookMs: number): Promise<{ envelope: Envelope; level: Level }> {
    let cause: unknown;
    if (this.#mayTryJobServer()) {
      try {
        return { envelope: await this.#asJob(flight), level: "job-server" };
      } catch (error) {
        if (!(error instanceof Away)) throw error;
        cause = error.cause;
      }
    }
    flight.signal.throwIfAborted();
    if (this.#compute === undefined) {
      const why = this.#terms.client === undefined ? "there is no job server" : "the job server is away";
      throw new CacheError("NOBODY_COMPUTES", `${why}, and no compute was given`, { cause });
    }
    return this.#elected(flight, this.#compute, Math.max(MIN_ELECTION_MS, 4 * tookMs));
  }

  #mayTryJobServer(): boolean {
    if (this.#terms.client === undefined) return false;
    const nowMs = this.#terms.now();
    if (nowMs < this.#awayUntilMs) return false;
    // While it was away, one goes ahead and the others take the next step at once.
    if (this.#awayUntilMs > 0) this.#beAway();
    return true;
  }

  #beAway(): void {
    const { now, random, jobServerAwayMs, jobServerTimeoutMs } = this.#terms;
    this.#awayUntilMs = now() + jobServerTimeoutMs + jittered(jobServerAwayMs, random());
  }

  async #asJob(flight: Flight): Promise<Envelope> {
    const { client, jobServerTimeoutMs, lingerMs } = this.#terms;
    const { question } = flight;
    const given = new AbortController();
    const timer = { run: undefined as ReturnType<typeof setTimeout> | undefined };
    const watch = () => {
      timer.run = setTimeout(() => given.abort(new Away("no answer")), jobServerTimeoutMs);
    };
    const options: SubmitOptions = {
      unique: uniqueOf(this.#cached, question.key, question.version),
      signal: AbortSignal.any([given.signal, flight.signal]),
      ...(this.#drover ? { keep: flight.kept, lingerMs } : {}),
    };
    const job = client!.submit(this.#cached.name, encodeQuestion(question), options);
    watch();
    try {
      for await (const event of job) {
        if (event.type === "created") {
          clearTimeout(timer.run);
          this.#awayUntilMs = 0;
        } else if (event.type === "restarted") {
          flight.tell({ type: "restarted" });
          if (event.reason === "connection lost") watch();
        } else if (event.type === "data") flight.tell(toldBy(event.data));
        else if (event.type === "status") flight.tell(event);
      }
      return this.#envelope(await job.result());
    } catch (error) {
      const { code } = error as { code?: ClientErrorCode };
      if (error instanceof JobException) throw failure(textOf(error.exception), error);
      if (error instanceof JobFailed) {
        // What took too long, or was lost too often, has told nobody.
        const key = backendKeyOf(this.#cached, question.key);
        await this.#computations.fail(key, error.message, question.version);
        throw failure(error.message, error);
      }
      if (code === "NEEDS_DROVER" && this.#drover) {
        this.#drover = false;
        return this.#asJob(flight);
      }
      if (flight.signal.aborted || !(error instanceof Away || AWAY.includes(code!))) throw error;
      this.#beAway();
      throw new Away("the job server is away", { cause: error });
    } finally {
      clearTimeout(timer.run);
    }
  }

  #envelope(result: Uint8Array): Envelope {
    const envelope = decodeEnvelope(result);
    if (envelope?.value === undefined)
      throw failure(`a worker of ${this.#cached.name} gave no cached value: does it use handleCached?`);
    return envelope;
  }

  /** Whoever the backend elects computes, and the others look whether it has; without a backend everybody is elected. */
  async #elected(
    flight: Flight,
    compute: Compute<InParsed, Out>,
    electMs: number,
  ): Promise<{ envelope: Envelope; level: Level }> {
    const { backend, backendTimeoutMs, now, random } = this.#terms;
    const { question, signal } = flight;
    const key = backendKeyOf(this.#cached, question.key);
    const giveUpAtMs = now() + 2 * electMs;
    for (let pollMs = FIRST_POLL_MS; now() < giveUpAtMs; pollMs = Math.min(MAX_POLL_MS, pollMs * 1.5)) {
      const [entry] = await within(backendTimeoutMs, backend.get([key], { electMs })).catch(() => []);
      if (entry === undefined || entry instanceof Error) break;
      const held = entry.value && decodeEnvelope(entry.value);
      if (entry.elected) return { envelope: await this.#own(flight, compute), level: "election" };
      const failed = failureOf(held, now());
      if (failed !== undefined) throw failure(failed);
      if (held !== undefined && held.asOfMs > question.seenMs && held.version >= question.version)
        if (freshnessOf(held, now(), 0, 0) === "fresh") return { envelope: held, level: "election" };
      await after(jittered(pollMs, random()), undefined, { signal });
    }
    return { envelope: await this.#own(flight, compute), level: "process" };
  }

  /** Computes here, when there is a place. */
  async #own(flight: Flight, compute: Compute<InParsed, Out>): Promise<Envelope> {
    if (this.#running >= this.#terms.maxOwnComputations)
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#running++;
    const { question, signal } = flight;
    try {
      signal.throwIfAborted();
      const bytes = await this.#computations.answer(question, compute, {
        key: question.key,
        signal,
        status: (numerator, denominator) => flight.tell({ type: "status", numerator, denominator }),
        data: async (chunk) => flight.tell(toldBy(Buffer.from(chunk as string))),
      });
      return this.#envelope(bytes);
    } catch (error) {
      if (signal.aborted) throw error;
      throw error instanceof CacheError ? error : failure((error as Error).message ?? String(error), error);
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

/** A part of the result, or the stale value before it. */
function toldBy(data: Uint8Array): Told {
  const envelope = decodeEnvelope(data);
  return envelope?.value === undefined ? { type: "data", data } : { type: "held", envelope };
}

function failure(text: string, cause?: unknown): ComputationFailed {
  return new ComputationFailed(text, { cause });
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, 1_000));
}
