import {
  GateCore,
  type GateEffect,
  type GateEvent,
  type GateSnapshot,
} from "../../../packages/gate/src/core/index.ts";
import { hashBytes, Random } from "../random.ts";
import { ensure } from "../violation.ts";
import { Authors } from "./authors.ts";
import { Forge } from "./forge.ts";
import { Judge } from "./judge.ts";
import { BuildRecords } from "./records.ts";
import { Settings } from "./settings.ts";
import { SharedExecutions, type SharingTampering } from "./shared-executions.ts";

/*
 * The core in a bad world: everything that it asks for is answered late, twice or after it was taken back, authors
 * change their minds, somebody pushes past the gate, and the process ends between any two effects.
 */

type Effect<K extends GateEffect["kind"]> = Extract<GateEffect, { kind: K }>;
type Asked = Exclude<GateEffect, { kind: "releaseNodes" | "cancelBuild" | "resumeBuild" }>;

/** A core that is wrong in one way. */
export interface Tampering {
  /** What the core is told instead. */
  readonly events?: (events: readonly GateEvent[]) => readonly GateEvent[];
  /** What it asks for instead. */
  readonly effects?: (effects: GateEffect[]) => GateEffect[];
  /** What it finds when it starts again. */
  readonly snapshot?: (snapshot: GateSnapshot) => GateSnapshot;
  readonly sharing?: SharingTampering;
}

export interface GateWorldOptions {
  readonly tampering?: Tampering;
  readonly trace?: (line: string) => void;
}

/** Of answers that come back, so many are told twice. */
const TWICE = 0.03;
/** Batches from one snapshot to the next. */
const SNAPSHOT_EVERY = 120;

export class GateWorld {
  readonly random: Random;
  readonly forge = new Forge();
  readonly settings: Settings;
  readonly #authors: Authors;
  readonly #judge: Judge;
  readonly #options: GateWorldOptions;
  #core = new GateCore();
  #snapshot: GateSnapshot;
  /** Since the snapshot, as they were stored. */
  #log: { readonly events: readonly GateEvent[]; readonly nowMs: number }[] = [];
  /** Told and not stored yet; `durable` ones are told again after a crash. */
  #inbox: { readonly event: GateEvent; readonly durable: boolean }[] = [];
  readonly #asked = new Map<string, Asked>();
  /** Builds whose nodes are taken. */
  readonly #held = new Set<number>();
  /** Builds that wait between their run and their end; those of them that were told to go on; those that are lost. */
  readonly #paused = new Set<number>();
  readonly #resumed = new Set<number>();
  readonly #lost = new Set<number>();
  readonly #records = new BuildRecords();
  /** What runs builds where those of equal content are one execution: with half of the seeds. */
  readonly #sharing: SharedExecutions | null;
  /** Answers that may be told once more. */
  #told: GateEvent[] = [];
  #nowMs = 0;
  #isCalm = false;
  events = 0;
  hash = 0;

  constructor(seed: number, options: GateWorldOptions = {}) {
    this.random = new Random(seed, 1);
    this.settings = new Settings(this.random);
    this.#options = options;
    this.#judge = new Judge(this.forge, this.settings);
    this.#authors = new Authors(this.random, this.forge, this.settings);
    const random = new Random(seed, 9);
    this.#sharing = random.chance(0.5)
      ? new SharedExecutions(random, this.forge, this.settings.projects, options.tampering?.sharing)
      : null;
    this.#snapshot = this.#core.snapshot();
    this.#tell({ kind: "configured", layout: this.settings.layout }, true);
    this.#deliver();
  }

