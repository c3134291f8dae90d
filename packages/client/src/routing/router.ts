import { bytesOf } from "@drover/protocol";
import { type Ranking, type RoutedServer, type RoutingMode, ranking } from "./rank.ts";

/** What is to be sent, as far as it says where to. Names are byte strings. */
export interface Target {
  readonly function: string;
  /** Empty: nothing that joins. */
  readonly unique: string;
  /** By which `-` joins. */
  readonly workload: Uint8Array;
  /** Equal for what joins. */
  readonly key: string;
}

/** Where it goes. */
export interface Route {
  readonly server: RoutedServer;
  /** Who, asked in this order, may still have the job: it is to be joined there. */
  readonly ask: readonly RoutedServer[];
}

export interface RouterOptions {
  /** `failover`: everything to one server, the first in the list that answers. */
  readonly mode: RoutingMode | "failover";
  /** For how long a server that was suspect has to answer before keys return to it, while another has them. */
  readonly holdMs: number;
  /** For how long after its return the server that had a key meanwhile is asked first. */
  readonly handoverMs: number;
  /** Keys of a returned server that are remembered as not known elsewhere; the oldest are asked for again. */
  readonly maxSettledKeys: number;
}

/** What is believed of one server. */
interface Standing {
  server: RoutedServer;
  /** `held`: it answers again, since `sinceMs`. */
  state: "trusted" | "suspect" | "held";
  sinceMs: number;
  /** Until then others may have jobs of its keys. */
  unsettledUntilMs: number;
  /** Its keys for which nobody else has a job. */
  readonly settled: Set<string>;
  outstanding: number;
}

/**
 * Decides which server a call goes to. Without clock, chance and I/O: it is told what happens to servers and calls, and
 * when. Times are milliseconds of any clock that does not go back.
 */
