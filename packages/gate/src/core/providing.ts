import type { BuildId, GateEffect, GateEvent } from "./events.ts";
import { listed, note, subjectName } from "./reasons.ts";
import { type Gate, type Item, type JobRun, liveItem, markDirty, revisionOf } from "./state.ts";

/*
 * A job may require what jobs of changes ahead provide (Zuul §2.9). It waits for those jobs until they have succeeded or are
 * paused, and gets what they made. Who is ahead is in the chain that is tested: once a change has merged, it is not there any
 * more, and what its jobs made is not passed on.
 *
 * A change that is ahead and not live has its builds elsewhere: in its own item of the pipeline or, when that is gone, on
 * record.
 */

export type Provision =
  | { readonly kind: "ready"; readonly providers: readonly BuildId[] }
  /** `on`: the item whose news ends it. `run`: the job that it waits for, when that is known. */
  | { readonly kind: "wait"; readonly reason: string; readonly on: Item; readonly run: JobRun | null }
  /** It never gets what it requires. */
  | { readonly kind: "fail"; readonly reason: string };

/** Whether a job has what it requires. Once nodes were asked for, that stays as it was. */
export function provisionOf(gate: Gate, run: JobRun): Provision {
  const { requires = [] } = run.job;
  if (requires.length === 0) return { kind: "ready", providers: [] };
  if (run.providers !== null && run.attempt > 0) return { kind: "ready", providers: run.providers };
  const { item } = run.buildset;
  const providers: BuildId[] = [];
  let waits: Provision | null = null;
  for (const ahead of item.queue.chainOf(item)) {
    if (ahead === item) break;
    const found = providersIn(gate, ahead, requires);
    if (found.kind === "fail") return found;
    if (found.kind === "wait") waits ??= found;
    else providers.push(...found.providers);
  }
  return waits ?? { kind: "ready", providers };
}

function providersIn(gate: Gate, ahead: Item, requires: readonly string[]): Provision {
  const itsOwn = ahead.live ? ahead : twinOf(gate, ahead);
  return itsOwn === null ? providersOnRecord(ahead, requires) : providersNow(itsOwn, requires);
}

/** Where what an item that is not live is about is tested in the same pipeline. */
function twinOf(gate: Gate, { pipeline, subject }: Item): Item | null {
  return liveItem(gate, pipeline, subject.id, revisionOf(subject));
}

function providersNow(item: Item, requires: readonly string[]): Provision {
  const { buildset } = item;
  const name = subjectName(item);
  const providers: BuildId[] = [];
  if (buildset?.state === "conflict" || buildset?.state === "broken") return { kind: "ready", providers };
  if (buildset?.state !== "ready" || buildset.isRefreezing) {
    const reason = `waits until it is known whether a job of ${name} provides ${listed(requires)}`;
    return { kind: "wait", reason, on: item, run: null };
  }
  let waits: Provision | null = null;
  for (const run of buildset.jobs.values()) {
    const tags = sharedTags(run.job.provides, requires);
    if (tags.length === 0) continue;
    const which = `job ${run.job.name} of ${name}`;
    if (run.state === "paused" || run.state === "resuming" || run.result === "SUCCESS") {
      if (run.build !== null) providers.push(run.build);
    } else if (run.state === "ended") {
      return failed(tags, which, run.result!);
    } else {
      const reason = `waits for ${which}, which provides ${listed(tags)}`;
      waits ??= { kind: "wait", reason, on: item, run };
    }
  }
  return waits ?? { kind: "ready", providers };
}

function providersOnRecord(ahead: Item, requires: readonly string[]): Provision {
  const name = subjectName(ahead);
  const past = ahead.past?.providers ?? null;
  if (past === null)
    return { kind: "wait", reason: `waits for what is on record of ${name}`, on: ahead, run: null };
  const providers: BuildId[] = [];
  for (const { job, provides, build, result } of past) {
    const tags = sharedTags(provides, requires);
    if (tags.length === 0) continue;
    if (result !== "SUCCESS") return failed(tags, `job ${job} of ${name}`, result);
    if (build !== null) providers.push(build);
  }
  return { kind: "ready", providers };
}

