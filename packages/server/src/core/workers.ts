import { PacketType } from "@drover/protocol";
import type { AbilitySet } from "./abilities.ts";
import type { JobFunction } from "./function.ts";
import type { TimeoutUnit } from "./limits.ts";
import { type Peer, WorkerState } from "./peer.ts";
import { type AssignForm, sendAssign, sendEmpty } from "./replies.ts";
import { startRun } from "./runs.ts";
import type { ServerState } from "./state.ts";

/* The worker's side of a connection: its abilities, and the cycle of grab, pre-sleep and noop. */

/** `CAN_DO`, `CAN_DO_TIMEOUT`. Registering again only replaces the timeout. @returns the limit that refused it. */
export function canDo(
  state: ServerState,
  peer: Peer,
  name: string,
  timeoutMs: number,
): "maxFunctions" | "maxAbilities" | null {
  const known = state.functions.get(name);
  const registered = known !== undefined && peer.abilities?.places.has(known) === true;
  if (!registered && peer.abilities !== null && peer.abilities.size >= state.limits.maxAbilities)
    return "maxAbilities";
  const fn = known ?? state.functionOf(name);
  if (fn === null) return "maxFunctions";
  if (timeoutMs > 0) {
    peer.timeouts ??= new Map();
    peer.timeouts.set(fn, timeoutMs);
  } else {
    peer.timeouts?.delete(fn);
  }
  if (registered) return null;
  changeAbilities(state, peer, (set) => set.add(fn));
  fn.workers++;
  state.updateIdle(fn);
  return null;
}

/** `CANT_DO`: ends new assignments; what runs goes on. */
export function cantDo(state: ServerState, peer: Peer, name: string): void {
  const fn = state.functions.get(name);
  if (fn === undefined || !peer.abilities?.places.has(fn)) return;
  peer.timeouts?.delete(fn);
  changeAbilities(state, peer, (set) => set.remove(fn));
  fn.workers--;
  state.updateIdle(fn);
}

/** `RESET_ABILITIES`, or the worker's connection is gone. A sleeper sleeps on: it may register anew and be woken. */
export function resetAbilities(state: ServerState, peer: Peer): void {
  const set = peer.abilities;
  if (set === null) return;
  const { wokenFor } = peer;
  if (peer.workerState === WorkerState.ASLEEP) leaveSleepers(peer);
  else stopSleeping(peer);
  const functions = [...set.places.keys()];
  state.abilitySets.leave(peer);
  peer.timeouts = null;
  for (const fn of functions) {
    fn.workers--;
    state.updateIdle(fn);
  }
  // It will not come for what it was woken for, so somebody else must.
  if (wokenFor !== null) wakeFor(state, wokenFor, 0);
}

function changeAbilities(state: ServerState, peer: Peer, change: (set: AbilitySet) => void): void {
  const slept = peer.workerState === WorkerState.ASLEEP;
  if (slept) leaveSleepers(peer);
  change(state.abilitySets.own(peer));
  // A sleeper must be found under its new abilities, and may be needed for them right now.
  if (slept) preSleep(state, peer);
}

/** `PRE_SLEEP`: a `NOOP` at once when a job waits, else the worker sleeps until there is one. */
export function preSleep(state: ServerState, peer: Peer): void {
  const { wokenFor } = peer;
  if (peer.workerState === WorkerState.ASLEEP) leaveSleepers(peer);
  else if (peer.workerState === WorkerState.WOKEN) forgetWake(peer);
  const set = state.abilitySets.settle(peer);
  // While nothing is assigned, a NOOP would only bring it back here.
  const ready = set === null || !state.assigning ? null : set.peekReady();
  if (ready !== null) wake(state, peer, ready);
  else fallAsleep(state, peer, set);
  // It was woken, did not grab, and is not woken for the same again: somebody else must come.
  if (wokenFor !== null) wakeFor(state, wokenFor, 0);
}

function fallAsleep(state: ServerState, peer: Peer, set: AbilitySet | null): void {
  peer.workerState = WorkerState.ASLEEP;
  peer.sleepOrder = state.nextSleepOrder++;
  state.sleepGeneration++;
  if (set === null) return;
  peer.previousSleeper = set.lastSleeper;
  if (set.lastSleeper === null) set.firstSleeper = peer;
  else set.lastSleeper.nextSleeper = peer;
  set.lastSleeper = peer;
}

/**
 * `GRAB_JOB`, `GRAB_JOB_UNIQ`, `GRAB_JOB_ALL`: the next job in turn. When there is none the worker is told at the end of
 * the turn, since a job that comes before then can be its, which saves sending it to sleep and waking it. Costs O(1).
 */
export function grab(state: ServerState, peer: Peer, form: AssignForm): void {
  const wokenFor = peer.wokenFor;
  stopSleeping(peer);
  if (!assignNext(state, peer, form)) {
    peer.pendingGrab = form;
    state.pendingGrabs.push(peer);
  }
  // It took another function's job than it was woken for, so somebody else must come.
  if (wokenFor !== null) wakeFor(state, wokenFor, 0);
}

/** Answers the worker's grab that waits for the end of the turn. */
export function answerGrab(state: ServerState, peer: Peer): void {
  const form = peer.pendingGrab;
  if (form === null) return;
  peer.pendingGrab = null;
  if (peer.closing === null && !assignNext(state, peer, form)) sendEmpty(state, peer, PacketType.NO_JOB);
}

