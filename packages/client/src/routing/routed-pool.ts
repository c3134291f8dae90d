import { backoffMs } from "../backoff.ts";
import type { Notice, ServerConnection } from "../connection.ts";
import { Unauthenticated } from "../errors.ts";
import { openConnection, type Pool, type PoolOptions, type Waiter, WaitingList } from "../pool.ts";
import { keyOf, uniqueFor } from "../submission.ts";
import type { RoutedServer } from "./rank.ts";
import { type Route, Router, type Target } from "./router.ts";
import { checkedServers, ServerWatch } from "./server-watch.ts";

/** Keys of a returned server that are remembered as not known elsewhere. */
const MAX_SETTLED_KEYS = 10_000;

/** What is named in an error when no list was read. */
const UNREAD: readonly RoutedServer[] = [{ name: "the servers, whose list was not read,", address: "" }];

/** The way to one server. */
interface Line {
  readonly server: RoutedServer;
  connection: ServerConnection | undefined;
  connecting: boolean;
  /** Tries that failed since it last answered. */
  failures: number;
  retry: ReturnType<typeof setTimeout> | undefined;
  shutOut: boolean;
  /** Calls under way on it. */
  outstanding: number;
  /** Not in the list any more: it stays until its calls have ended. */
  leaving: boolean;
  /** Who waits for its connection, told `undefined` when there will be none. */
  readonly waiting: Set<(connection: ServerConnection | undefined) => void>;
}

/**
 * Several servers, each with one connection that is opened when first needed. The router decides, and is told what happens.
 * A server that failed is tried, with jittered back-off, until it answers.
 */
export class RoutedPool implements Pool {
  readonly #options: PoolOptions;
  readonly #router: Router;
  readonly #watch: ServerWatch | undefined;
  readonly #lines = new Map<string, Line>();
  readonly #leaving = new Set<Line>();
  readonly #flights = new Map<Waiter, { readonly line: Line; readonly key: string }>();
  /** Who waits, for whatever. */
  readonly #waiting = new WaitingList();
  /** Those of them for whom no server answers. */
  readonly #stranded = new Set<Waiter>();
  /** Who asks one server after the other: by whom it was answered, and who is next. */
  readonly #questions = new WeakMap<Waiter, { readonly asked: Set<string>; next: string }>();
  readonly #closing = new AbortController();

  /** @throws InvalidArgument for a list that cannot be used */
  constructor(options: PoolOptions) {
    this.#options = options;
    const { routing: mode = "rendezvous", holdMs = 5_000, handoverMs = 600_000 } = options;
    this.#router = new Router({ mode, holdMs, handoverMs, maxSettledKeys: MAX_SETTLED_KEYS });
    if (options.source === undefined) this.#use(checkedServers(options.servers, options.checkServer));
    else {
      const notice = (told: Notice) => {
        if (told.type === "servers kept") this.#waiting.lastError ??= told.error;
        options.notice(told);
      };
      this.#watch = new ServerWatch({ ...options, notice }, (servers) => this.#use(servers));
    }
  }

  connect(waiter: Waiter): void {
    this.#end(waiter);
    const target = targetOf(waiter);
    const route = this.#routeOf(waiter, target);
    const connection = route && route.ask.length === 0 && this.#lines.get(route.server.name)!.connection;
    if (connection) {
      this.#begin(waiter, route.server.name, target);
      waiter.ready(connection);
      return;
    }
    const { servers } = this.#router;
    this.#waiting.add(waiter, servers.length > 0 ? servers : UNREAD, this.#options.unreachableMs);
    void this.#serve(waiter);
  }

  release(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    this.#stranded.delete(waiter);
    this.#end(waiter);
  }

  asksAnother(waiter: Waiter, answer: { readonly known?: boolean; readonly state?: string }): boolean {
    if (answer.known !== false && answer.state !== "unknown") return false;
    const question = this.#questions.get(waiter) ?? { asked: new Set<string>(), next: "" };
    const flight = this.#flights.get(waiter);
    if (flight !== undefined) question.asked.add(flight.line.server.name);
    const next = this.#router.answering().find(({ name }) => !question.asked.has(name));
    if (next === undefined) return false;
    this.#questions.set(waiter, { ...question, next: next.name });
    this.connect(waiter);
    return true;
  }

