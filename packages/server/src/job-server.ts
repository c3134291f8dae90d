import { hash } from "node:crypto";
import { hostname } from "node:os";
import { getHeapStatistics } from "node:v8";
import {
  type Connection,
  type KeepAlive,
  type Listener,
  type ListeningSockets,
  listen,
  listenTls,
  type PeerAddress,
  type TlsFiles,
} from "@drover/transport";
import type { Identities } from "./auth/identities.ts";
import { type CommitCounts, Committer } from "./committer.ts";
import {
  type CoreOptions,
  DEFAULT_LIMITS,
  type Fired,
  type FunctionSettings,
  type Identity,
  JobServerCore,
  type Limits,
  type ServerState,
  STRANGER,
  type TimeoutUnit,
  type Withdrawn,
  withdraw,
} from "./core/index.ts";
import { canWait, DEFERRING_CONNECTIONS, FANNING_OUT } from "./deferring.ts";
import { IdleWaiters } from "./idle-waiters.ts";
import { Link } from "./link.ts";
import type { Phase, StoreState } from "./metrics/health.ts";
import { type Log, NoteLog } from "./note-log.ts";
import { type Schedule, Schedules, type ScheduleTimes } from "./schedules.ts";
import { type FunctionRule, settingsByRules } from "./settings.ts";
import type { Store } from "./stores/store.ts";
import { TrafficByTransport } from "./traffic.ts";

export interface JobServerOptions {
  /** Where to listen: `host:port`, `[v6]:port`, `unix:/path`. Default: `localhost:4730`. */
  readonly listen?: readonly string[];
  /** Where to listen with TLS. Default: nowhere. */
  readonly secure?: { readonly listen: readonly string[]; readonly files: TlsFiles };
  /** Listening sockets that are taken from the process before this one and left to the next. Default: own ones. */
  readonly sockets?: ListeningSockets;
  readonly log: Log;
  readonly limits?: Partial<Limits>;
  /** Connections at one time. Default: 100,000. */
  readonly maxConnections?: number;
  /** Connections at one time from one IP address; 0 = no limit. Default: 0. */
  readonly maxConnectionsPerAddress?: number;
  /** Connections that may wait to be accepted. Default: the transport's. */
  readonly backlog?: number;
  /** Default: off. */
  readonly keepAlive?: KeepAlive;
  /** Settings of functions; the first matching rule wins. */
  readonly functions?: readonly FunctionRule[];
  /** Settings of functions without a rule. */
  readonly functionDefaults?: Partial<FunctionSettings>;
  /** Replaces `H:` and the host's name in handles. At most 46 bytes. */
  readonly handlePrefix?: string;
  /** Send exceptions to every connection. Default: false. */
  readonly exceptionsForAll?: boolean;
  /** Fewest sleeping workers to wake for a submission. Default: 0, as many as there are jobs. */
  readonly wakeAtLeast?: number;
  /** Default: `auto`. */
  readonly timeoutUnit?: TimeoutUnit;
  readonly version: string;
  /**
   * For how long, in microseconds, the server looks for more instead of sleeping after something arrived: waking up
   * takes longer than most answers take to come. Default: 30; 0 = not at all.
   */
  readonly busyPollUs?: number;
  /** Answered to `verbose`. Default: `INFO`. */
  readonly logLevel?: string;
  /** Obey `shutdown`. Default: false. */
  readonly allowShutdown?: boolean;
  /** Where background jobs are kept. The server closes it when it stops. Default: nowhere but in memory. */
  readonly store?: Store;
  readonly schedules?: readonly Schedule[];
  /** Who may do what. Default: everybody everything. */
  readonly identities?: Identities;
  /** Beginnings of function names that `*` in a right does not stand for. Default: none. */
  readonly reserved?: readonly string[];
  /** Called with the server when it is about to start: before it has its jobs back, and before it listens. */
  readonly onStarting?: (server: JobServer) => void;
  /** Called when another server has taken over the stored jobs of this one, which gives no jobs to workers any more. */
  readonly onStoreLost?: () => void;
  /** Called when an administrator's `shutdown` is to be obeyed. */
  readonly onShutdownRequest?: (how: "now" | "graceful") => void;
}

/** Heap that one small job takes with everything that leads to it (bench/README.md), rounded up. */
const HEAP_BYTES_PER_JOB = 512;
const MAX_PREFIX_BYTES = 46;
/** How long the end of a server waits for its store. */
const STORE_GRACE_MS = 10_000;
/** About what it costs to sleep and be woken, so that looking in vain at most doubles that. */
export const DEFAULT_BUSY_POLL_US = 30;

