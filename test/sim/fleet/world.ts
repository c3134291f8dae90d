import { Random } from "../random.ts";
import { Schedule } from "../schedule.ts";
import { ensure } from "../violation.ts";
import { Judge, type Key, neverEnds } from "./judge.ts";
import { Node } from "./node.ts";
import { Client, Worker } from "./outsiders.ts";
import type { Wire } from "./wire.ts";

/** What a seed means. Times in milliseconds, short, so that much happens in few steps. */
interface FleetPlan {
  readonly functions: readonly string[];
  readonly uniques: number;
  readonly clients: number;
  readonly workersOfEach: number;
  readonly paceMs: number;
  /** Largest delay of what is sent. */
  readonly delayMs: number;
  /** Longest time until an end notices that the other has fallen silent. */
  readonly noticeMs: number;
  readonly returnHoldMs: number;
  readonly connectGraceMs: number;
  /** Part of the jobs that last until owners come and go. */
  readonly longRate: number;
  /** Between two troubles, at most. */
  readonly troubleMs: number;
  /** What the troubles are, by weight. */
  readonly crashes: number;
  readonly partitions: number;
  readonly changes: number;
  /** Chance, per action of a client, that it dies; and of the workers, about as often. */
  readonly lossRate: number;
}

function planOf(random: Random): FleetPlan {
  const calm = random.chance(0.1);
  return {
    functions: ["f0", "f1"].slice(0, random.between(1, 2)),
    uniques: random.between(2, 4),
    clients: random.between(3, 7),
    workersOfEach: random.between(1, 3),
    paceMs: random.pick([10, 20, 40]),
    delayMs: random.pick([0, 1, 3, 6]),
    noticeMs: random.pick([2, 15, 40]),
    returnHoldMs: random.pick([20, 60, 200]),
    connectGraceMs: random.pick([80, 200]),
    longRate: random.pick([0.05, 0.3, 0.6]),
    troubleMs: random.pick([60, 300, 1000]),
    crashes: calm ? 0 : random.pick([0, 2, 4]),
    partitions: calm ? 0 : random.pick([0, 0, 2]),
    changes: calm ? 0 : random.pick([0, 0, 1]),
    lossRate: random.pick([0, 0.01, 0.04]),
  };
}

export interface FleetWorldOptions {
  /** Told of each event, in words. */
  readonly trace?: (line: string) => void;
}

/** Nothing that was held back may still be under way when the next partition begins. */
const BETWEEN_PARTITIONS_MS = 100;
const SETTLE_MS = 30_000;

/** Five servers of a fleet, their links, clients and workers, and what befalls them, all from one seed. */
export class FleetWorld {
  readonly names = ["ant", "bee", "cat", "dog", "elk"];
  readonly plan: FleetPlan;
  readonly random: Random;
  readonly options: FleetWorldOptions;
  readonly judge: Judge;
  readonly keys = new Map<string, Key>();
  readonly nodes: readonly Node[];
  readonly wires = new Set<Wire>();
  nowMs = 1_000;
  steps = 0;
  /** Nobody begins anything new. */
  quiet = false;
  /** Number of the latest partition or healing. */
  partition = 0;
  nextRun = 1;
  readonly #schedule = new Schedule();
  #events = 0;
  /** By server: the side of the partition. */
  #sides: ReadonlyMap<string, number> = new Map();
  #healedMs = 0;
  readonly #clients: Client[] = [];
  readonly #workers: Worker[] = [];

  constructor(seed: number, options: FleetWorldOptions = {}) {
    this.random = new Random(seed);
    this.options = options;
    const { random } = this;
    this.plan = planOf(random);
    const { functions, uniques, clients, workersOfEach } = this.plan;
    for (const fn of functions) {
      for (let i = 0; i < uniques; i++) this.keys.set(`${fn} u${i}`, { fn, unique: `u${i}` });
    }
    this.judge = new Judge(this);
    this.nodes = this.names.map((name) => new Node(this, name, this.names));
    for (const node of this.nodes) node.boot();
    for (const node of this.nodes) {
      for (let i = 0; i < workersOfEach; i++) this.#workers.push(new Worker(this, node));
    }
    for (let i = 0; i < clients; i++) {
      this.#clients.push(new Client(this, random.pick(this.nodes), `c${i}`, random.chance(0.4)));
    }
    this.#plague();
  }

  /** How long before a job was made somebody may have sent what made it. */
  get slackMs(): number {
    return this.plan.noticeMs + 3 * this.plan.delayMs + 1;
  }

  node(name: string): Node {
    return this.nodes[this.names.indexOf(name)]!;
  }