  close(): void {
    this.#watch?.close();
    this.#closing.abort(new Error("the client is closed"));
    this.#waiting.takeAll();
    this.#stranded.clear();
    for (const line of [...this.#lines.values(), ...this.#leaving]) {
      clearTimeout(line.retry);
      line.connection?.end();
    }
  }

  #use(servers: readonly RoutedServer[]): void {
    const old = new Map(this.#lines);
    this.#lines.clear();
    for (const server of servers) {
      const line = old.get(server.name);
      if (line?.server.address === server.address) {
        this.#lines.set(server.name, line);
        old.delete(server.name);
      } else this.#lines.set(server.name, newLine(server));
    }
    this.#router.setServers(servers, performance.now());
    for (const line of old.values()) {
      line.leaving = true;
      clearTimeout(line.retry);
      if (line.outstanding === 0) this.#dismiss(line);
      else this.#leaving.add(line);
      tellAll(line, undefined);
    }
    this.#serveStranded();
  }

  #dismiss(line: Line): void {
    this.#leaving.delete(line);
    line.connection?.end();
  }

  #serveStranded(): void {
    const stranded = [...this.#stranded];
    this.#stranded.clear();
    for (const waiter of stranded) void this.#serve(waiter);
  }

  /** Gives it the connection that it is to have, as soon as there is one. Ends early when it waits no more. */
  async #serve(waiter: Waiter): Promise<void> {
    const target = targetOf(waiter);
    while (this.#waiting.timers.has(waiter)) {
      const route = this.#routeOf(waiter, target);
      if (route === undefined) {
        this.#stranded.add(waiter);
        for (const line of this.#lines.values()) if (line.retry === undefined) void this.#open(line);
        this.#shutOutIfAllDo();
        return;
      }
      let { server } = route;
      if (route.ask.length > 0) {
        const knows = await this.#whoKnows(target!, route.ask);
        if (knows === undefined) {
          // Where it is to go may have changed meanwhile.
          this.#router.settle(target!.key, server.name);
          continue;
        }
        server = knows;
      }
      const line = this.#lines.get(server.name);
      const connection = line && (await this.#connectionOf(line));
      // One that is over, or left the list, is known to be so by now.
      if (connection === undefined || connection.over || this.#lines.get(server.name) !== line) continue;
      if (!this.#waiting.delete(waiter)) return;
      this.#begin(waiter, server.name, target);
      waiter.ready(connection);
    }
  }

  #routeOf(waiter: Waiter, target: Target | undefined): Route | undefined {
    const line = this.#lines.get(this.#questions.get(waiter)?.next ?? "");
    if (line !== undefined && !this.#router.isSuspect(line.server.name)) {
      return { server: line.server, ask: [] };
    }
    return this.#router.route(target, performance.now());
  }

  /** The first of these servers that has a job of the key. */
  async #whoKnows(target: Target, servers: readonly RoutedServer[]): Promise<RoutedServer | undefined> {
    for (const server of servers) {
      const line = this.#lines.get(server.name);
      const connection = line && (await this.#connectionOf(line));
      if (connection !== undefined && (await knowsJob(connection, target))) return server;
    }
    return undefined;
  }

  #begin(waiter: Waiter, name: string, target: Target | undefined): void {
    const line = this.#lines.get(name)!;
    const key = target?.key ?? "";
    line.outstanding++;
    this.#flights.set(waiter, { line, key });
    this.#router.begin(key, name);
  }

  /** What it did on a server is over. */
  #end(waiter: Waiter): void {
    const flight = this.#flights.get(waiter);
    if (flight === undefined) return;
    this.#flights.delete(waiter);
    const { line, key } = flight;
    line.outstanding--;
    this.#router.end(key, line.server.name);
    if (line.leaving && line.outstanding === 0) this.#dismiss(line);
  }