/**
 * A running job server: the core with sockets, a timer and a clock around it. Everything that arrives within one
 * turn of the event loop is handled first and answered together, one write for each connection: that is what makes
 * it fast under load.
 */
export class JobServer {
  readonly core: JobServerCore;
  readonly traffic = new TrafficByTransport();
  /** On the wall clock. */
  readonly startedMs = Date.now();
  #phase: Phase = "starting";
  readonly #options: JobServerOptions;
  readonly #notes: NoteLog;
  readonly #listeners: Listener[] = [];
  readonly #perAddress = new Map<string, number>();
  readonly #links = new Set<Link>();
  #turnScheduled = false;
  /** What arrived in this turn, and whether it was one thing only in the turn before. */
  #arrivals = 0;
  /** The turn has been prolonged to gather more. */
  #gathered = false;
  #quiet = true;
  readonly #busyPollMs: number;
  #pollsUntilMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #committer: Committer | undefined;
  #schedules: Schedules | undefined;
  #stopping: Promise<void> | undefined;
  /** Looked at after each turn. */
  readonly #idleWaiters = new IdleWaiters();

  private constructor(options: JobServerOptions, firstHandle: number) {
    this.#options = options;
    this.#notes = new NoteLog(options.log);
    this.core = new JobServerCore(coreOptions(options, firstHandle));
    this.#busyPollMs = (options.busyPollUs ?? DEFAULT_BUSY_POLL_US) / 1000;
    this.#setClock();
  }

  /**
   * Starts a server, which takes back first what its store has.
   * @throws TransportError when an address cannot be had; nothing is left listening then.
   * @throws StoreError
   */
  static async start(options: JobServerOptions): Promise<JobServer> {
    const { store } = options;
    // Microseconds since 1970: later starts give later handles as long as no start makes a million jobs a second.
    const wanted = Date.now() * 1000;
    const server = new JobServer(
      options,
      store === undefined ? wanted : await Committer.firstHandle(store, wanted),
    );
    options.onStarting?.(server);
    if (store !== undefined) await server.#restore(store);
    try {
      await server.#listen();
    } catch (error) {
      await Promise.all(server.#listeners.map((listener) => listener.close()));
      server.#committer?.stop();
      throw error;
    }
    const { identities } = options;
    if (identities !== undefined) identities.onChange = (reason) => server.#reidentify(identities, reason);
    server.#startSchedules((await store?.fired()) ?? []);
    server.#phase = "running";
    return server;
  }

  async #listen(): Promise<void> {
    const { listen: plain, secure, backlog, keepAlive, log, sockets } = this.#options;
    const options = {
      ...(backlog === undefined ? {} : { backlog }),
      ...(keepAlive === undefined ? {} : { keepAlive }),
      ...(sockets === undefined ? {} : { sockets }),
      onError: (error: Error) => log.error({ code: "ACCEPT_FAILED", error }, "cannot accept connections"),
    };
    const accept = (address: string) => (connection: Connection) =>
      this.accept(connection, this.#identityOf(connection, address));
    for (const address of plain ?? (secure === undefined ? ["localhost:4730"] : [])) {
      this.#listeners.push(await listen(address, accept(address), options));
    }
    for (const address of secure?.listen ?? []) {
      this.#listeners.push(await listenTls(address, secure!.files, accept(address), options));
    }
  }

  async #restore(store: Store): Promise<void> {
    const { core } = this;
    this.#phase = "restoring";
    const first = core.state.handles.decimal(0);
    const { log, onStoreLost = () => {} } = this.#options;
    const beforeEnd = () => this.#beginTurn();
    this.#committer = await Committer.restore({ core, store, log, beforeEnd, onLost: onStoreLost }, first);
    this.#phase = "starting";
    this.#beginTurn();
  }

