import {
  type Asker,
  type JobOutcome,
  type JobStatus,
  type Priority,
  textOfByteString,
} from "@drover/protocol";
import type { Connection } from "@drover/transport";
import { loadRouting, loadTracing } from "#platform";
import { BackgroundSubmission } from "./background.ts";
import type { Backoff } from "./backoff.ts";
import { type BytesLike, toBytes, toName } from "./bytes.ts";
import { Call, type CallHost } from "./call.ts";
import type { Notice, ServerConnection } from "./connection.ts";
import { ClientClosed, InvalidArgument, NeedsDrover, ServerLost, ServerRefused } from "./errors.ts";
import { type DefinedFunction, onceKnown } from "./function.ts";
import { Following, Job } from "./job.ts";
import { type Placed, Places } from "./places.ts";
import { type Pool, ServerPool, type Waiter } from "./pool.ts";
import type { RoutingMode } from "./routing/rank.ts";
import { handleFor, keyOf, type Submission, uniqueFor } from "./submission.ts";
import { connectionTerms, type Servers } from "./terms.ts";
import type { SubmissionSpan, TracedSubmission, Tracing } from "./tracing.ts";

export interface ClientOptions {
  /**
   * Where the job servers are: `host:port`, `host`, `[v6]:port`, `unix:/path`, `tls://…`, `wss://…`; in a browser
   * `wss://…` for a WebSocket and `https://…` for requests. With several, `routing` says which has what. A function is asked
   * for the list, again and again: one of your own, `serversFromDns` or `serversFromSrv`. Default: `localhost:4730`; in a
   * browser a WebSocket to where the page comes from.
   */
  readonly servers?: Servers;
  /**
   * What goes to which of several servers. A call with a unique goes to the unique's owner, or while that is away to the
   * next in its ranking; one without to the server with the least of this client's calls. `failover`: all to one server,
   * the first in the list that answers, and when it is lost the next. Default: `rendezvous`.
   */
  readonly routing?: RoutingMode | "failover";
  /** How often a list is read that is read from somewhere; after a failure it is at once. Default: 30,000. */
  readonly refreshMs?: number;
  /** For how long a server that was lost has to answer before calls return to it, while there is another. Default: 5,000. */
  readonly holdMs?: number;
  /**
   * For how long after a server came back, or joined the list, the one that had its uniques before is asked whether it has
   * the job still: as long as jobs take. Default: 600,000.
   */
  readonly handoverMs?: number;
  /** Makes connections. Default: what the addresses say. */
  readonly dial?: (server: string, signal: AbortSignal) => Promise<Connection>;
  /** Shown to every server before anything else; one that does not take it is not used. Default: none. */
  readonly token?: string | undefined;
  /** Asks servers for exceptions; else an exception is a plain failure. Default: true. */
  readonly exceptions?: boolean;
  /** How long a server may take to answer when connecting. Default: 5,000. */
  readonly connectTimeoutMs?: number;
  /** How long a call waits while no server answers, before it fails with `NO_SERVER`. Default: 30,000. */
  readonly unreachableMs?: number;
  /** After how long a silence the server is asked for an echo; it is given up after two. 0: never. Default: 15,000. */
  readonly heartbeatMs?: number;
  /** How long to wait between tries to connect. */
  readonly backoff?: Backoff;
  /** Chance, for the back-off: numbers from 0 up to 1. Default: `Math.random`. */
  readonly random?: () => number;
  /** Foreground jobs under way at a time, and questions and background submissions not yet answered. Default: 4,096. */
  readonly maxInFlight?: number;
  /** Calls that may wait for a place among those; further ones fail with `TOO_MANY_CALLS`. Default: 1,000,000. */
  readonly maxWaiting?: number;
  /** Bytes of events kept for each job: for loops that are slow or begin late. Default: 4,194,304. */
  readonly maxBufferedBytes?: number;
  /** Largest packet body accepted. Default: 1,073,741,824. */
  readonly maxPacketBytes?: number;
  /** How often one call is submitted again after its connection was lost. Default: 10. */
  readonly maxRejoins?: number;
  /**
   * The module `@opentelemetry/api`: each submission becomes a span, which goes on in the worker where that traces too, and
   * which links to the run that it shares with others. Default: none, and nothing is imported.
   */
  readonly tracing?: Tracing | undefined;
  /** Told what happens to connections. Must not throw. */
  readonly onNotice?: (notice: Notice) => void;
}