/** Gives the worker the next job in turn, if there is one. */
function assignNext(state: ServerState, peer: Peer, form: AssignForm): boolean {
  const set = state.assigning ? state.abilitySets.settle(peer) : null;
  const fn = set === null ? null : set.nextReady();
  if (fn === null) return false;
  const job = fn.next;
  startRun(state, peer, job);
  sendAssign(state, peer, job, form);
  return true;
}

/** The end of a turn: grabs that still wait are answered, and sleepers are woken for the jobs that are left. */
export function endTurn(state: ServerState): void {
  const { pendingGrabs, pendingWakes } = state;
  if (pendingGrabs.length > 0) {
    for (const peer of pendingGrabs) answerGrab(state, peer);
    state.pendingGrabs = [];
  }
  if (pendingWakes.length > 0) {
    for (const fn of pendingWakes) wakeNow(state, fn);
    state.pendingWakes = [];
  }
}

/** The connection is neither asleep nor woken any more. */
export function stopSleeping(peer: Peer): void {
  if (peer.workerState === WorkerState.ASLEEP) leaveSleepers(peer);
  else if (peer.workerState === WorkerState.WOKEN) forgetWake(peer);
  peer.workerState = WorkerState.AWAKE;
}

/**
 * At the end of the turn, wakes sleeping workers until as many are on their way as there are jobs to run, those asleep
 * longest first.
 * @param atLeast Wakes this many even when enough are on their way.
 */
export function wakeFor(state: ServerState, fn: JobFunction, atLeast: number): void {
  if (fn.searchedGeneration === state.sleepGeneration) return;
  if (fn.pendingWake < 0) state.pendingWakes.push(fn);
  if (fn.pendingWake < atLeast) fn.pendingWake = atLeast;
}

function wakeNow(state: ServerState, fn: JobFunction): void {
  const atLeast = fn.pendingWake;
  fn.pendingWake = -1;
  const runnable = fn.runnable;
  if (runnable === 0 || !state.assigning) return;
  for (let need = Math.max(runnable - fn.wakes, atLeast); need > 0; need--) {
    const sleeper = longestAsleep(fn);
    if (sleeper === null) {
      fn.searchedGeneration = state.sleepGeneration;
      return;
    }
    leaveSleepers(sleeper);
    wake(state, sleeper, fn);
  }
}

/** Wake-ups whose grace is over stop counting, and others are woken instead. */
export function expireWakes(state: ServerState): void {
  while (nextWakeMs(state) <= state.nowMs) {
    const { peer } = state.wakes.shift()!;
    const fn = peer.wokenFor!;
    peer.wokenFor = null;
    fn.wakes--;
    wakeFor(state, fn, 0);
  }
}

/**
 * When the grace of the oldest wake-up ends that still counts; `Infinity` when none does. Those that workers have followed,
 * which nearly all do at once, are forgotten, so that no timer runs for them.
 */
export function nextWakeMs(state: ServerState): number {
  const { wakes } = state;
  for (let next = wakes.peek(); next !== undefined; next = wakes.peek()) {
    const { peer, atMs } = next;
    if (peer.workerState === WorkerState.WOKEN && peer.wakeEndsMs === atMs && peer.wokenFor !== null)
      return atMs;
    wakes.shift();
  }
  return Number.POSITIVE_INFINITY;
}

function wake(state: ServerState, peer: Peer, fn: JobFunction): void {
  peer.workerState = WorkerState.WOKEN;
  peer.wokenFor = fn;
  peer.wakeEndsMs = state.nowMs + state.limits.wakeGraceMs;
  fn.wakes++;
  state.wakes.push({ peer, atMs: peer.wakeEndsMs });
  sendEmpty(state, peer, PacketType.NOOP);
}

function forgetWake(peer: Peer): void {
  if (peer.wokenFor === null) return;
  peer.wokenFor.wakes--;
  peer.wokenFor = null;
}

function longestAsleep(fn: JobFunction): Peer | null {
  let oldest: Peer | null = null;
  const sets = fn.setCount;
  for (let i = 0; i < sets; i++) {
    const sleeper = fn.setAt(i).firstSleeper;
    if (sleeper !== null && (oldest === null || sleeper.sleepOrder < oldest.sleepOrder)) oldest = sleeper;
  }
  return oldest;
}

function leaveSleepers(peer: Peer): void {
  const set = peer.abilities;
  const { previousSleeper: before, nextSleeper: after } = peer;
  if (set !== null) {
    if (before !== null) before.nextSleeper = after;
    else if (set.firstSleeper === peer) set.firstSleeper = after;
    if (after !== null) after.previousSleeper = before;
    else if (set.lastSleeper === peer) set.lastSleeper = before;
  }
  peer.previousSleeper = null;
  peer.nextSleeper = null;
}

/** The milliseconds that a `CAN_DO_TIMEOUT` argument means; 0 = no timeout. @see docs/PROTOCOL.md#timeouts */
export function timeoutMs(argument: string, unit: TimeoutUnit): number {
  const value = Number.parseInt(argument, 10);
  if (!(value > 0)) return 0;
  const inSeconds = unit === "s" || (unit === "auto" && value < 1000);
  return inSeconds ? value * 1000 : value;
}
