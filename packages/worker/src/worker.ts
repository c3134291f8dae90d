import {
  type Backoff,
  type BytesLike,
  connectionTerms,
  type DefinedFunction,
  loadRouting,
  type Notice,
  onceKnown,
  type RoutedServer,
  type Servers,
  type Tracing,
  toBytes,
  toName,
} from "@drover/client";
import { type AssignedJob, byteStringOfText, type Grab } from "@drover/protocol";
import type { Connection } from "@drover/transport";
import { type EndPool, onSignals, threadHandler } from "#platform";
import type { FunctionHandler, Handler, HandlerResult, WorkerJob } from "./job.ts";
import { Link, type LinkOptions } from "./link.ts";
import { type Reports, Run } from "./run.ts";
import { SharedSlots } from "./slots.ts";
import type { Threads } from "./threads.ts";

export interface WorkerOptions {
  /** All of them are worked for; written as the client's, and with its default. */
  readonly servers?: Servers;
  /** How often a list is read that is read from somewhere; after a failure it is at once. Default: 30,000. */
  readonly refreshMs?: number;
  /** Jobs at a time, over all servers. The worker takes no job that it cannot begin at once. Default: 1. */
  readonly concurrency?: number;
  /** Name under which administrators see this worker. Sent again after each reconnect. Default: none. */
  readonly clientId?: string;
  /** Shown to every server before anything else; one that does not take it is not worked for. Default: none. */
  readonly token?: string | undefined;
  /** Makes connections. Default: what the addresses say. */
  readonly dial?: (server: string, signal: AbortSignal) => Promise<Connection>;
  /**
   * How much servers are asked to tell about a job: `plain` leaves out the unique, `all` adds the reducer. Default:
   * `all` with Drover, else `unique`, which every server understands that is younger than 2009.
   */
  readonly grab?: Grab;
  /** How long a server may take to answer when connecting. Default: 5,000. */
  readonly connectTimeoutMs?: number;
  /** After how long a silence a server is asked for an echo; it is given up after two. 0: never. Default: 15,000. */
  readonly heartbeatMs?: number;
  /** Largest packet body accepted. Default: 1,073,741,824. */
  readonly maxPacketBytes?: number;
  /** How long to wait between tries to connect. */
  readonly backoff?: Backoff;
  /** Chance, for the back-off: numbers from 0 up to 1. Default: `Math.random`. */
  readonly random?: () => number;
  /** What clients are told of an error that a handler threw. Default: its message, without the stack. */
  readonly exceptionText?: (error: unknown) => string;
  /**
   * Drains at these signals; at the second one the process ends as it would without. There are none in a browser.
   * Default: none.
   */
  readonly drainOnSignals?: boolean | readonly NodeJS.Signals[];
  /**
   * The module `@opentelemetry/api`: each run becomes a span, in which its handler is active, under the submission that made
   * the job and with links to those that joined it. Default: none, and nothing is imported.
   */
  readonly tracing?: Tracing | undefined;
  /** Told what happens to connections. Must not throw. */
  readonly onNotice?: (notice: Notice) => void;
}

export interface HandleOptions {
  /**
   * How long a job may take. Then its signal aborts, and the server takes it away: Drover fails it or gives it to
   * another worker, gearmand gives it to another. Told to servers in whole milliseconds, as the protocol has it, and
   * as 1,000 at least, since some take small numbers for seconds. Default: for ever.
   */
  readonly timeoutMs?: number;
}

/**
 * Does jobs for Gearman servers: connects to all of them, takes as many jobs as it has slots, and registers again after
 * each reconnect.
 *
 * @example
 * const worker = new Worker({ servers: "localhost:4730", concurrency: 16, drainOnSignals: true });
 * worker.handle("reverse", (job) => Buffer.from(job.workload).reverse());
 * await worker.run();
 */
export class Worker implements AsyncDisposable {
  /** Resolves when the worker was drained or closed and no handler runs any more. */
  readonly stopped: Promise<void>;
  readonly #signals: boolean | readonly NodeJS.Signals[];
  readonly #linkOptions: LinkOptions;
  readonly #exceptionText: (error: unknown) => string;
  readonly #tracing: Tracing | undefined;
  readonly #functions = new Map<string, FunctionHandler>();
  /** Functions no longer done, whose handlers stay for jobs that were under way. */
  readonly #withdrawn = new Set<string>();
  readonly #pools: EndPool[] = [];
  readonly #runs = new Map<AssignedJob, { readonly run: Run; readonly reports: Reports }>();
  readonly #firstRegistered = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<void>();
  #ignoreSignals: (() => void) | undefined;
  readonly #links: Link[] = [];
  #stopping = false;