  /** No server lets us in, which waiting will not change. */
  #shutOutIfAllDo(): void {
    const lines = [...this.#lines.values()];
    if (lines.length === 0 || !lines.every(({ shutOut }) => shutOut)) return;
    const stranded = [...this.#stranded];
    this.#stranded.clear();
    for (const waiter of stranded) {
      if (this.#waiting.delete(waiter)) waiter.fail(this.#waiting.lastError!);
    }
  }

  /** Its connection, once there is one; undefined when it cannot be had. */
  #connectionOf(line: Line): Promise<ServerConnection | undefined> {
    if (line.connection !== undefined) return Promise.resolve(line.connection);
    return new Promise((resolve) => {
      line.waiting.add(resolve);
      if (line.retry === undefined) void this.#open(line);
      // A call that comes while it is away goes elsewhere; if it got here, what it knew is out of date.
      else tellAll(line, undefined);
    });
  }

  async #open(line: Line): Promise<void> {
    if (line.connecting || line.connection !== undefined || this.#closing.signal.aborted || line.leaving)
      return;
    const { server } = line;
    const { notice } = this.#options;
    line.connecting = true;
    line.retry = undefined;
    try {
      const connection = await openConnection(server, this.#options, this.#closing.signal);
      if (this.#closing.signal.aborted || line.leaving || connection.over) {
        connection.destroy(new Error("not needed"));
        throw new Error(`${server.name} closed the connection at once`);
      }
      connection.onLost = (error) => {
        line.connection = undefined;
        notice({ type: "disconnected", server: server.name, error });
        this.#failed(line);
      };
      line.connection = connection;
      line.failures = 0;
      line.shutOut = false;
      this.#router.answered(server.name, performance.now());
      notice({ type: "connected", server: server.name, drover: connection.drover });
    } catch (error) {
      this.#waiting.lastError = error as Error;
      line.shutOut = error instanceof Unauthenticated;
      this.#failed(line, error as Error);
      this.#shutOutIfAllDo();
    } finally {
      line.connecting = false;
    }
    tellAll(line, line.connection);
    if (line.connection !== undefined) this.#serveStranded();
  }

  /** It is suspect, and tried again after a while. */
  #failed(line: Line, unreachable?: Error): void {
    if (this.#closing.signal.aborted || line.leaving) return;
    const { backoff, random, notice } = this.#options;
    const { name: server } = line.server;
    if (unreachable !== undefined) notice({ type: "unreachable", server, error: unreachable });
    this.#router.suspect(server, performance.now());
    this.#watch?.refresh();
    line.failures++;
    const again = () => {
      line.retry = undefined;
      // There the first is only missed when the one in use is lost.
      if (this.#options.routing !== "failover" || this.#stranded.size > 0) void this.#open(line);
    };
    line.retry = setTimeout(again, backoffMs(line.failures, backoff, random()));
    // Who waits has a timer that keeps the process alive.
    line.retry.unref?.();
  }
}

function newLine(server: RoutedServer): Line {
  return {
    server,
    connection: undefined,
    connecting: false,
    failures: 0,
    retry: undefined,
    shutOut: false,
    outstanding: 0,
    leaving: false,
    waiting: new Set(),
  };
}

function tellAll(line: Line, connection: ServerConnection | undefined): void {
  const waiting = [...line.waiting];
  line.waiting.clear();
  for (const tell of waiting) tell(connection);
}

function targetOf({ submission }: Waiter): Target | undefined {
  if (submission === undefined) return undefined;
  const { function: name, unique, workload } = submission;
  return { function: name, unique, workload, key: keyOf(submission) };
}

/** Whether a server has a job of the key that has not ended. One that cannot say has none. */
function knowsJob(connection: ServerConnection, target: Target): Promise<boolean> {
  return new Promise((resolve) => {
    const no = () => resolve(false);
    try {
      if (connection.drover) {
        const answer = ({ state }: { readonly state: string }) =>
          resolve(state === "queued" || state === "running" || state === "delayed");
        connection.session.getOutcome(target.function, target.unique, { answer, refused: no, lost: no });
      } else {
        // Of whichever function: others than Drover cannot be asked for more.
        const answer = ({ known }: { readonly known: boolean }) => resolve(known);
        const unique = uniqueFor(target.unique, connection);
        connection.session.getStatusOfUnique(unique, { answer, refused: no, lost: no });
      }
    } catch {
      // A unique that this server cannot have.
      no();
    }
  });
}