export interface JobOptions {
  /** Submissions with equal function and unique join one job. Default: none, which never joins. `-`: by workload. */
  readonly unique?: BytesLike | undefined;
  /** Default: normal. */
  readonly priority?: Priority | undefined;
  /**
   * Whether to submit again, after a `restarted` event, when the connection is lost before the end. Default: true with
   * a unique, where it joins what runs already; false without one, where the work might be done twice.
   */
  readonly rejoin?: boolean | undefined;
  /** Makes it a reduce job. */
  readonly reducer?: BytesLike | undefined;
  /**
   * W3C trace context for the worker. Drover only; other servers are not told. Default: with `tracing`, that of a span made for
   * the submission; else none.
   */
  readonly traceparent?: string | undefined;
  /** What vendors add to that, where it is given (W3C); left out by the server when it is malformed or above 512 characters. */
  readonly tracestate?: string | undefined;
}

export interface SubmitOptions extends JobOptions {
  /** Gives this submission up: its promises reject with the signal's reason. The job goes on if others wait for it. */
  readonly signal?: AbortSignal | undefined;
  /** Gives this submission up with `JOB_TIMEOUT` after so long. Default: never. */
  readonly deadlineMs?: number | undefined;
  /** Lets the job go on when nobody waits for it any more. Drover only. */
  readonly keep?: boolean | undefined;
  /** For how long the result answers further submissions of the unique. Drover only. */
  readonly lingerMs?: number | undefined;
}

export interface BackgroundOptions extends JobOptions {
  /** When to run it, at the earliest; a number is Unix time in milliseconds. gearmand knows whole seconds only. */
  readonly at?: Date | number | undefined;
  /** If the unique runs already, runs it once more afterwards, instead of joining. Drover only. */
  readonly rerunIfActive?: boolean | undefined;
}

/** State of a job that is queued or runs. All false and 0 for one that is not known (any more). */
export interface Status {
  readonly known: boolean;
  readonly running: boolean;
  readonly numerator: number;
  readonly denominator: number;
  /** Clients that wait for it; only for `statusOfUnique`. */
  readonly waiting?: number;
}

/** One of several submissions. */
export interface BatchEntry<Options> {
  readonly function: string;
  readonly workload: BytesLike;
  readonly options?: Options;
}

/**
 * Submits jobs to Gearman servers and follows them. Connects when first needed, reconnects by itself, and works with
 * Drover and with any other Gearman server.
 *
 * @example
 * await using client = new Client({ servers: "localhost:4730" });
 * const result = await client.submit("reverse", "hello").result();
 */
export class Client implements AsyncDisposable {
  /** Being loaded while it is a promise. */
  #pool: Pool | Promise<Pool>;
  readonly #host: CallHost;
  readonly #tracing: Tracing | undefined;
  readonly #answerPlaces: Places;
  /** Foreground calls by function and unique, which equal submissions join. */
  readonly #calls = new Map<string, Call>();
  /** All foreground calls under way. */
  readonly #open = new Set<Call>();
  /** Questions and background submissions under way, and their places. */
  readonly #pending = new Map<Waiter, Placed>();
  #closed = false;

