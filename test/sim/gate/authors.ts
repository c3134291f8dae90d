import type { Change, ChangeId, GateEvent, RefUpdate } from "../../../packages/gate/src/core/index.ts";
import type { Random } from "../random.ts";
import type { Forge, Proposal } from "./forge.ts";
import { queueOf } from "./layouts.ts";
import type { Settings } from "./settings.ts";

/** Changes that are open at a time, about; more would only be more of the same. */
const MANY_OPEN = 14;

/** Those who propose, review, change their minds, push past the gate, and operate it. */
export class Authors {
  readonly #random: Random;
  readonly #forge: Forge;
  readonly #settings: Settings;
  readonly #proposals = new Map<ChangeId, Proposal>();
  #last = 0;

  constructor(random: Random, forge: Forge, settings: Settings) {
    this.#random = random;
    this.#forge = forge;
    this.#settings = settings;
  }

  /** One of them does something. @returns What the gate is told of it. */
  act(): GateEvent[] {
    const random = this.#random;
    const open = this.#forge.changes.filter(({ state }) => state === "open");
    const change = open.length === 0 ? null : random.pick(open);
    if (change === null || (open.length < MANY_OPEN && random.chance(0.4))) return this.#propose();
    const deed = random.weighted<(change: Change) => GateEvent[]>([
      [50, (known) => this.#approve(known)],
      [6, (known) => this.#revise(known)],
      [4, (known) => this.#edited(known, { isApproved: false })],
      [5, (known) => this.#edited(known, { state: "abandoned" })],
      [6, (known) => this.#editNeeds(known)],
      [10, (known) => this.#tie(known)],
      [3, ({ project, branch }) => this.#push(project, branch)],
      [2, ({ id }) => this.#submit(id)],
      [1, (known) => this.#refuse(known)],
      [4, ({ id }) => [{ kind: "dequeue", subject: id, pipeline: random.pick(["gate", "check"]) }]],
      [4, (known) => this.#enqueue(known)],
      [3, () => this.#restore()],
      [4, (known) => this.#updated(known)],
      [3, () => this.#promote()],
      [2, ({ project, branch }) => [this.#freezes(project, branch)]],
      [2, (known) => this.#timed(known)],
    ]);
    return deed(change);
  }

  #propose(): GateEvent[] {
    const random = this.#random;
    const id = `c${++this.#last}`;
    const project = random.pick(this.#settings.projects);
    const branch = random.chance(0.85) ? "main" : "stable";
    const siblings = this.#forge.changes.filter(
      (other) => other.state === "open" && other.project === project && other.branch === branch,
    );
    const parent = siblings.length > 0 && random.chance(0.35) ? random.pick(siblings).id : null;
    const files = random.chance(0.15) ? [`shared-${random.below(3)}`] : [`own-${id}`];
    return this.#offered(id, { project, branch, files, parent, dependsOn: this.#dependsOn() });
  }

  #dependsOn(): string[] {
    const random = this.#random;
    if (random.chance(0.75)) return [];
    const names = this.#forge.changes.slice(-12).map(({ id }) => id);
    if (names.length === 0 || random.chance(0.08)) return ["nowhere"];
    return [random.pick(names)];
  }

  #offered(id: ChangeId, proposal: Proposal): GateEvent[] {
    this.#proposals.set(id, proposal);
    const change = this.#forge.propose(id, proposal);
    return [
      { kind: "change", change },
      { kind: "offer", subject: id, pipelines: ["check"] },
    ];
  }

  #approve({ id }: Change): GateEvent[] {
    const change = this.#forge.edit(id, { isApproved: true });
    return [
      { kind: "change", change },
      { kind: "offer", subject: id, pipelines: ["gate"] },
    ];
  }

  #revise({ id }: Change): GateEvent[] {
    const proposal = this.#proposals.get(id)!;
    const parent = this.#random.chance(0.3) ? null : proposal.parent;
    const isOpen = parent !== null && this.#forge.get(parent).state !== "abandoned";
    const dependsOn = this.#random.chance(0.5) ? proposal.dependsOn : this.#dependsOn();
    return this.#offered(id, { ...proposal, dependsOn, parent: isOpen ? parent : null });
  }

  #edited({ id }: Change, fields: Partial<Pick<Change, "isApproved" | "state">>): GateEvent[] {
    return [{ kind: "change", change: this.#forge.edit(id, fields) }];
  }

  /** As where a review's description tells what is needed, which can change without a revision. */
  #editNeeds({ id, needs }: Change): GateEvent[] {
    const git = needs.filter(({ source }) => source === "git");
    const told = this.#dependsOn().map((source) => ({
      source,
      change: source === "nowhere" ? null : source,
      revision: null,
      problem: source === "nowhere" ? "there is no such change" : null,
    }));
    return [{ kind: "change", change: this.#forge.edit(id, { needs: [...git, ...told] }) }];
  }

  /** It and one or two others need each other, whoever else they need; mostly where they can merge together. */
  #tie(known: Change): GateEvent[] {
    const random = this.#random;
    const open = this.#forge.changes.filter(({ state, id }) => state === "open" && id !== known.id);
    const { layout } = this.#settings;
    const near = open.filter((other) => queueOf(layout, other) === queueOf(layout, known));
    const others = near.length > 0 && random.chance(0.85) ? near : open;
    if (others.length === 0) return [];
    const count = random.between(1, 2);
    const ring = [...new Set([known, ...Array.from({ length: count }, () => random.pick(others))])];
    const isGood = random.chance(0.7);
    return ring.flatMap(({ id, needs }, i) => {
      const source = ring[(i + 1) % ring.length]!.id;
      const told = { source, change: source, revision: null, problem: null };
      const kept = isGood ? needs.filter((need) => need.source === "git") : needs;
      const change = this.#forge.edit(id, { needs: [...kept, told] });
      return [{ kind: "change", change } as const, ...(isGood ? this.#approve(change) : [])];
    });
  }

  #push(project: string, branch: string): GateEvent[] {
    const file = this.#random.chance(0.3) ? `shared-${this.#random.below(3)}` : `direct-${this.#last}`;
    this.#forge.push(project, branch, file);
    return [{ kind: "branchMoved", project, branch }];
  }

  #submit(id: ChangeId): GateEvent[] {
    if (!this.#forge.submit(id)) return [];
    const change = this.#forge.get(id);
    const { project, branch } = change;
    const news: GateEvent[] = [
      { kind: "change", change },
      { kind: "branchMoved", project, branch },
    ];
    return this.#random.chance(0.5) ? news : news.reverse();
  }

  #refuse({ id }: Change): GateEvent[] {
    this.#forge.refuse(id);
    return [];
  }

  #enqueue({ id, needs }: Change): GateEvent[] {
    const random = this.#random;
    return [
      {
        kind: "enqueue",
        subject: id,
        pipeline: random.pick(["gate", "check"]),
        ignoreRequirements: random.chance(0.3),
        // Ignoring a parent in git would merge it unseen, which no operator can ask for.
        ignoreNeeds: random.chance(0.5)
          ? needs.map(({ source }) => source).filter((s) => s === "nowhere")
          : [],
      },
    ];
  }

  #promote(): GateEvent[] {
    const random = this.#random;
    const open = this.#forge.changes.filter(({ state }) => state === "open").map(({ id }) => id);
    const subjects = Array.from({ length: random.between(1, 3) }, () => random.pick(open));
    return [{ kind: "promote", pipeline: random.pick(["gate", "gate", "check", "deploy"]), subjects }];
  }

  #freezes(project: string, branch: string): GateEvent {
    if (this.#random.chance(0.6)) return { kind: "thawBranch", project, branch };
    return { kind: "freezeBranch", project, branch, reason: "a release", by: "root" };
  }

  #restore(): GateEvent[] {
    const abandoned = this.#forge.changes.filter(({ state }) => state === "abandoned");
    if (abandoned.length === 0) return [];
    return this.#edited(this.#random.pick(abandoned), { state: "open" });
  }

  #updated({ id, project, branch, state }: Change): GateEvent[] {
    const random = this.#random;
    if (random.chance(0.1)) return [{ kind: "offer", subject: id, pipelines: ["deploy", "publish"] }];
    if (random.chance(0.1) && state === "open") this.#forge.push(project, branch, `direct-${this.#last}`);
    return [this.moved(project, branch)];
  }

  /** As the clock does. */
  #timed({ project, branch }: Change): GateEvent[] {
    const ref = `refs/heads/${branch}`;
    const subject: RefUpdate = {
      ...{ kind: "ref", id: `ref:${project}:${ref}`, project, ref, branch },
      ...{ oldCommit: null, newCommit: null },
    };
    return [{ kind: "offer", subject, pipelines: ["post", "deploy", "publish"] }];
  }

  /** Tells of a branch as it is now. */
  moved(project: string, branch: string): GateEvent {
    const newCommit = this.#forge.tip(project, branch);
    const ref = `refs/heads/${branch}`;
    const subject: RefUpdate = {
      ...{ kind: "ref", id: `ref:${project}:${ref}@${newCommit}` },
      ...{ project, ref, branch, oldCommit: null, newCommit },
    };
    return { kind: "offer", subject, pipelines: ["post", "deploy", "publish"] };
  }
}
