import { admitAlone } from "./alone.ts";
import type { Change, ChangeId, Dependency } from "./change.ts";
import { cycleObstacle, cycleOf, holdsExactly, isAnyLanding, NEEDS_ITSELF } from "./cycles.ts";
import { append, type Terms } from "./entering.ts";
import type { Requirements } from "./layout.ts";
import { managerOf } from "./managers.ts";
import { isOutdated, needObstacle, openNeeds } from "./needs.ts";
import { ownQueue, queueFor, queueKey } from "./project-queues.ts";
import { listed } from "./reasons.ts";
import { roomObstacle } from "./room.ts";
import { type Gate, type Item, liveItem, markDirty, type Pipeline } from "./state.ts";

/*
 * Who may enter a pipeline, and whom it brings along. In a dependent one, what a change needs goes ahead of it in the
 * same queue, and approved changes that need it follow. In an independent one, what a change needs is put underneath.
 */

/** Changes that one may bring along, directly or not, which are not merged yet; a tenant may allow fewer. */
export const MAX_DEPENDENCIES = 100;

/** Why a change did not enter. */
export interface Refusal {
  /** The end of a sentence that begins with the change. */
  readonly reason: string;
  /** It may enter once something changes; if not, it has to be offered again. */
  readonly waits: boolean;
  /** The changes that the answer depends on. */
  readonly waitsFor: readonly ChangeId[];
}

/** Lets a change into a pipeline with all that belongs to it. @returns `null` when it is there, now or already. */
export function admitChange(gate: Gate, pipeline: Pipeline, id: ChangeId, terms: Terms): Refusal | null {
  const { needs } = managerOf(pipeline);
  if (needs === "none") return admitAlone(gate, pipeline, id, terms);
  if (needs === "underneath") return new Admission(gate, pipeline).independent(id, terms);
  const entered: Change[] = [];
  const refusal = new Admission(gate, pipeline).dependent(id, terms, entered);
  if (entered.length > 0) admitBehind(gate, pipeline, entered);
  return refusal;
}

/** Lets in what needs the changes that entered: depth first, so that each follows what it needs. */
function admitBehind(gate: Gate, pipeline: Pipeline, entered: readonly Change[]): void {
  const next = entered.toReversed();
  const seen = new Set<ChangeId>();
  for (let change = next.pop(); change !== undefined; change = next.pop()) {
    const { id, revision } = change;
    if (seen.has(id)) continue;
    seen.add(id);
    const more: Change[] = [];
    if (liveItem(gate, pipeline, id, revision) === null) {
      const terms = { ignoreRequirements: false, ignoreNeeds: ignoredNeeds(gate, pipeline, id) };
      if (new Admission(gate, pipeline).dependent(id, terms, more) !== null) continue;
    }
    const key = queueKey(pipeline, change);
    const needing = gate.changes.needing(id).filter((other) => {
      return other.isApproved && queueKey(pipeline, other) === key;
    });
    next.push(...needing.toReversed(), ...more.toReversed());
  }
}

/** What an operator has said need not be waited for. */
function ignoredNeeds(gate: Gate, { rules }: Pipeline, id: ChangeId): readonly string[] {
  return gate.intents.find(id, rules.name)?.ignoreNeeds ?? [];
}

/** What goes in as one item. */
interface Planned {
  readonly members: readonly Change[];
  readonly terms: Terms;
}

/** One change's way in: it enters with everything that it needs, or nothing does. */
class Admission {
  readonly #gate: Gate;
  readonly #pipeline: Pipeline;
  /** Everything that the answer depends on. */
  readonly #asked = new Set<ChangeId>();
  /** What is going to enter, in its order. */
  readonly #planned: Planned[] = [];
  readonly #isPlanned = new Set<ChangeId>();

  constructor(gate: Gate, pipeline: Pipeline) {
    this.#gate = gate;
    this.#pipeline = pipeline;
  }