  /** @throws TransportError `ADDRESS_INVALID` */
  constructor(options: ClientOptions = {}) {
    const terms = connectionTerms(options);
    const count = terms.source === undefined ? terms.servers.length : Number.POSITIVE_INFINITY;
    if (count === 0) throw new InvalidArgument("servers is empty");
    this.#tracing = options.tracing;
    const { exceptions = true, unreachableMs = 30_000 } = options;
    const poolOptions = { ...terms, exceptions, unreachableMs };
    this.#pool = onceKnown(count > 1 ? loadRouting() : undefined, (routing) => {
      this.#pool = new (routing?.RoutedPool ?? ServerPool)(poolOptions);
      return this.#pool;
    });
    const { maxInFlight = 4_096, maxWaiting = 1_000_000 } = options;
    this.#answerPlaces = new Places(maxInFlight, maxWaiting);
    this.#host = {
      foregroundPlaces: new Places(maxInFlight, maxWaiting),
      maxBufferedBytes: options.maxBufferedBytes ?? 4_194_304,
      maxRejoins: options.maxRejoins ?? 10,
      connect: (waiter) =>
        void onceKnown(this.#pool, (pool) => {
          if (!this.#closed) pool.connect(waiter);
        }),
      disconnect: (waiter) => void onceKnown(this.#pool, (pool) => pool.release(waiter)),
      ended: (call) => {
        this.#open.delete(call);
        if (this.#calls.get(call.key) === call) this.#calls.delete(call.key);
      },
    };
  }

  /**
   * Submits a foreground job. Equal function and unique within this client are one submission on the wire, and each
   * caller is told everything.
   * @throws InvalidArgument when a name holds a NUL. All else is told by the job.
   */
  submit(functionName: string, workload: BytesLike, options?: SubmitOptions): Job<Uint8Array>;
  submit<In, InParsed, Out, OutParsed>(
    definition: DefinedFunction<In, InParsed, Out, OutParsed>,
    input: In,
    options?: SubmitOptions,
  ): Job<OutParsed>;
  submit(
    target: string | DefinedFunction<unknown, unknown, unknown, unknown>,
    input: unknown,
    options: SubmitOptions = {},
  ): Job<unknown> {
    const { signal, deadlineMs, keep, lingerMs } = options;
    const shape = shapeOf(target, options);
    const decode = typeof target === "string" ? unchanged : target.decodeOutput;
    const following = new Following<unknown>({ function: shape.function, signal, deadlineMs, decode });
    this.#withSpan({ ...shape, background: false }, (span) => {
      following.trace(span);
      withEncoded(
        target,
        input,
        (workload) => this.#begin(following, { ...shape, ...span?.trace, keep, lingerMs, workload }, options),
        (error) => following.giveUp(error),
      );
    });
    return new Job(following);
  }

  /** Submits several foreground jobs, which leave in one go. */
  submitAll(entries: readonly BatchEntry<SubmitOptions>[]): Job<Uint8Array>[] {
    return entries.map((entry) => this.submit(entry.function, entry.workload, entry.options));
  }

  /**
   * Submits a background job: it runs whether or not this client stays.
   * @returns The handle, when the server has acknowledged it: Drover has then stored it, if it has a durable store.
   * @throws QueueFull, ServerRefused, NoServer, JobLost (without a unique, when the connection was lost before the
   * acknowledgement: it may run or not), NeedsDrover, TooManyCalls
   */
  background(functionName: string, workload: BytesLike, options?: BackgroundOptions): Promise<string>;
  background<In, InParsed, Out, OutParsed>(
    definition: DefinedFunction<In, InParsed, Out, OutParsed>,
    input: In,
    options?: BackgroundOptions,
  ): Promise<string>;
  background(
    target: string | DefinedFunction<unknown, unknown, unknown, unknown>,
    input: unknown,
    options: BackgroundOptions = {},
  ): Promise<string> {
    return new Promise((resolve, fail) => {
      const atMs = options.at === undefined ? undefined : Number(options.at);
      if (Number.isNaN(atMs)) throw new InvalidArgument("at is no time");
      const shape = { ...shapeOf(target, options), background: true };
      this.#withSpan(shape, (span) => {
        const reject = (error: Error) => {
          span?.ended(error);
          fail(error);
        };
        const extras = { ...span?.trace, atMs, rerunIfActive: options.rerunIfActive };
        withEncoded(
          target,
          input,
          (workload) => {
            if (this.#closed) throw new ClientClosed();
            const submission: Submission = { ...shape, ...extras, workload };
            const rejoins = rejoinOf(submission, options) ? this.#host.maxRejoins : 0;
            const pending = new BackgroundSubmission(submission, rejoins, {
              traced: (trace) => span?.traced(trace),
              connect: () => this.#host.connect(pending),
              resolve: (handle) => {
                this.#leave(pending);
                span?.created(handle);
                span?.ended(undefined);
                resolve(handle);
              },
              reject: (error) => {
                this.#leave(pending);
                reject(error);
              },
            });
            this.#enter(pending);
          },
          reject,
        );
      });
    });
  }

  /** Submits several background jobs, which leave in one go. Rejects with the first failure. */
  backgroundAll(entries: readonly BatchEntry<BackgroundOptions>[]): Promise<string[]> {
    return Promise.all(
      entries.map((entry) => this.background(entry.function, entry.workload, entry.options)),
    );
  }

  /**
   * State of a job by its handle; with several servers, on the first that knows it.
   * @throws ServerLost, NoServer, InvalidArgument
   */
  status(handle: string): Promise<Status> {
    return this.#ask<JobStatus>("GET_STATUS", (connection, asker) =>
      connection.session.getStatus(handleFor(handle, connection), asker),
    ).then(statusOf);
  }

  /** State of the job with a unique, whichever its function. @throws as `status` */
  statusOfUnique(unique: BytesLike): Promise<Status> {
    const name = toName(unique, "unique");
    return this.#ask<JobStatus>("GET_STATUS_UNIQUE", (connection, asker) =>
      connection.session.getStatusOfUnique(uniqueFor(name, connection), asker),
    ).then(statusOf);
  }

  /**
   * What became of a job, for some time after its end too. Drover only.
   * @throws NeedsDrover, and as `status`
   */
  outcome(functionName: string, unique: BytesLike): Promise<JobOutcome> {
    return this.#outcome(toName(functionName, "function name"), toName(unique, "unique"));
  }

  /** As `outcome`, by handle. */
  outcomeOfHandle(handle: string): Promise<JobOutcome> {
    return this.#outcome(handle, "");
  }

  /** Asks the server for these bytes back: shows that it answers. @throws ServerLost, NoServer */
  echo(payload: BytesLike = "drover"): Promise<Uint8Array> {
    const bytes = toBytes(payload);
    return this.#ask("ECHO_REQ", (connection, asker) => connection.session.echo(bytes, asker));
  }

  /** Closes the connection, after what was submitted has left. Whatever waits fails with `CLIENT_CLOSED`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const error = new ClientClosed();
    for (const call of [...this.#open]) call.fail(error);
    for (const pending of [...this.#pending.keys()]) pending.fail(error);
    void onceKnown(this.#pool, (pool) => pool.close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Goes on with the span of a submission that is traced: in this turn, unless it takes loading first. */
  #withSpan(
    about: TracedSubmission & { readonly traceparent: string | undefined },
    next: (span: SubmissionSpan | undefined) => void,
  ): void {
    const tracing = this.#tracing;
    if (tracing === undefined || about.traceparent !== undefined) {
      next(undefined);
      return;
    }
    const parent = tracing.context.active();
    void onceKnown(loadTracing(), (spans) => next(spans && new spans.SubmissionSpan(tracing, about, parent)));
  }

  #begin(following: Following<unknown>, submission: Submission, options: SubmitOptions): void {
    if (following.over) return;
    if (this.#closed) throw new ClientClosed();
    const key = keyOf(submission);
    const joined = key === "" ? undefined : this.#calls.get(key);
    // One whose beginning is no longer here could not tell it all: then the server has to.
    if (joined !== undefined && !joined.feed.outgrown) {
      following.span?.coalesced();
      following.begin(joined);
      return;
    }
    const call = new Call(this.#host, submission, key, rejoinOf(submission, options));
    if (key !== "") this.#calls.set(key, call);
    this.#open.add(call);
    following.begin(call);
    call.start();
  }

  async #outcome(functionOrHandle: string, unique: string): Promise<JobOutcome> {
    const outcome = await this.#ask<JobOutcome>("GET_OUTCOME", (connection, asker) => {
      if (!connection.drover) throw new NeedsDrover("outcome", connection.server);
      connection.session.getOutcome(functionOrHandle, unique, asker);
    });
    return {
      ...outcome,
      function: textOfByteString(outcome.function),
      unique: textOfByteString(outcome.unique),
    };
  }

  /** Sends a question when there is a connection and a place, and settles once. */
  #ask<T>(request: string, send: (connection: ServerConnection, asker: Asker<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new ClientClosed();
      const fail = (error: Error) => {
        this.#leave(waiter);
        reject(error);
      };
      const waiter: Waiter = {
        fail,
        ready: (connection) => {
          try {
            send(connection, {
              answer: (value) => {
                if ((this.#pool as Pool).asksAnother?.(waiter, value)) return;
                this.#leave(waiter);
                resolve(value);
              },
              refused: ({ code, text }) => fail(new ServerRefused(request, code, text)),
              lost: () => fail(new ServerLost(connection.server)),
            });
          } catch (error) {
            fail(error as Error);
          }
        },
      };
      this.#enter(waiter);
    });
  }

  /** Connects once there is a place among what waits for an answer. @throws TooManyCalls */
  #enter(pending: Waiter): void {
    const place = { hasPlace: false, placed: () => this.#host.connect(pending) };
    this.#pending.set(pending, place);
    try {
      this.#answerPlaces.take(place);
    } catch (error) {
      this.#pending.delete(pending);
      throw error;
    }
  }

  /** It was answered, or given up. */
  #leave(pending: Waiter): void {
    const place = this.#pending.get(pending);
    if (place === undefined) return;
    this.#pending.delete(pending);
    this.#host.disconnect(pending);
    this.#answerPlaces.leave(place);
  }
}