  #startSchedules(fired: readonly Fired[]): void {
    this.#schedules = new Schedules(fired, this.#options.log, (one, wanted) => {
      this.#beginTurn();
      return this.core.fire(one, wanted);
    });
    this.#schedules.set(this.#options.schedules ?? []);
  }

  /** Takes other schedules into use. */
  applySchedules(schedules: readonly Schedule[]): void {
    this.#schedules?.set(schedules);
  }

  /** Where it listens. */
  get addresses(): readonly PeerAddress[] {
    return this.#listeners.flatMap((listener) => listener.addresses);
  }

  /** The identity of a peer that has shown nothing but where it comes from; undefined without authentication. */
  #identityOf({ peer }: Connection, listener?: string): Identity | undefined {
    const { identities } = this.#options;
    if (identities === undefined) return undefined;
    const { address, transport } = peer;
    const certificateNames = peer.certificate?.names;
    const isUnix = transport === "unix";
    return identities.resolve({ listener, address, isUnix, certificateNames }) ?? STRANGER;
  }

  /** Tokens or rules have changed. */
  #reidentify(identities: Identities, reason: string): void {
    this.#beginTurn();
    this.core.reidentify((identity) => identities.renew(identity), reason);
  }

  /**
   * Takes over a connection, of any transport.
   * @param identity Who it is. Default: what its address says, or anyone where there is no authentication.
   * @param isFluent A request over HTTP: takes exceptions, drover.1 and reasons without asking for them.
   */
  accept(connection: Connection, identity = this.#identityOf(connection), isFluent = false): void {
    const { address, transport } = connection.peer;
    const shown = transport === "unix" || transport === "memory" ? transport : address;
    const refusal = this.#refusal(shown);
    if (refusal !== null) {
      this.#notes.countLimit(refusal);
      this.#options.log.warn(
        { code: "LIMIT_REACHED", limit: refusal, address: shown },
        "refused a connection",
      );
      connection.attach({ data() {}, drain() {}, close() {} });
      connection.destroy();
      return;
    }
    this.#perAddress.set(shown, (this.#perAddress.get(shown) ?? 0) + 1);
    this.#beginTurn();
    const link = new Link(this, connection, shown, identity);
    if (isFluent) {
      link.peer.wantsExceptions = link.peer.speaksDrover = link.peer.wantsReasons = true;
    }
    this.#links.add(link);
    connection.attach(link);
  }

  /** Bytes came. The four that follow are for the connections of `accept` alone. */
  received({ connection, peer, traffic }: Link, chunk: Uint8Array): void {
    this.#beginTurn();
    traffic.receivedBytes += chunk.length;
    this.core.receive(peer, chunk);
    if (peer.stalled) connection.pause();
    this.#arrivals++;
    // With little to do there is nothing to wait for: the answer leaves before the turn ends.
    const writesFew = this.core.state.dirty.length < DEFERRING_CONNECTIONS.least;
    if (this.#quiet && this.#arrivals === 1 && writesFew) this.#flush();
  }

  /** The connection got rid of what was unsent. */
  drained(link: Link): void {
    this.#beginTurn();
    this.#afterDrain(link);
  }

  /** The other end will not send any more, but what it asked for before is still to be answered. */
  ended(link: Link): void {
    this.#beginTurn();
    this.#flush();
    // The store has not said yet what the rest of the answers are.
    if (link.peer.held !== null) link.endsWhenAnswered = true;
    else this.#end(link);
  }

  #end({ connection, peer }: Link): void {
    this.core.disconnect(peer);
    connection.end();
  }

  /** The connection is over. */
  closed(link: Link): void {
    this.#beginTurn();
    this.core.disconnect(link.peer);
    this.#links.delete(link);
    link.traffic.open--;
    this.#release(link.address);
  }

  /** Lets somebody read or change the core's state at a time that is now; what follows of it is sent. */
  inTurn<T>(use: (state: ServerState) => T): T {
    this.#beginTurn();
    return use(this.core.state);
  }

  get schedules(): readonly ScheduleTimes[] {
    return this.#schedules?.list() ?? [];
  }

  /** Where background jobs are kept. */
  get storeName(): string {
    return this.#options.store?.name ?? "memory";
  }

  /** Takes a job back that does not run. @see withdraw of the core. */
  withdraw(number: number): Withdrawn {
    this.#beginTurn();
    return withdraw(this.core.state, number);
  }

  /** Who may do what; undefined where everybody may everything. */
  get identities(): Identities | undefined {
    return this.#options.identities;
  }

  get version(): string {
    return this.#options.version;
  }

  /** Whether it ends, and takes no new work. */
  get isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  get phase(): Phase {
    return this.isStopping ? "stopping" : this.#phase;
  }

  get storeState(): StoreState {
    if (this.#options.store === undefined) return "none";
    if (this.#committer?.isLost === true) return "lost";
    return this.#committer?.isDegraded === true ? "failing" : "ok";
  }

  /** Undefined without a store. */
  get commitCounts(): CommitCounts | undefined {
    return this.#committer?.counts;
  }

  /** What was noticed and refused since the start. */
  get noteCounts(): Pick<NoteLog, "counts" | "limitHits"> {
    return this.#notes;
  }

  /** Takes new function settings into use at once. */
  applySettings(rules: readonly FunctionRule[], defaults?: Partial<FunctionSettings>): void {
    this.#beginTurn();
    this.core.applySettings(settingsByRules(rules, defaults));
  }

  /** Stops accepting connections and resolves when no job is left; connections stay and may still submit. */
  async drain(): Promise<void> {
    this.#phase = "draining";
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    await this.#untilIdle(() => this.core.state.jobs.size === 0);
  }

  /**
   * Ends the server: no new connections, no job given to a worker, running jobs have `graceMs` to finish; then
   * everything is flushed and closed.
   */
  stop(graceMs: number): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  async #stop(graceMs: number): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    this.core.stopAssigning();
    const { state } = this.core;
    const isBusy = () => state.running > 0 || (state.fleet?.unacknowledged ?? 0) > 0;
    if (isBusy() && graceMs > 0) {
      this.#options.log.info({ running: state.running, graceMs }, "waiting for running jobs");
      await this.#untilIdle(() => !isBusy(), graceMs);
    }
    this.#flush();
    const left = state.jobs.size;
    if (left > 0) this.#options.log.warn({ jobs: left }, "stopping with jobs that did not finish");
    this.#schedules?.stop();
    await this.#untilStored();
    for (const { connection } of this.#links) connection.end("draining");
    await this.#untilIdle(() => this.#links.size === 0, 1000);
    for (const { connection } of this.#links) connection.destroy();
    await this.#untilStored();
    this.#committer?.stop();
    await this.#options.store?.close();
    this.#pollsUntilMs = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Waits for what the store does not know yet; for a store that fails only once. */
  async #untilStored(): Promise<void> {
    const committer = this.#committer;
    if (committer === undefined) return;
    await this.#untilIdle(() => committer.isIdle || committer.isDegraded, STORE_GRACE_MS);
    if (!committer.isIdle)
      this.#options.log.warn({ code: "STORE_BEHIND" }, "stopping with changes that are not stored");
  }

  #refusal(address: string): string | null {
    const { maxConnections = 100_000, maxConnectionsPerAddress = 0 } = this.#options;
    if (this.#links.size >= maxConnections) return "maxConnections";
    if (maxConnectionsPerAddress > 0 && (this.#perAddress.get(address) ?? 0) >= maxConnectionsPerAddress) {
      return "maxConnectionsPerAddress";
    }
    return null;
  }

  #release(address: string): void {
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, left);
  }

  #setClock(): void {
    this.core.setClock(performance.now(), Date.now());
  }

  /** To be called before anything is told to the core. */
  #beginTurn(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    this.#setClock();
    setImmediate(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    this.#turnScheduled = false;
    const arrivals = this.#arrivals;
    this.#arrivals = 0;
    this.#quiet = arrivals <= 1;
    if (this.#gathers(arrivals)) {
      this.#beginTurn();
      return;
    }
    // With nothing new there is nothing to wait for either.
    this.#flush(arrivals > 0);
    this.#committer?.look();
    this.#setTimer();
    if (arrivals > 0 && this.#busyPollMs > 0) this.#pollBusily();
    this.#idleWaiters.look();
    const { state } = this.core;
    if (state.shutdownRequested !== null) {
      const how = state.shutdownRequested;
      state.shutdownRequested = null;
      this.#options.onShutdownRequest?.(how);
    }
  };

  /**
   * Whether the loop goes round once more before the turn ends: much is to be written because of little that came, and more
   * of that may be here by now, so that each gets one write instead of two (`herd` + 30 %, bench/README.md).
   */
  #gathers(arrivals: number): boolean {
    const connections = this.core.state.dirty.length;
    const fansOut =
      arrivals > 0 && connections > DEFERRING_CONNECTIONS.most && connections > FANNING_OUT * arrivals;
    this.#gathered = fansOut && !this.#gathered;
    return this.#gathered;
  }

  /** Keeps the event loop from sleeping for a while. */
  #pollBusily(): void {
    const polls = this.#pollsUntilMs > 0;
    this.#pollsUntilMs = performance.now() + this.#busyPollMs;
    if (!polls) setImmediate(this.#poll);
  }

  readonly #poll = (): void => {
    if (performance.now() < this.#pollsUntilMs) setImmediate(this.#poll);
    else this.#pollsUntilMs = 0;
  };

  /**
   * Sends what the connections are to get, and closes those that are to be closed.
   * @param busy More is coming, so those that can wait do.
   */
  #flush(busy = false): void {
    const { core } = this;
    const { nowMs } = core.state;
    const dirty = core.takeDirty();
    const { least, most } = DEFERRING_CONNECTIONS;
    const defers = busy && dirty.length >= least && dirty.length <= most;
    for (let i = 0; i < dirty.length; i++) {
      const peer = dirty[i]!;
      const link = peer.owner as Link;
      if (defers && canWait(peer, link.deferredSinceMs, nowMs)) {
        if (link.deferredSinceMs === 0) link.deferredSinceMs = nowMs;
        core.state.dirty.push(peer);
        continue;
      }
      link.deferredSinceMs = 0;
      peer.dirty = false;
      const { connection } = link;
      if (peer.gone && peer.out.bytes === 0) continue;
      if (peer.out.bytes > 0) {
        link.traffic.sentBytes += peer.out.bytes;
        const sent = connection.send(peer.out.take());
        if (sent) {
          peer.out.recycle();
          peer.unsentBytes = 0;
        } else {
          peer.out.abandon();
          peer.unsentBytes = connection.unsentBytes;
        }
        if (sent && (peer.stalled || peer.owing !== null)) this.#afterDrain(link);
      }
      if (link.endsWhenAnswered && peer.held === null && !peer.gone) this.#end(link);
      if (peer.closing !== null && !peer.gone) {
        core.disconnect(peer);
        if (peer.abrupt) connection.destroy();
        else connection.end(peer.endKind);
      }
    }
    const notes = core.takeNotes();
    if (notes.length > 0) this.#notes.write(notes, core.state.nowMs);
    // Some wait for the next turn, and dropping a connection may have given others something to send.
    if (core.state.dirty.length > 0) this.#beginTurn();
  }

  #afterDrain(link: Link): void {
    const { peer, connection } = link;
    peer.unsentBytes = connection.unsentBytes;
    const wasStalled = peer.stalled;
    this.core.drained(peer);
    if (wasStalled && !peer.stalled) connection.resume();
  }

  #setTimer(): void {
    const nextMs = this.core.nextTickMs;
    if (nextMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#timerAtMs = nextMs;
    // A timer of Node may fire up to a millisecond early, and takes no more than 2^31 ms.
    const delayMs = Math.min(Math.max(1, Math.ceil(nextMs - this.core.state.nowMs)), 0x7fffffff);
    this.#timer = setTimeout(this.#onTimer, delayMs);
    if (this.#listeners.length === 0) this.#timer.unref();
  }

  readonly #onTimer = (): void => {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    this.#beginTurn();
    this.#setClock();
    this.core.tick();
  };

  #untilIdle(isIdle: () => boolean, limitMs?: number): Promise<void> {
    this.#beginTurn();
    return this.#idleWaiters.until(isIdle, limitMs);
  }
}