function failed(tags: readonly string[], which: string, result: string | null): Provision {
  const how = result === null ? "did not run" : `ended with ${result}`;
  return { kind: "fail", reason: `requires ${listed(tags)} of ${which}, which ${how}` };
}

function sharedTags(provides: readonly string[] | undefined, requires: readonly string[]): string[] {
  return (provides ?? []).filter((tag) => requires.includes(tag));
}

/** Decides about a job that could start otherwise, and has it looked at again when that changes. */
export function provide(gate: Gate, run: JobRun): Provision {
  const provision = provisionOf(gate, run);
  if (provision.kind === "ready") run.providers = provision.providers;
  else if (provision.kind === "wait") {
    const { on } = provision;
    if (!on.live && on.past === null) {
      on.past = { lookup: ++gate.last.lookup, providers: null };
      gate.effects.push(lookupEffect(on, on.past.lookup));
    }
    watch(gate, run, on);
  }
  return provision;
}

function watch(gate: Gate, run: JobRun, on: Item): void {
  const waiting = gate.requiring.get(on.id) ?? new Set();
  gate.requiring.set(on.id, waiting.add(run.buildset.item));
}

/** Something is new of an item: who waits for what its jobs provide is looked at again. */
export function tellRequiring(gate: Gate, { id }: Item): void {
  const waiting = gate.requiring.get(id);
  if (waiting === undefined) return;
  gate.requiring.delete(id);
  for (const item of waiting) if (gate.items.get(item.id) === item) markDirty(gate, item);
}

/** An item leaves: from now on its builds are on record, and what was found there before it came is out of date. */
export function forgetPast(gate: Gate, leaving: Item): void {
  if (leaving.live) {
    for (const { id } of leaving.members)
      for (const other of gate.itemsOf.get(id) ?? [])
        if (!other.live && other.pipeline === leaving.pipeline) other.past = null;
  }
  tellRequiring(gate, leaving);
}

function lookupEffect({ id, pipeline, members }: Item, lookup: number): GateEffect {
  const subjects = members.map((member) => ({ id: member.id, revision: revisionOf(member) }));
  return { kind: "findProviders", item: id, lookup, pipeline: pipeline.rules.name, subjects };
}

/** Asks again for what was not answered. */
export function askAgain(gate: Gate): void {
  for (const item of gate.items.values()) {
    const { past } = item;
    if (past !== null && past.providers === null) gate.effects.push(lookupEffect(item, past.lookup));
  }
}

export function onProvidersFound(
  gate: Gate,
  { item: id, lookup, providers }: Extract<GateEvent, { kind: "providersFound" }>,
): void {
  const item = gate.items.get(id);
  if (item?.past?.lookup !== lookup || item.past.providers !== null) {
    gate.counters.stale++;
    return;
  }
  item.past = { lookup, providers };
  tellRequiring(gate, item);
}

/** Why a job starts without anything of what it requires. */
export function noteUnprovided(gate: Gate, run: JobRun): void {
  const { requires = [] } = run.job;
  if (requires.length === 0 || (run.providers ?? []).length > 0) return;
  const { chain, item } = run.buildset;
  const merged = chain
    .slice(0, chain.length - item.links.length)
    .map(({ change }) => change)
    .filter((id) => gate.changes.get(id)?.state === "merged");
  const what = `job ${run.job.name} gets no artifacts of what it requires, ${listed(requires)}`;
  const why =
    merged.length === 0
      ? "no job of a change ahead provides it"
      : `no job of a change ahead provides it, and what has merged, as ${listed(merged)}, passes none on`;
  note(gate, item, `${what}: ${why}`);
}

/** What is not part of a snapshot, since it follows from the rest. */
export function indexRequiring(gate: Gate): void {
  for (const { jobs } of gate.buildsets.values()) {
    for (const run of jobs.values()) {
      if (run.state !== "waiting" || run.job.requires === undefined) continue;
      const provision = provisionOf(gate, run);
      if (provision.kind === "wait") watch(gate, run, provision.on);
    }
  }
}