function shapeOf(
  target: string | DefinedFunction<unknown, unknown, unknown, unknown>,
  { unique, priority, reducer, traceparent, tracestate }: JobOptions,
) {
  return {
    function: toName(typeof target === "string" ? target : target.name, "function name"),
    unique: unique === undefined ? "" : toName(unique, "unique"),
    priority,
    reducer: reducer === undefined ? undefined : toName(reducer, "reducer"),
    traceparent,
    tracestate,
  };
}

function unchanged(result: Uint8Array): Uint8Array {
  return result;
}

function rejoinOf({ unique }: Submission, { rejoin }: JobOptions): boolean {
  return rejoin ?? unique !== "";
}

function statusOf({ numerator, denominator, ...rest }: JobStatus): Status {
  return { ...rest, numerator: count(numerator), denominator: count(denominator) };
}

function count(text: string): number {
  return Number(text) || 0;
}

/** Goes on with the workload, in this turn unless a schema takes longer. */
function withEncoded(
  target: string | DefinedFunction<unknown, unknown, unknown, unknown>,
  input: unknown,
  next: (workload: Uint8Array) => void,
  fail: (error: Error) => void,
): void {
  try {
    const encoded = typeof target === "string" ? toBytes(input as BytesLike) : target.encodeInput(input);
    if (encoded instanceof Promise) encoded.then(next).catch(fail);
    else next(encoded);
  } catch (error) {
    fail(error as Error);
  }
}
