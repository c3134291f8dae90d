import type { JobServerCore } from "../../../packages/server/src/core/index.ts";
import { hashBytes, hashNumber } from "../random.ts";
import { ensure, Violation } from "../violation.ts";
import { type Node, rankNames } from "./node.ts";
import type { FleetWorld } from "./world.ts";

export interface Key {
  readonly fn: string;
  readonly unique: string;
}

/** A worker that is at a job of a key, whether or not its server still knows. */
export interface Runner {
  readonly key: string;
  readonly server: string;
  readonly jobSinceMs: number;
}

/** A time in which somebody believed a server to be the first of a key. */
interface Belief {
  readonly server: string;
  readonly fromMs: number;
  untilMs: number;
}

interface Seen {
  state: "unknown" | "up" | "returning" | "down";
  sinceMs: number;
}

/** One start of a server: what it has been told of the others. */
class View {
  readonly members = new Map<string, Seen>();
  list: readonly string[] = [];
}

const FORGET_MS = 20_000;
const FOREVER = Number.POSITIVE_INFINITY;

/**
 * Knows from the links alone, not from the servers' own books, whom each server may believe to be first, and holds the
 * workers against it:
 *
 * - `stable`: while all believe the same, a key has one runner.
 * - `changes`: else it has at most one for each start of each server that somebody believed first since the oldest of
 *   the jobs that run was made, which is one more than ownership changed in that time.
 * - `hand-over`: when servers only come back, a key whose job runs gets no second runner.
 * - `forwarded once`: a server forwards what it was sent by a client, and nothing else.
 * - `ends`, `reports`: each submission ends once, with its own key's result and all reports of that run, in order.
 */
export class Judge {
  hash = 0;
  /** Most runners that a key ever had. */
  mostRunners = 0;
  /** Questions whether a job runs in another's place. */
  asked = 0;
  readonly #world: FleetWorld;
  readonly #views = new Map<Node, View>();
  /** By observer and key: what it believes now. */
  readonly #now = new Map<string, Belief>();
  /** By key: what was believed. */
  readonly #past = new Map<string, Belief[]>();
  /** By server: its starts, as times. */
  readonly #starts = new Map<string, Belief[]>();
  readonly #runners = new Map<string, Set<Runner>>();
  /** When jobs were made, by start and handle. */
  readonly #jobs = new Map<string, number>();
  /** By workload: the servers that clients sent it to. */
  readonly #origins = new Map<string, Set<string>>();
  #lastTroubleMs = 0;

  constructor(world: FleetWorld) {
    this.#world = world;
  }

  mix(text: string): void {
    const { nowMs } = this.#world;
    this.hash = hashNumber(hashBytes(this.hash, Buffer.from(text)), nowMs);
    this.#world.trace(() => text);
  }

  /* What happens to servers */