function coreOptions(options: JobServerOptions, firstHandle: number): CoreOptions {
  const heapJobs = Math.floor((getHeapStatistics().total_available_size * 0.6) / HEAP_BYTES_PER_JOB);
  const maxJobs = Math.min(DEFAULT_LIMITS.maxJobs, heapJobs);
  const { identities } = options;
  return {
    limits: { ...DEFAULT_LIMITS, maxJobs, maxSubmissions: maxJobs, ...options.limits },
    handlePrefix: handlePrefix(options.handlePrefix ?? `H:${hostname()}`),
    firstHandle,
    durable: options.store !== undefined,
    settingsFor: settingsByRules(options.functions ?? [], options.functionDefaults),
    reserved: options.reserved,
    authenticate: identities && ((token, peer) => identities.authenticate(token, peer.identity)),
    digest: (bytes) => hash("sha256", bytes, "base64url"),
    allocate: (bytes) => Buffer.alloc(bytes),
    random: Math.random,
    exceptionsForAll: options.exceptionsForAll ?? false,
    wakeAtLeast: options.wakeAtLeast ?? 0,
    timeoutUnit: options.timeoutUnit ?? "auto",
    version: options.version,
    pid: process.pid,
    logLevel: options.logLevel ?? "INFO",
    allowShutdown: options.allowShutdown ?? false,
  };
}

/** The prefix within its length, and without bytes that would break a listing. */
function handlePrefix(prefix: string): string {
  return prefix.replace(/[^\x21-\x7e]/g, "_").slice(0, MAX_PREFIX_BYTES);
}