export class Router {
  readonly #options: RouterOptions;
  readonly #standings = new Map<string, Standing>();
  #servers: readonly RoutedServer[] | undefined;
  #ranking: Ranking = () => [];
  /** Keys that this client has under way: they stay where they are. */
  readonly #joins = new Map<string, { readonly name: string; count: number }>();
  /** Where the next call without a unique begins to look; with `failover` the server in use. */
  #turn = 0;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  get servers(): readonly RoutedServer[] {
    return this.#servers ?? [];
  }

  /** The list is this from now on. Keys that move to a server by it are asked for at the next in rank first. */
  setServers(servers: readonly RoutedServer[], nowMs: number): void {
    const first = this.#servers === undefined;
    const before = new Map(this.#standings);
    const reweighted = servers.some(({ name, weight = 1 }) => {
      const known = before.get(name);
      return known !== undefined && (known.server.weight ?? 1) !== weight;
    });
    this.#standings.clear();
    for (const server of servers) {
      const known = before.get(server.name);
      const moved = known?.server.address !== server.address;
      const standing: Standing =
        known !== undefined && !moved
          ? known
          : {
              server,
              state: "trusted",
              sinceMs: nowMs,
              unsettledUntilMs: Number.NEGATIVE_INFINITY,
              settled: new Set(),
              outstanding: 0,
            };
      standing.server = server;
      if (!first && (moved || reweighted)) this.#unsettle(standing, nowMs);
      this.#standings.set(server.name, standing);
    }
    this.#servers = servers;
    this.#turn = 0;
    const { mode } = this.#options;
    this.#ranking = mode === "failover" ? () => this.#fromTurn() : ranking(servers, mode);
  }

  /** It was reset, refused, or silent for too long. */
  suspect(name: string, nowMs: number): void {
    const standing = this.#standings.get(name);
    if (standing === undefined) return;
    standing.state = "suspect";
    standing.sinceMs = nowMs;
    standing.settled.clear();
    const { mode } = this.#options;
    if (mode === "failover" && this.#fromTurn()[0]!.name === name) this.#turn++;
  }

  /** It answers: to be told at its first answer after it was suspect. */
  answered(name: string, nowMs: number): void {
    const standing = this.#standings.get(name);
    if (standing?.state !== "suspect") return;
    standing.state = "held";
    standing.sinceMs = nowMs;
  }

  isSuspect(name: string): boolean {
    return this.#standings.get(name)?.state === "suspect";
  }

  /** Where a call goes now; undefined while no server is believed to answer. */
  route(target: Target | undefined, nowMs: number): Route | undefined {
    if (target === undefined || target.key === "") {
      const server = this.#leastOutstanding(nowMs);
      return server && { server, ask: [] };
    }
    const joined = this.#standings.get(this.#joins.get(target.key)?.name ?? "");
    if (joined !== undefined && joined.state !== "suspect") return { server: joined.server, ask: [] };
    const rank = this.#rank(target);
    const chosen = firstOf(rank, (standing) => this.#usable(standing, nowMs)) ?? rank.find(answers);
    if (chosen === undefined) return undefined;
    return { server: chosen.server, ask: this.#whoMayHave(target, chosen, rank, nowMs) };
  }

  /** Nobody but this server has a job of the key. */
  settle(key: string, name: string): void {
    const settled = this.#standings.get(name)?.settled;
    if (settled === undefined) return;
    settled.add(key);
    if (settled.size > this.#options.maxSettledKeys) settled.delete(settled.values().next().value!);
  }

  /** A call begins on a server, which its key then stays with until all of the key have ended. */
  begin(key: string, name: string): void {
    const standing = this.#standings.get(name);
    if (standing !== undefined) standing.outstanding++;
    if (key === "") {
      if (this.#options.mode !== "failover") this.#turn++;
      return;
    }
    const join = this.#joins.get(key);
    if (join?.name === name) join.count++;
    else this.#joins.set(key, { name, count: 1 });
  }

  /** It has ended there, or was lost. */
  end(key: string, name: string): void {
    const standing = this.#standings.get(name);
    if (standing !== undefined && standing.outstanding > 0) standing.outstanding--;
    const join = this.#joins.get(key);
    if (join?.name === name && --join.count === 0) this.#joins.delete(key);
  }

  /** Servers that are not suspect. */
  answering(): readonly RoutedServer[] {
    return [...this.#standings.values()].filter(answers).map(({ server }) => server);
  }

  #rank({ function: name, unique, workload }: Target): Standing[] {
    return this.#ranking(bytesOf(name), unique === "-" ? workload : bytesOf(unique)).map(
      (server) => this.#standings.get(server.name)!,
    );
  }

  #usable(standing: Standing, nowMs: number): boolean {
    if (standing.state === "held" && nowMs - standing.sinceMs >= this.#options.holdMs) {
      standing.state = "trusted";
      this.#unsettle(standing, nowMs);
    }
    return standing.state === "trusted";
  }

  #unsettle(standing: Standing, nowMs: number): void {
    standing.unsettledUntilMs = nowMs + this.#options.handoverMs;
    standing.settled.clear();
  }

  /** Those behind the chosen one that had its keys while it was away, up to the first that was there all the time. */
  #whoMayHave(
    { key, unique }: Target,
    chosen: Standing,
    rank: readonly Standing[],
    nowMs: number,
  ): RoutedServer[] {
    const who: RoutedServer[] = [];
    // Servers cannot be asked for `-`.
    if (unique === "-" || this.#options.mode === "failover" || chosen.settled.has(key)) return who;
    let at = rank.indexOf(chosen);
    // One that is held is used in want of another, so its keys may be anywhere as well.
    while (rank[at]!.state !== "trusted" || nowMs < rank[at]!.unsettledUntilMs) {
      at++;
      if (at === rank.length) break;
      if (answers(rank[at]!)) who.push(rank[at]!.server);
    }
    return who;
  }

  #leastOutstanding(nowMs: number): RoutedServer | undefined {
    const turned = this.#fromTurn().map(({ name }) => this.#standings.get(name)!);
    const usable = turned.filter((standing) => this.#usable(standing, nowMs));
    const among = usable.length > 0 ? usable : turned.filter(answers);
    if (this.#options.mode === "failover") return among[0]?.server;
    let least = among[0];
    for (const standing of among) if (standing.outstanding < least!.outstanding) least = standing;
    return least?.server;
  }

  #fromTurn(): readonly RoutedServer[] {
    const { servers } = this;
    const at = this.#turn % servers.length;
    return [...servers.slice(at), ...servers.slice(0, at)];
  }
}

function answers({ state }: Standing): boolean {
  return state !== "suspect";
}

function firstOf(rank: readonly Standing[], suits: (standing: Standing) => boolean): Standing | undefined {
  // All of them are looked at, since a look ends the hold of one whose time has come.
  return rank.filter(suits)[0];
}