  get #taken(): number {
    return this.#sharing?.slots(this.#held) ?? this.#held.size;
  }

  #tell(event: GateEvent, durable: boolean): void {
    this.#inbox.push({ event, durable });
  }

  /** Something happens. */
  step(): void {
    const { random } = this;
    this.#nowMs += random.below(1_000);
    this.#sharing?.passes(this.#nowMs);
    const roll = random.float();
    if (roll < 0.3) for (const event of this.#authors.act()) this.#tell(event, true);
    else if (roll < 0.9) for (let n = random.between(1, 4); n > 0; n--) this.#answerOne();
    else if (roll < 0.92 && this.#told.length > 0) this.#tell(random.pick(this.#told), false);
    else if (roll < 0.93) this.#crash();
    else if (roll < 0.935) this.#tell({ kind: "configured", layout: this.settings.reconfigure() }, true);
    else if (roll < 0.94) this.#tell({ kind: "pause", on: random.chance(0.3) }, true);
    else this.#tell({ kind: "tick" }, false);
    if (random.chance(0.8)) this.#deliver();
  }

  #answerOne(): void {
    if (this.#asked.size === 0) return;
    const keys = [...this.#asked.keys()];
    const key = this.random.pick(keys);
    const asked = this.#asked.get(key)!;
    if (asked.kind === "requestNodes" && this.#taken >= this.settings.slots) return;
    this.#asked.delete(key);
    for (const event of this.#answer(asked)) {
      const durable = event.kind === "change" || event.kind === "offer";
      this.#tell(event, durable);
      if (durable) continue;
      if (this.random.chance(TWICE)) this.#tell(event, false);
      this.#told.push(event);
      if (this.#told.length > 30) this.#told.shift();
    }
  }

  #answer(asked: Asked): GateEvent[] {
    const { random, settings } = this;
    switch (asked.kind) {
      case "merge": {
        if (!this.#isCalm && random.chance(0.03))
          return [
            { kind: "merged", buildset: asked.buildset, result: { kind: "error", detail: "no merger" } },
          ];
        return [{ kind: "merged", buildset: asked.buildset, result: this.forge.merge(asked.chain) }];
      }
      case "freeze":
        return [settings.freeze(asked, this.#isCalm)];
      case "requestNodes": {
        if (!this.#isCalm && random.chance(0.01))
          return [{ kind: "nodes", build: asked.build, granted: false }];
        this.#held.add(asked.build);
        return [{ kind: "nodes", build: asked.build, granted: true }];
      }
      case "startBuild":
        if (this.#sharing?.knows(asked.build)) {
          const told = this.#sharing.end(asked.build, settings.end(asked, this.#isCalm));
          for (const event of told)
            if (event.kind === "ended") this.#asked.delete(`startBuild ${event.build}`);
          return told;
        }
        if (this.#lost.delete(asked.build))
          return [{ kind: "ended", build: asked.build, result: { kind: "lost" } }];
        if (this.#paused.has(asked.build)) {
          this.#asked.set(keyOf(asked), asked);
          if (this.#isCalm || !random.chance(0.02)) return [];
          this.#paused.delete(asked.build);
          this.#asked.delete(keyOf(asked));
          return [{ kind: "ended", build: asked.build, result: { kind: "lost" } }];
        }
        if (random.chance(settings.pauses) && !this.#resumed.has(asked.build)) {
          this.#asked.set(keyOf(asked), asked);
          this.#paused.add(asked.build);
          return [{ kind: "paused", build: asked.build }];
        }
        if (!this.#isCalm && random.chance(settings.failsEarly)) {
          this.#asked.set(keyOf(asked), asked);
          return [{ kind: "failing", build: asked.build, detail: "its output says so" }];
        }
        return [settings.end(asked, this.#isCalm)];
      case "findProviders": {
        const { item, lookup } = asked;
        return [{ kind: "providersFound", item, lookup, providers: this.#records.find(asked) }];
      }
      case "report":
        return [{ kind: "reported", report: asked.report }];
      case "land":
        return this.#land(asked);
    }
  }

  #land({ buildset, steps }: Effect<"land">): GateEvent[] {
    const before = this.forge.merged.length;
    const answer = this.forge.land(steps);
    const landed: GateEvent = { kind: "landed", buildset, ...answer };
    if (this.forge.merged.length === before) return [landed];
    this.#judge.landed(buildset, steps);
    const news = steps.map(({ link }) => ({ kind: "change", change: this.forge.get(link.change) }) as const);
    const moved = steps.map(({ link }) => this.#authors.moved(link.project, link.branch));
    return this.random.chance(0.5) ? [landed, ...news, ...moved] : [...news, ...moved, landed];
  }

  /** Stores a batch, has the core take it, and does what it asks for. */
  #deliver(): void {
    if (this.#inbox.length === 0) return;
    const batch = this.#inbox.map(({ event }) => event);
    this.#inbox = [];
    this.#take(batch);
  }

  #take(events: readonly GateEvent[]): void {
    const nowMs = this.#nowMs;
    this.events += events.length;
    this.#log.push({ events, nowMs });
    for (const event of events) {
      this.#options.trace?.(`> ${JSON.stringify(event, plain)}`);
      this.#mix(event);
      this.#records.told(event);
      this.#sharing?.stored(event);
    }
    const watch = (told: readonly GateEvent[]) => this.#judge.watched(told, this.#core);
    const effects = this.#step(this.#core, events, nowMs, watch);
    for (const effect of effects) {
      this.#options.trace?.(`  < ${JSON.stringify(effect)}`);
      this.#mix(effect);
      this.#records.asked(effect);
      this.#sharing?.asked(effect);
    }
    this.#judge.step(events, effects, this.#core);
    // The process may end in the middle of what it does.
    const done = !this.#isCalm && this.random.chance(0.003) ? this.random.below(effects.length + 1) : null;
    for (const effect of effects.slice(0, done ?? effects.length)) this.#do(effect);
    if (done !== null) this.#crash();
    if (this.#log.length >= SNAPSHOT_EVERY) {
      this.#snapshot = JSON.parse(JSON.stringify(this.#core.snapshot()));
      this.#log = [];
    }
  }

  #step(
    core: GateCore,
    events: readonly GateEvent[],
    nowMs: number,
    watch = (told: readonly GateEvent[]) => told,
  ): GateEffect[] {
    const { events: told, effects: asked } = this.#options.tampering ?? {};
    const effects = core.step(watch(told?.(events) ?? events), nowMs);
    return asked?.(effects) ?? effects;
  }

  #mix(value: GateEvent | GateEffect): void {
    this.hash = hashBytes(this.hash, Buffer.from(JSON.stringify(value, plain)));
  }

  #do(effect: GateEffect): void {
    if (effect.kind === "cancelBuild") {
      this.#sharing?.leave(effect.build);
      // Sometimes it ends before it hears of that.
      if (this.random.chance(0.8)) this.#asked.delete(`startBuild ${effect.build}`);
    } else if (effect.kind === "releaseNodes") {
      this.#held.delete(effect.build);
      // A paused build asks for others under the same number.
      this.#told = this.#told.filter((told) => told.kind !== "nodes" || told.build !== effect.build);
      if (this.random.chance(0.8)) this.#asked.delete(`requestNodes ${effect.build}`);
    } else if (effect.kind === "resumeBuild") {
      this.#paused.delete(effect.build);
      this.#resumed.add(effect.build);
    } else {
      if (effect.kind === "startBuild" && effect.isPaused === true) {
        // It is as it was, or gone with the process.
        if (this.#asked.has(keyOf(effect)) && this.#paused.has(effect.build)) return;
        this.#lost.add(effect.build);
        this.#paused.delete(effect.build);
      } else if (effect.kind === "startBuild") {
        this.#held.add(effect.build);
        this.#paused.delete(effect.build);
        if (this.#begin(effect)) return;
      }
      this.#asked.set(keyOf(effect), effect);
    }
    ensure(this.#taken <= this.settings.slots, "G3", () => `${this.#taken} slots are taken`);
  }

  /** @returns Whether a build has its result already. */
  #begin(effect: Effect<"startBuild">): boolean {
    const { subject } = effect;
    const hasMerged = subject.kind === "change" && this.forge.get(subject.id).state === "merged";
    const told = this.#sharing?.begin(effect, hasMerged) ?? [];
    for (const event of told) this.#tell(event, false);
    return told.length > 0;
  }

  /**
   * The process ends: what is not stored is gone, and sometimes all builds with it. What is stored must give exactly the
   * state that was (G5).
   */
  #crash(): void {
    this.#options.trace?.("crash");
    this.#inbox = this.#inbox.filter(({ durable }) => durable);
    this.#restore();
    const oneProcess = this.random.chance(0.5);
    this.#sharing?.crash(oneProcess);
    for (const [key, { kind }] of this.#asked)
      if (oneProcess || kind !== "startBuild") this.#asked.delete(key);
    // Nodes are of the process, and so is the word that they were granted.
    this.#held.clear();
    this.#told = this.#told.filter(({ kind }) => kind !== "nodes");
    this.#take([{ kind: "restarted" }]);
  }

  #restore(): void {
    const stored: GateSnapshot = JSON.parse(JSON.stringify(this.#snapshot));
    const restored = GateCore.restore(this.#options.tampering?.snapshot?.(stored) ?? stored);
    for (const { events, nowMs } of this.#log) this.#step(restored, events, nowMs);
    const [was, is] = [this.#core.snapshot(), restored.snapshot()].map((state) => JSON.stringify(state));
    ensure(was === is, "G5", () => `the state came back another one:\n${firstDifference(was!, is!)}`);
    this.#core = restored;
  }

  /** Everybody stops making trouble, and everything is answered. What is left then has to be right. */
  settle(): void {
    this.#isCalm = true;
    this.settings.calm();
    this.#tell({ kind: "configured", layout: this.settings.layout }, true);
    this.#tell({ kind: "pause", on: false }, true);
    for (const project of this.settings.projects)
      for (const branch of ["main", "stable"]) this.#tell({ kind: "thawBranch", project, branch }, true);
    for (let round = 0; round < 20_000; round++) {
      this.#nowMs += 1_000;
      this.#sharing?.passes(this.#nowMs);
      this.#deliver();
      for (let n = this.#asked.size; n > 0; n--) this.#answerOne();
      if (this.#asked.size > 0 || this.#inbox.length > 0) continue;
      if (this.#core.nextWakeMs === null) break;
      this.#nowMs = Math.max(this.#nowMs, this.#core.nextWakeMs);
      this.#tell({ kind: "tick" }, false);
    }
    this.#restore();
    ensure(this.#held.size === 0, "G3", () => `nodes of builds ${[...this.#held]} were never given back`);
    this.#judge.end(this.#core);
  }
}

function keyOf(effect: Asked): string {
  if (effect.kind === "requestNodes" || effect.kind === "startBuild") return `${effect.kind} ${effect.build}`;
  if (effect.kind === "findProviders") return `${effect.kind} ${effect.item}`;
  return `${effect.kind} ${effect.kind === "report" ? effect.report : effect.buildset}`;
}

/** Maps and sets, which layouts have, as lists. */
function plain(_key: string, value: unknown): unknown {
  return value instanceof Map || value instanceof Set ? [...value] : value;
}

function firstDifference(was: string, is: string): string {
  let at = 0;
  while (was[at] === is[at]) at++;
  const from = Math.max(0, at - 200);
  return `${was.slice(from, at + 100)}\n${is.slice(from, at + 100)}`;
}