  delayMs(): number {
    return this.random.below(this.plan.delayMs + 1);
  }

  noticeMs(): number {
    return this.random.below(this.plan.noticeMs + 1);
  }

  /** A partition parts servers from servers; clients and workers reach all. */
  isBlocked(site: string, name: string): boolean {
    const side = this.#sides.get(site);
    return side !== undefined && side !== this.#sides.get(name);
  }

  trace(line: () => string): void {
    this.options.trace?.(`step ${this.steps} at ${this.nowMs} ms: ${line()}`);
  }

  later(ms: number, action: () => void): void {
    this.#schedule.add(this.nowMs + ms, 0, this.#events++, action);
  }

  step(): void {
    this.steps++;
    const next = this.#schedule.nextMs;
    const due = this.nodes.find(({ core }) => core !== null && core.nextTickMs <= next);
    if (due === undefined) {
      this.nowMs = Math.max(this.nowMs, next);
      this.judge.observe();
      this.#schedule.take()();
    } else {
      const first = this.nodes.reduce((a, b) =>
        (b.core?.nextTickMs ?? Infinity) < (a.core?.nextTickMs ?? Infinity) ? b : a,
      );
      this.nowMs = Math.max(this.nowMs, first.core!.nextTickMs);
      this.judge.observe();
      first.turn((core) => core.tick());
    }
    this.judge.observe();
  }

  /* What befalls them */

  #plague(): void {
    const { random, plan } = this;
    this.later(random.between(1, plan.troubleMs), () => {
      if (this.quiet) return;
      const trouble = random.weighted([
        [0.5, () => random.pick(this.#workers).die()],
        [plan.crashes, () => this.#crash()],
        [plan.partitions, () => this.#part()],
        [plan.changes, () => this.#changeList()],
      ]);
      trouble();
      this.#plague();
    });
  }

  #crash(): void {
    const node = this.random.pick(this.nodes);
    if (!node.isUp) return;
    node.crash();
    const downMs = this.random.chance(0.3) ? this.random.between(1, 20) : this.random.between(100, 900);
    this.later(downMs, () => node.boot());
  }

  #part(): void {
    const { random, nowMs } = this;
    if (this.#sides.size > 0 || nowMs < this.#healedMs + BETWEEN_PARTITIONS_MS) return;
    const sides = random.pick([2, 2, 3]);
    this.#divide(new Map(this.names.map((name) => [name, random.below(sides)])));
    this.later(random.between(5, 400), () => this.#heal());
  }

  #heal(): void {
    if (this.#sides.size === 0) return;
    this.#healedMs = this.nowMs;
    this.#divide(new Map());
  }

  #divide(sides: ReadonlyMap<string, number>): void {
    this.judge.mix(`sides ${[...sides.values()].join()}`);
    this.#sides = sides;
    this.partition++;
    this.judge.trouble();
    for (const wire of [...this.wires]) wire.partitionChanged();
  }

  /** One server leaves the list or comes back to it; each hears of it in its own time. */
  #changeList(): void {
    const { random } = this;
    const leaving = random.pick(this.names);
    const list = random.chance(0.5) ? this.names : this.names.filter((name) => name !== leaving);
    this.#tellList(list, random.pick([0, 20, 100]));
  }

  #tellList(list: readonly string[], withinMs: number): void {
    for (const node of this.nodes) this.later(this.random.between(0, withinMs), () => node.setList(list));
  }

  /**
   * Ends the world well: all servers are there and know each other, and nobody begins anything. Everything under way must
   * end, and when everybody has left, nothing may be left of it.
   */
  settle(): void {
    this.quiet = true;
    this.#heal();
    this.#tellList(this.names, 0);
    // Servers under repair are started by what is planned already.
    const endsMs = this.nowMs + SETTLE_MS;
    // Something is always to come, so that time goes on.
    this.later(2 * SETTLE_MS, () => {});
    const isOpen = () => this.#clients.some((client) => client.open > 0);
    while (this.nowMs < endsMs && isOpen()) this.step();
    for (const client of this.#clients)
      if (client.open > 0) neverEnds(`what ${client.open} submissions wait for`);
    // Jobs that nobody waits for run on.
    const isBusy = () => this.nodes.some(({ core }) => core === null || core.state.jobs.size > 0);
    while (this.nowMs < endsMs && isBusy()) this.step();
    const silentMs = this.nowMs + 1_000;
    while (this.nowMs < silentMs) this.step();
    for (const node of this.nodes) this.judge.empty(node);
    ensure(
      this.nodes.every(({ isUp }) => isUp),
      "model",
      () => "a server is still away",
    );
  }
}