  #refuse(reason: string, waits: boolean): Refusal {
    return { reason, waits, waitsFor: [...this.#asked] };
  }

  /** Of a tenant that allows fewer than there can be, whether they are ahead already or not. */
  #needsTooMany(id: ChangeId, { ignoreNeeds }: Terms): Refusal | null {
    const most = this.#gate.layout.maxDependencies;
    if (most === undefined) return null;
    const needed = openNeeds(this.#gate, id, ignoreNeeds, most + 1);
    if (needed.length <= most) return null;
    for (const one of needed) this.#asked.add(one);
    return this.#refuse(`needs more than ${most} changes that are not merged (max-dependencies)`, true);
  }

  /** @param entered Gets the changes that entered, in their order. */
  dependent(id: ChangeId, terms: Terms, entered: Change[]): Refusal | null {
    const refusal = this.#needsTooMany(id, terms) ?? this.#plan(id, terms, []);
    if (refusal !== null) return refusal;
    const entering = this.#planned.map(({ members }) => members);
    const full = roomObstacle(this.#gate, this.#pipeline, entering);
    if (full !== null) return this.#refuse(full, true);
    for (const { members, terms } of this.#planned) {
      append(this.#gate, queueFor(this.#gate, this.#pipeline, members[0]!), members, true, terms);
      entered.push(...members);
    }
    return null;
  }

  /** @param path The changes on whose behalf this one is asked for, outermost first. */
  #plan(id: ChangeId, terms: Terms, path: readonly ChangeId[]): Refusal | null {
    const gate = this.#gate;
    this.#asked.add(id);
    const change = gate.changes.get(id);
    if (change === undefined) return this.#refuse("is not known", false);
    const members = cycleOf(gate, id, terms.ignoreNeeds);
    for (const member of members) this.#asked.add(member.id);
    const there = liveItem(gate, this.#pipeline, id, change.revision);
    if (there !== null && (holdsExactly(there, members) || this.#staysAsItIs(there, members))) return null;
    const own = this.#obstacle(change, terms);
    if (own !== null) return this.#refuse(own.reason, own.waits);
    if (path.length + members.length - 1 > MAX_DEPENDENCIES) return this.#refuse(TOO_MANY, true);
    const cycle = cycleObstacle(gate, this.#pipeline, id, members) ?? this.#apart(id, members);
    if (cycle !== null) return this.#refuse(cycle, true);
    for (const member of members) {
      const reason = member === change ? null : this.#obstacle(member, terms)?.reason;
      if (reason != null) return this.#refuse(`needs ${member.id}, which ${reason}`, true);
    }
    if (members.some((member) => liveItem(gate, this.#pipeline, member.id) !== null))
      return this.#refuse("is being merged at an older revision", true);
    const key = queueKey(this.#pipeline, change);
    const onward = [...path, id];
    for (const member of members) {
      for (const need of member.needs) {
        if (isWithin(need, member, members)) continue;
        const refusal = this.#planNeed(need, key, terms, onward);
        if (refusal !== null) return refusal;
      }
    }
    this.#planned.push({ members, terms });
    for (const member of members) this.#isPlanned.add(member.id);
    return null;
  }

  /** It is not as it should be, and is left alone until what is being merged has. */
  #staysAsItIs(item: Item, members: readonly Change[]): boolean {
    const held = cycleOf(this.#gate, item.subject.id, item.ignoreNeeds);
    return isAnyLanding(this.#gate, this.#pipeline, [...members, ...held]);
  }

  /** Why a change must not merge as it is. */
  #obstacle(change: Change, terms: Terms): { readonly reason: string; readonly waits: boolean } | null {
    const { rules } = this.#pipeline;
    const unmet = unmetRequirement(rules.require, rules.reject, change);
    if (!terms.ignoreRequirements && unmet !== null) return { reason: unmet, waits: false };
    if (change.state !== "open") return { reason: `is ${change.state}`, waits: false };
    if (!change.isApproved) return { reason: "is not approved", waits: false };
    const absent = absence(this.#gate, change);
    return absent === null ? null : { reason: absent, waits: true };
  }

  /** Of a cycle whose members are in the pipeline as other items: those have to leave first, and are looked at. */
  #apart(id: ChangeId, members: readonly Change[]): string | null {
    for (const member of members) {
      const item = liveItem(this.#gate, this.#pipeline, member.id);
      if (item === null || holdsExactly(item, members)) continue;
      markDirty(this.#gate, item);
      const rest = item.members.filter((one) => !members.some((now) => now.id === one.id));
      if (members.length === 1)
        return `is in the pipeline together with ${listed(rest.map((one) => one.id))}`;
      return member.id === id
        ? "is in the pipeline without its cycle"
        : `is in a cycle with ${member.id}, which is in the pipeline without it`;
    }
    return null;
  }

  /** Sees to it that what a change needs is merged, or ahead. */
  #planNeed(need: Dependency, key: string, terms: Terms, path: readonly ChangeId[]): Refusal | null {
    if (terms.ignoreNeeds.includes(need.source)) return null;
    if (need.change !== null) this.#asked.add(need.change);
    const obstacle = needObstacle(this.#gate, need);
    if (obstacle !== null) return this.#refuse(obstacle, true);
    const needed = this.#gate.changes.get(need.change!)!;
    const { id, revision, state } = needed;
    if (state === "merged" || this.#isPlanned.has(id)) return null;
    if (path.includes(id)) return this.#refuse(circle(path, id), true);
    if (path.length + this.#isPlanned.size > MAX_DEPENDENCIES) return this.#refuse(TOO_MANY, true);
    if (queueKey(this.#pipeline, needed) !== key)
      return this.#refuse(`needs ${id}, which is in another queue and has to merge first`, true);
    if (liveItem(this.#gate, this.#pipeline, id, revision) !== null) return null;
    const onItsTerms = { ...terms, ignoreNeeds: ignoredNeeds(this.#gate, this.#pipeline, id) };
    const refusal = this.#plan(id, onItsTerms, path);
    if (refusal === null) return null;
    const { reason } = refusal;
    return this.#refuse(reason.startsWith(NEEDS_ITSELF) ? reason : `needs ${id}, which ${reason}`, true);
  }

  independent(id: ChangeId, terms: Terms): Refusal | null {
    const gate = this.#gate;
    const { rules } = this.#pipeline;
    this.#asked.add(id);
    const change = gate.changes.get(id);
    if (change === undefined) return this.#refuse("is not known", false);
    const members = rules.ignoreDependencies ? [change] : cycleOf(gate, id, terms.ignoreNeeds);
    for (const member of members) this.#asked.add(member.id);
    const there = liveItem(gate, this.#pipeline, id, change.revision);
    if (there !== null && holdsExactly(there, members)) return null;
    const unmet = unmetRequirement(rules.require, rules.reject, change);
    if (!terms.ignoreRequirements && unmet !== null) return this.#refuse(unmet, false);
    const absent = absence(gate, change);
    if (absent !== null) return this.#refuse(absent, true);
    const tooMany = rules.ignoreDependencies ? null : this.#needsTooMany(id, terms);
    if (tooMany !== null) return tooMany;
    const cycle = cycleObstacle(gate, this.#pipeline, id, members) ?? this.#apart(id, members);
    if (cycle !== null) return this.#refuse(cycle, true);
    const underneath: (readonly Change[])[] = [];
    if (!rules.ignoreDependencies) {
      const refusal = this.#underneath(members, terms, underneath, [id]);
      if (refusal !== null) return refusal;
    }
    const full = roomObstacle(gate, this.#pipeline, [...underneath, members]);
    if (full !== null) return this.#refuse(full, true);
    const queue = ownQueue(gate, this.#pipeline);
    for (const needed of underneath) append(gate, queue, needed, false, terms);
    append(gate, queue, members, true, terms);
    return null;
  }

  /** Collects the open changes that some need, each after what it needs itself, and those of a cycle together. */
  #underneath(
    changes: readonly Change[],
    terms: Terms,
    into: (readonly Change[])[],
    path: readonly ChangeId[],
  ): Refusal | null {
    for (const change of changes) {
      for (const need of change.needs) {
        if (terms.ignoreNeeds.includes(need.source) || isWithin(need, change, changes)) continue;
        if (need.change !== null) this.#asked.add(need.change);
        const obstacle = needObstacle(this.#gate, need);
        const needed = need.change === null ? undefined : this.#gate.changes.get(need.change);
        // An older revision that it is built on is part of its own commits.
        if (needed !== undefined && isOutdated(need, needed)) continue;
        if (obstacle !== null) return this.#refuse(obstacle, true);
        if (needed!.state === "merged" || into.some((group) => group.includes(needed!))) continue;
        if (path.includes(needed!.id)) return this.#refuse(circle(path, needed!.id), true);
        const group = cycleOf(this.#gate, needed!.id, terms.ignoreNeeds);
        const count = into.reduce((sum, { length }) => sum + length, group.length);
        if (path.length + count > MAX_DEPENDENCIES + 1) return this.#refuse(TOO_MANY, true);
        const cycle = cycleObstacle(this.#gate, this.#pipeline, needed!.id, group);
        if (cycle !== null) return this.#refuse(cycle, true);
        const refusal = this.#underneath(group, terms, into, [...path, needed!.id]);
        if (refusal !== null) return refusal;
        if (!into.some((other) => other.includes(needed!))) into.push(group);
      }
    }
    return null;
  }
}

/** Changes of one item need nothing of each other that they have not. An older revision of another is not part of it. */
function isWithin({ change, revision }: Dependency, by: Change, members: readonly Change[]): boolean {
  if (change === by.id) return false;
  const needed = members.find(({ id }) => id === change);
  return needed !== undefined && (revision === null || revision === needed.revision);
}

const TOO_MANY = `needs more than ${MAX_DEPENDENCIES} changes that are not merged`;
const circle = (path: readonly ChangeId[], id: ChangeId): string =>
  NEEDS_ITSELF + [...path, id].join(" needs ");

/** The end of a sentence that begins with the change. */
export function unmetRequirement(require: Requirements, reject: Requirements, change: Change): string | null {
  const facts = { open: change.state === "open", currentRevision: true, approved: change.isApproved };
  for (const [fact, holds] of Object.entries(facts) as [keyof Requirements, boolean][]) {
    const wanted = require[fact];
    if (wanted !== undefined && wanted !== holds) return `${wanted ? "is not" : "is"} ${WORDS[fact]}`;
    if (reject[fact] === holds) return `${holds ? "is" : "is not"} ${WORDS[fact]}`;
  }
  return null;
}

const WORDS: Readonly<Record<keyof Requirements, string>> = {
  open: "open",
  currentRevision: "at its current revision",
  approved: "approved",
};

/** The end of a sentence that begins with the change. */
export function absence({ layout }: Gate, { project }: Change): string | null {
  return layout.projects.has(project) ? null : `is of project ${project}, which is not in this tenant`;
}