  /** @throws TransportError `ADDRESS_INVALID` */
  constructor(options: WorkerOptions = {}) {
    const { concurrency = 1 } = options;
    const terms = connectionTerms(options, concurrency);
    if (!Number.isInteger(concurrency) || concurrency < 1)
      throw new RangeError("concurrency is not 1 or more");
    this.#signals = options.drainOnSignals ?? false;
    this.#exceptionText = options.exceptionText ?? messageOf;
    this.#tracing = options.tracing;
    this.stopped = this.#stopped.promise;
    this.#linkOptions = {
      ...terms,
      slots: new SharedSlots(concurrency),
      clientId: options.clientId === undefined ? undefined : byteStringOfText(options.clientId),
      grab: options.grab,
      abilities: () =>
        [...this.#functions.values()]
          .filter(({ name }) => !this.#withdrawn.has(name))
          .map(({ name, timeoutMs }) => [name, toldTimeout(timeoutMs)] as const),
    };
  }

  /** Jobs that run now. */
  get running(): number {
    return this.#runs.size;
  }

  /**
   * Registers a function, before or after `run`.
   * @param handler Does a job, or says which module's threads do.
   */
  handle(functionName: string, handler: Handler | Threads, options?: HandleOptions): this;
  handle<In, InParsed, Out, OutParsed>(
    definition: DefinedFunction<In, InParsed, Out, OutParsed>,
    handler: Handler<InParsed, Out> | Threads,
    options?: HandleOptions,
  ): this;
  handle<In, InParsed, Out, OutParsed>(
    target: string | DefinedFunction<In, InParsed, Out, OutParsed>,
    handler: Handler<never, unknown> | Threads,
    { timeoutMs = 0 }: HandleOptions = {},
  ): this {
    const name = toName(typeof target === "string" ? target : target.name, "function name");
    if (this.#functions.has(name) && !this.#withdrawn.delete(name))
      throw new Error(`${JSON.stringify(name)} has a handler already`);
    const work = (
      typeof handler === "function" ? handler : threadHandler(handler.threads, this.#pools)
    ) as Handler<unknown, unknown>;
    const run = async (job: Omit<WorkerJob, "input">) => {
      if (typeof target === "string")
        return resultBytes((await work({ ...job, input: job.workload })) as HandlerResult);
      const input = await target.decodeInput(job.workload);
      return target.encodeOutput((await work({ ...job, input })) as Out);
    };
    this.#functions.set(name, { name, timeoutMs, run });
    for (const link of this.#links) link.session?.canDo(name, toldTimeout(timeoutMs));
    return this;
  }

  /**
   * Does no more jobs of a function. Those that run go on; on gearmand, which would give them to another worker while
   * they run, the function is withdrawn when none runs.
   */
  unhandle(functionName: BytesLike): void {
    const name = toName(functionName, "function name");
    if (!this.#functions.has(name)) return;
    this.#withdrawn.add(name);
    for (const link of this.#links) link.session?.cantDo(name);
  }

  /** Begins to work. Resolves when registered with the first server that answers; the others are tried for ever. */
  run(): Promise<void> {
    if (this.#ignoreSignals === undefined && !this.#stopping) {
      this.#ignoreSignals = onSignals(this.#signals, () => void this.drain());
      const { servers, source } = this.#linkOptions;
      for (const server of servers) this.#links.push(this.#link(server));
      if (source !== undefined) {
        void onceKnown(loadRouting(), (routing) =>
          routing?.keepLinks(this.#linkOptions, this.#links, this.#link, () => this.#stopping),
        );
      }
    }
    return this.#firstRegistered.promise;
  }

  /** Takes no more jobs and finishes those that run. Resolves when that is done and the connections are closed. */
  drain(): Promise<void> {
    for (const link of this.#links) link.drain();
    return this.#stop();
  }

  /** Aborts what runs and cuts the connections, so that servers give it to other workers. Resolves when handlers end. */
  close(): Promise<void> {
    this.#abortAll("WORKER_CLOSED", "the worker was closed");
    for (const link of this.#links) link.close();
    return this.#stop();
  }

  /** Drains. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }

  readonly #link = (server: RoutedServer, options = this.#linkOptions): Link =>
    new Link(server, options, {
      assigned: (job, reports) => this.#begin(job, reports),
      cancelled: (job) => this.#runs.get(job)?.run.abort("JOB_CANCELLED", "the job was cancelled"),
      gone: (reports) => this.#abortAll("SERVER_GONE", "the server was lost", reports),
      registered: () => this.#firstRegistered.resolve(),
    });

  #stop(): Promise<void> {
    if (this.#stopping) return this.stopped;
    this.#stopping = true;
    void this.#whenStopped().then(this.#stopped.resolve);
    return this.stopped;
  }

  async #whenStopped(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.stopped));
    await Promise.all([...this.#runs.values()].map(({ run }) => run.ended));
    await Promise.all(this.#pools.map((end) => end()));
    this.#ignoreSignals?.();
    this.#firstRegistered.resolve();
  }

  #begin(job: AssignedJob, reports: Reports): void {
    const handler = this.#functions.get(job.function);
    const run = new Run(job, handler, reports, this.#exceptionText, this.#tracing);
    this.#runs.set(job, { run, reports });
    void run.ended.then(() => this.#runs.delete(job));
  }

  #abortAll(code: "SERVER_GONE" | "WORKER_CLOSED", detail: string, of?: Reports): void {
    for (const { run, reports } of this.#runs.values()) {
      if (of === undefined || reports === of) run.abort(code, detail);
    }
  }
}

/** Shortest timeout told to servers: smaller numbers are raised to it by gearmand, and taken for seconds by others. */
const MIN_TOLD_TIMEOUT_MS = 1_000;

function toldTimeout(timeoutMs: number): number {
  return timeoutMs === 0 ? 0 : Math.max(MIN_TOLD_TIMEOUT_MS, Math.ceil(timeoutMs));
}

function resultBytes(result: HandlerResult): Uint8Array {
  return result === undefined ? new Uint8Array(0) : toBytes(result);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