  booted(node: Node): void {
    this.mix(`${node.name} starts`);
    this.#views.set(node, new View());
    const starts = this.#starts.get(node.name) ?? [];
    starts.push({ server: node.name, fromMs: this.#world.nowMs, untilMs: FOREVER });
    this.#starts.set(node.name, starts);
    this.#setList(node);
  }

  crashed(node: Node): void {
    this.mix(`${node.name} is killed`);
    this.#views.delete(node);
    this.#starts.get(node.name)!.at(-1)!.untilMs = this.#world.nowMs;
    this.trouble();
  }

  listChanged(node: Node): void {
    this.mix(`${node.name} has the list ${node.list.join()}`);
    this.#setList(node);
    this.trouble();
  }

  linkUp(node: Node, member: string): void {
    const seen = this.#views.get(node)?.members.get(member);
    if (seen === undefined || seen.state === "up" || seen.state === "returning") return;
    this.mix(`${node.name} has ${member} ${seen.state === "down" ? "back" : "up"}`);
    seen.state = seen.state === "down" ? "returning" : "up";
    seen.sinceMs = this.#world.nowMs;
  }

  linkDown(node: Node, member: string): void {
    const seen = this.#views.get(node)?.members.get(member);
    if (seen === undefined || seen.state === "down" || seen.state === "unknown") return;
    this.mix(`${node.name} has lost ${member}`);
    seen.state = "down";
    this.trouble();
  }

  /** Something other than a return. */
  trouble(): void {
    this.#lastTroubleMs = this.#world.nowMs;
  }

  #setList(node: Node): void {
    const view = this.#views.get(node)!;
    view.list = [...new Set([...node.list, node.name])].sort();
    for (const name of [...view.members.keys()]) if (!view.list.includes(name)) view.members.delete(name);
    const sinceMs = this.#world.nowMs;
    for (const name of view.list) {
      if (name !== node.name && !view.members.has(name))
        view.members.set(name, { state: "unknown", sinceMs });
    }
  }

  /** Notes whom each server believes first. */
  observe(): void {
    const { nowMs, nodes, plan, keys } = this.#world;
    for (const view of this.#views.values()) {
      for (const seen of view.members.values()) {
        if (seen.state === "returning" && seen.sinceMs + plan.returnHoldMs <= nowMs) seen.state = "up";
        else if (seen.state === "unknown" && seen.sinceMs + plan.connectGraceMs <= nowMs) {
          seen.state = "down";
          this.trouble();
        }
      }
    }
    for (const node of nodes) {
      const view = this.#views.get(node);
      for (const [key, { fn, unique }] of keys) {
        const first = view === undefined ? undefined : firstOf(view, node.name, fn, unique);
        const at = `${node.name} ${key}`;
        const before = this.#now.get(at);
        if (before?.server === first) continue;
        if (before !== undefined) {
          before.untilMs = nowMs;
          this.#now.delete(at);
        }
        if (first === undefined) continue;
        const belief = { server: first, fromMs: nowMs, untilMs: FOREVER };
        this.#now.set(at, belief);
        const past = (this.#past.get(key) ?? []).filter(({ untilMs }) => untilMs > nowMs - FORGET_MS);
        past.push(belief);
        this.#past.set(key, past);
      }
    }
  }

  /** After a turn of a server. */
  turned(node: Node, { state }: JobServerCore): void {
    const { fleet } = node;
    for (const job of state.jobs.values()) {
      if (job.key === "" || fleet.relays(job)) continue;
      const name = `${node.name}#${node.start} ${state.handles.text(job.number)}`;
      if (!this.#jobs.has(name)) this.#jobs.set(name, this.#world.nowMs);
    }
  }

  /* Runners */

  began(node: Node, start: number, handle: string, fn: string, unique: string): Runner {
    const { nowMs, slackMs } = this.#world;
    const key = `${fn} ${unique}`;
    const jobSinceMs = this.#jobs.get(`${node.name}#${start} ${handle}`) ?? 0;
    const runner = { key, server: `${node.name}#${start}`, jobSinceMs };
    const runners = this.#runners.get(key) ?? new Set();
    this.#runners.set(key, runners);
    runners.add(runner);
    this.mix(`${runner.server} runs ${key}, runner ${runners.size}`);
    this.mostRunners = Math.max(this.mostRunners, runners.size);
    if (runners.size === 1) return runner;
    const sinceMs = Math.min(...[...runners].map((one) => one.jobSinceMs));
    const bound = this.#bound(key, sinceMs - slackMs, nowMs);
    const told = () => `${key} runs on ${[...runners].map((one) => one.server).join()}`;
    ensure(
      runners.size <= bound,
      bound === 1 ? "stable" : "changes",
      () => `${told()}, at most ${bound} may`,
    );
    const calm =
      this.#lastTroubleMs < sinceMs - slackMs && this.#bound(key, sinceMs - slackMs, sinceMs) === 1;
    ensure(!calm, "hand-over", () => `${told()}, though servers only came back since the first began`);
    return runner;
  }

  ended(runner: Runner): void {
    this.#runners.get(runner.key)!.delete(runner);
  }

  /** One for each start of each server that somebody believed first. */
  #bound(key: string, fromMs: number, untilMs: number): number {
    const within = (one: Belief) => one.fromMs <= untilMs && one.untilMs >= fromMs;
    const servers = new Set((this.#past.get(key) ?? []).filter(within).map(({ server }) => server));
    let bound = 0;
    for (const server of servers) bound += Math.max(1, this.#starts.get(server)?.filter(within).length ?? 0);
    return bound;
  }

  /* Submissions */

  submits(node: Node, workload: string): void {
    const origins = this.#origins.get(workload) ?? new Set();
    origins.add(node.name);
    this.#origins.set(workload, origins);
  }

  forwards(node: Node, workload: string): void {
    const origins = this.#origins.get(workload);
    const from = () => `${node.name} forwards ${workload}, which came to ${[...(origins ?? [])].join()}`;
    ensure(origins?.has(node.name) === true, "forwarded once", from);
  }

  /* The end */

  /** Nobody is there any more, so nothing may be left. */
  empty(node: Node): void {
    const { state } = node.core!;
    const left = (what: string, count: number) =>
      ensure(count === 0, "leak", () => `${node.name} has ${count} ${what} left`);
    left("jobs", state.jobs.size);
    left("submissions", state.submissionCount);
    left("bytes of workloads", state.workloadBytes);
    left("running", state.running);
    left("forwarded", node.fleet.size);
    left("jobs in others' place", node.fleet.foreignJobs);
    for (const member of node.fleet.members) left(`held for ${member.name}`, member.heldForIt);
    this.asked += node.fleet.counts.asked;
  }
}

function firstOf(view: View, self: string, fn: string, unique: string): string {
  const takes = (name: string) => {
    const state = view.members.get(name)?.state;
    return name === self || state === "up" || state === "unknown";
  };
  return rankNames(view.list, fn, unique).find(takes) ?? self;
}

/** @throws Violation naming what never ended. */
export function neverEnds(what: string): never {
  throw new Violation("ends", `${what} never ends`);
}
