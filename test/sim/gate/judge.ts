import type {
  ChainLink,
  Change,
  CoreLayout,
  GateCore,
  GateEffect,
  GateEvent,
  ItemStatus,
  JobGraph,
  LandStep,
  MergeResult,
  QueueStatus,
} from "../../../packages/gate/src/core/index.ts";
import { ensure } from "../violation.ts";
import { DisabledJudge } from "./disabled-judge.ts";
import type { Forge } from "./forge.ts";
import { InOrderJudge } from "./in-order.ts";
import { queueOf } from "./layouts.ts";
import { PauseJudge } from "./pause-judge.ts";
import { ProviderJudge } from "./provider-judge.ts";
import { SemaphoreJudge } from "./semaphore-judge.ts";
import { TriggerJudge } from "./trigger-judge.ts";

type Effect<K extends GateEffect["kind"]> = Extract<GateEffect, { kind: K }>;

interface JudgedBuildset {
  readonly chain: readonly ChainLink[];
  /** Links at the end of the chain that are the item's own. */
  readonly own: number;
  readonly item: number;
  merge: MergeResult | null;
  graph: JobGraph | null;
  isBroken: boolean;
  /** The layout that it was found broken by last. */
  brokenBy: number;
  /** The layout that its jobs were last asked for under. */
  layout: number;
}

/**
 * Says whether the gate did right, by what it was told, what it asked for and what it shows, and by rules that are
 * written here once more, as simply as can be, over whole queues.
 */
export class Judge {
  readonly #forge: Forge;
  /** As the core was told last. */
  #layout: CoreLayout;
  readonly #changes = new Map<string, Change>();
  readonly #buildsets = new Map<number, JudgedBuildset>();
  readonly #builds = new Map<number, { readonly buildset: number; readonly job: string }>();
  /** Final results by build, as they were told the first time. */
  readonly #results = new Map<number, string>();
  /** Builds that were shown to run before this batch, and that have not ended in it. */
  #running = new Set<number>();
  /** Builds that were told to fail while they ran. */
  readonly #failing = new Set<number>();
  readonly #granted = new Set<number>();
  readonly #started = new Set<number>();
  /** Approved revisions that were offered to the gate, and that it owes a word. */
  readonly #owed = new Map<string, number>();
  /** By item and change. */
  readonly #finals = new Map<string, string>();
  readonly #starts = new Set<string>();
  readonly #reported = new Set<number>();
  readonly #inGate = new Set<number>();
  readonly #pauses = new PauseJudge();
  readonly #semaphores = new SemaphoreJudge();
  readonly #providers = new ProviderJudge();
  /** Buildsets that could not merge since their branch had moved. */
  readonly #outrun = new Set<number>();
  readonly #frozen = new Set<string>();
  readonly #inOrder = new InOrderJudge();
  readonly #triggers = new TriggerJudge();
  readonly #disabled = new DisabledJudge();
  #before = new Map<number, ItemStatus>();
  #queued = new Set<string>();

  /** @param settings Tells the layout that is in force at first. */
  constructor(forge: Forge, settings: { readonly layout: CoreLayout }) {
    this.#forge = forge;
    this.#layout = settings.layout;
  }

  /** The events of a batch as the core is to take them. */
  watched(events: readonly GateEvent[], core: GateCore): readonly GateEvent[] {
    return this.#triggers.watched(events, core);
  }

  step(events: readonly GateEvent[], effects: readonly GateEffect[], core: GateCore): void {
    const restarted = events.some(({ kind }) => kind === "restarted");
    for (const event of events) if (event.kind === "configured") this.#layout = event.layout;
    // Of one batch a new layout is taken first, and what answers for the old one is dropped.
    if (events.some(({ kind }) => kind === "configured"))
      for (const effect of effects) if (effect.kind === "freeze") this.#freeze(effect);
    for (const event of events) this.#told(event);
    const status = core.status();
    const items = new Map<number, ItemStatus>();
    const pipelineOf = new Map<number, string>();
    for (const { name, queues } of status.pipelines) {
      for (const item of queues.flatMap((queue) => queue.items)) {
        items.set(item.id, item);
        pipelineOf.set(item.id, name);
      }
    }
    for (const effect of effects) this.#asked(effect, items, restarted);
    for (const { name, manager, queues } of status.pipelines) {
      for (const queue of queues) {
        this.#waits(queue);
        if (manager === "dependent") this.#dependent(queue, items);
        if (manager === "dependent") for (const { id } of queue.items) this.#inGate.add(id);
        if (name === "gate" || name === "check")
          for (const item of queue.items) this.#whole(item, items, name);
        for (const item of queue.items) this.#shown(item);
      }
      ensure(name !== "gate" || !hasTwice(queues), "twice", () => "a change is in the gate twice");
    }
    this.#pauses.step(events, effects, items, (buildset) => this.#buildsets.get(buildset)?.graph ?? null);
    const graphOf = (buildset: number): JobGraph | null => this.#buildsets.get(buildset)?.graph ?? null;
    this.#semaphores.step(events, effects, graphOf, core);
    this.#providers.step(events, effects, items, (item) => pipelineOf.get(item), graphOf);
    for (const event of events) this.#frozenTold(event);
    for (const effect of effects) if (effect.kind === "land" && !restarted) this.#notFrozen(effect);
    this.#inOrder.step(events, effects, status);
    this.#triggers.step(effects, status, this.#layout, this.#changes);
    if (!restarted) this.#disabled.step(events, effects, this.#layout);
    this.#mergedAlone(events, items);
    for (const event of events) if (event.kind === "branchMoved") this.#startAnew(event, items);
    this.#forgotten(core);
    this.#before = items;
    this.#running = new Set(
      [...items.values()].flatMap(({ jobs }) =>
        jobs.flatMap(({ state, build }) =>
          (state === "running" || state === "paused") && build !== null ? [build] : [],
        ),
      ),
    );
  }

  #told(event: GateEvent): void {
    if (event.kind === "ended") this.#running.delete(event.build);
    if (event.kind === "change") {
      const { change } = event;
      const known = this.#changes.get(change.id);
      if (known?.state === "merged") return;
      this.#changes.set(change.id, change);
      if (change.state !== "open" || !change.isApproved || known?.revision !== change.revision)
        this.#owed.delete(change.id);
    } else if (event.kind === "offer" && typeof event.subject === "string") {
      const change = this.#changes.get(event.subject);
      if (event.pipelines.includes("gate") && change?.state === "open" && change.isApproved)
        this.#owed.set(change.id, change.revision);
    } else if (event.kind === "dequeue" && event.pipeline === "gate") {
      this.#owed.delete(event.subject);
      // The others of its cycle leave with it, also of one that has entered in this very batch.
      const cycle = this.#cycle(event.subject);
      if (this.#allows(cycle)) for (const id of cycle) this.#owed.delete(id);
      for (const { id, members } of this.#before.values())
        if (this.#inGate.has(id) && members.some((one) => one.id === event.subject))
          for (const member of members) this.#owed.delete(member.id);
    } else if (event.kind === "merged") {
      const buildset = this.#buildsets.get(event.buildset);
      if (buildset !== undefined && (buildset.merge === null || buildset.merge.kind === "error"))
        buildset.merge = event.result;
    } else if (event.kind === "frozen") {
      const buildset = this.#buildsets.get(event.buildset);
      if (buildset === undefined || buildset.layout !== event.layout) return;
      // Asked again for another configuration it may be right.
      if (buildset.isBroken && buildset.brokenBy === event.layout) return;
      buildset.isBroken = event.result.kind !== "graph";
      if (event.result.kind === "graph") this.#regraph(event.buildset, buildset, event.result.graph);
      else buildset.brokenBy = buildset.layout;
    } else if (event.kind === "nodes" && event.granted) {
      this.#granted.add(event.build);
    } else if (event.kind === "ended" && event.result.kind === "final") {
      const { result } = event.result;
      const isForced = result === "SUCCESS" && this.#failing.has(event.build);
      if (!this.#results.has(event.build)) this.#results.set(event.build, isForced ? "FAILURE" : result);
    } else if (event.kind === "failing" && this.#running.has(event.build)) {
      this.#failing.add(event.build);
    } else if (event.kind === "landed" && event.moved) {
      this.#outrun.add(event.buildset);
    } else if (event.kind === "reported") {
      this.#reported.add(event.report);
    } else if (event.kind === "configured") {
      for (const [id] of this.#owed)
        if (!event.layout.projects.has(this.#changes.get(id)!.project)) this.#owed.delete(id);
    }
  }

  /** Jobs that are gone do not count, even if they come back. */
  #regraph(id: number, judged: JudgedBuildset, graph: JobGraph): void {
    const names = new Set(graph.jobs.map(({ name }) => name));
    if (judged.graph !== null)
      for (const [build, { buildset, job }] of this.#builds)
        if (buildset === id && !names.has(job)) this.#builds.delete(build);
    judged.graph = graph;
  }

  #asked(effect: GateEffect, items: ReadonlyMap<number, ItemStatus>, restarted: boolean): void {
    if (effect.kind === "merge") this.#chain(effect, items);
    else if (effect.kind === "freeze") this.#freeze(effect);
    else if (effect.kind === "startBuild") this.#start(effect, restarted);
    else if (effect.kind === "report") this.#report(effect, restarted);
  }

  /** I1: a chain is what the tree says, and stays. */
  #chain({ buildset, chain }: Effect<"merge">, items: ReadonlyMap<number, ItemStatus>): void {
    const known = this.#buildsets.get(buildset);
    if (known !== undefined) {
      ensure(same(known.chain, chain), "I1", () => `the chain of buildset ${buildset} was changed`);
      return;
    }
    const item = [...items.values()].find((shown) => shown.buildset === buildset);
    if (item === undefined) return;
    const tree: string[] = [];
    for (let link: ItemStatus | undefined = item; link !== undefined; link = items.get(link.itemAhead ?? -1))
      tree.unshift(...link.members.map(nameOf));
    const told = chain.map(({ change, revision }) => `${change}@${revision}`);
    ensure(same(told, tree), "I1", () => `buildset ${buildset} is of ${told}, and its item hangs at ${tree}`);
    ensure(item.active, "window", () => `item ${item.id} is outside of the window and is merged`);
    this.#buildsets.set(buildset, {
      chain,
      own: item.members.length,
      item: item.id,
      merge: null,
      graph: null,
      isBroken: false,
      brokenBy: 0,
      layout: 0,
    });
  }

  #freeze({ buildset, layout }: Effect<"freeze">): void {
    const judged = this.#buildsets.get(buildset);
    if (judged !== undefined) judged.layout = layout;
  }

  #start({ build, buildset, job }: Effect<"startBuild">, restarted: boolean): void {
    ensure(this.#granted.has(build), "G3", () => `build ${build} starts without nodes`);
    ensure(restarted || !this.#started.has(build), "G6", () => `build ${build} starts twice`);
    this.#started.add(build);
    this.#builds.set(build, { buildset, job });
    ensure(!this.#results.has(build), "G6", () => `build ${build} runs again though its result was told`);
  }

  /** One start and one final report of each item; a failing one is told of at the head only (I3). */
  #report(effect: Effect<"report">, restarted: boolean): void {
    const { report, what, item, pipeline, subject, buildset, reason } = effect;
    if (restarted) {
      ensure(!this.#reported.has(report), "G6", () => `report ${report} is made again though it was made`);
      return;
    }
    const key = `${item} ${subject.id}`;
    if (what === "start") {
      ensure(!this.#starts.has(key), "reports", () => `item ${item} starts twice`);
      this.#starts.add(key);
      return;
    }
    const earlier = this.#finals.get(key);
    ensure(earlier === undefined, "reports", () => `item ${item} is told of as ${what} after ${earlier}`);
    this.#finals.set(key, what);
    if (pipeline !== "gate") return;
    if (this.#owed.get(subject.id) === (subject.kind === "change" ? subject.revision : 0))
      this.#owed.delete(subject.id);
    const isBlamed = what === "failure" && buildset !== null && this.#outrun.has(buildset);
    ensure(!isBlamed, "moved", () => `${subject.id} is blamed for a push: ${reason}`);
    const judged = buildset === null ? undefined : this.#buildsets.get(buildset);
    if (judged === undefined || !reason.includes(" failed: ")) return;
    for (const { change } of judged.chain.slice(0, -judged.own)) {
      const merged = this.#forge.get(change).state === "merged";
      ensure(merged, "I3", () => `item ${item} was told of with ${change} still ahead: ${reason}`);
    }
  }

  /** What merged as one step: the changes of one item, every one of them, in its order. */
  landed(buildset: number, steps: readonly LandStep[]): void {
    const judged = this.#buildsets.get(buildset);
    const own = judged?.chain.slice(-judged.own).map(({ change }) => change) ?? [];
    const landed = steps.map(({ link }) => link.change);
    ensure(same(own, landed), "cycle", () => `of ${own} only ${landed} merged`);
    for (const { link, commit } of steps) this.#moved(buildset, link, commit);
  }

  /** G1 and I2: a branch moves only to what was tested on exactly what is there. */
  #moved(buildset: number, link: ChainLink, commit: string): void {
    const judged = this.#buildsets.get(buildset);
    ensure(judged?.merge?.kind === "merged", "G1", () => `${link.change} merged without a tested commit`);
    const { chain, merge, graph } = judged;
    const tested = merge.steps[chain.findIndex(({ change }) => change === link.change)];
    ensure(
      tested?.commit === commit,
      "G1",
      () => `${link.change} merged as ${commit}, tested as ${tested?.commit}`,
    );
    const history = this.#forge.history(link.project, link.branch);
    // What somebody had brought in already was merged by nothing, wherever it is.
    const onBranch = chain
      .filter((_, i) => merge.steps[i]!.base !== merge.steps[i]!.commit)
      .filter(({ project, branch }) => project === link.project && branch === link.branch)
      .map(({ change, revision }) => `${change}@${revision}`);
    const order = history.filter((name) => onBranch.includes(name));
    ensure(same(order, onBranch), "I2", () => `${link.change} merged as ${order}, tested as ${onBranch}`);
    for (const { change, revision } of chain) {
      const merged = this.#forge.merged.some((one) => one.change === change && one.revision === revision);
      ensure(merged, "I2", () => `${link.change} was tested with ${change}, which has not merged`);
    }
    ensure(graph !== null && graph.jobs.length > 0, "G1", () => `${link.change} merged without jobs`);
    for (const { name, voting } of graph.jobs) {
      const result = this.#newestResult(buildset, name);
      const isBad = voting && result !== undefined && result !== "SUCCESS";
      ensure(!isBad, "G1", () => `${link.change} merged although ${name} ended with ${result}`);
    }
  }

  #newestResult(buildset: number, job: string): string | undefined {
    let newest: number | undefined;
    for (const [build, told] of this.#builds)
      if (told.buildset === buildset && told.job === job) newest = Math.max(newest ?? 0, build);
    return newest === undefined ? undefined : this.#results.get(newest);
  }

  /** The tree and the window of a dependent queue, worked out anew from head to tail. */
  #dependent({ items, window }: QueueStatus, all: ReadonlyMap<number, ItemStatus>): void {
    let nnfi: ItemStatus | null = null;
    const ahead = new Map<string, ItemStatus>();
    items.forEach((item, i) => {
      ensure(
        item.active === (window === 0 || i < window),
        "window",
        () => `item ${item.id} at ${i} of ${window}`,
      );
      const needed = this.#needs(item).map((id) => ahead.get(id));
      const isLost = !item.isLanding && needed.includes(undefined);
      ensure(!isLost, "needs", () => `${item.members.map(nameOf)} stays without what it needs`);
      const needsFailing = needed.some((need) => (need?.failing ?? null) !== null);
      const failing = needsFailing || this.#hasFailed(item);
      ensure(
        failing === (item.failing !== null),
        "I6",
        () => `${item.subject.id} is failing: ${item.failing}`,
      );
      const hangsRight = item.itemAhead === (nnfi?.id ?? null);
      ensure(
        hangsRight || needsFailing || item.isLanding,
        "I4",
        () => `item ${item.id} hangs at ${item.itemAhead}, not ${nnfi?.id}`,
      );
      ensure(!needsFailing || item.buildset === null, "I4", () => `item ${item.id} runs for nothing`);
      const parent = all.get(item.itemAhead ?? -1);
      const isLinked = parent === undefined ? item.itemAhead === null : parent.itemsBehind.includes(item.id);
      ensure(isLinked, "tree", () => `item ${item.id} and item ${item.itemAhead} disagree`);
      if (!failing) nnfi = item;
      for (const { id } of item.members) ahead.set(id, item);
    });
  }

  /** Changes that a queued one needs ahead of it. */
  #needs({ members }: ItemStatus): string[] {
    return members.flatMap((member) => {
      const { needs = [] } = this.#changes.get(member.id) ?? {};
      return needs
        .map(({ change }) => change)
        .filter((id) => {
          const isOther = id === member.id || !members.some((one) => one.id === id);
          return id !== null && isOther && this.#changes.get(id)?.state !== "merged";
        }) as string[];
    });
  }

  /** Changes that need this one and that it needs, by way of whatever others. */
  #cycle(id: string): Set<string> {
    const reach = (from: string): Set<string> => {
      const reached = new Set([from]);
      for (const at of reached)
        for (const { change: needed, revision } of this.#changes.get(at)?.needs ?? []) {
          const target = needed === null ? undefined : this.#changes.get(needed);
          if (target?.state === "open" && (revision === null || revision === target.revision))
            reached.add(target.id);
        }
      return reached;
    };
    return new Set([...reach(id)].filter((other) => reach(other).has(id)));
  }

  #allows(cycle: ReadonlySet<string>): boolean {
    const [first, ...others] = [...cycle].map((id) => this.#changes.get(id)!);
    const { queues } = this.#layout.pipelines.find(({ name }) => name === "gate")!;
    if (others.length === 0) return true;
    return (
      queues.get(first!.project)?.allowsCycles === true &&
      others.every((other) => !this.#isElsewhere(first!, other))
    );
  }

  /** No item holds a part of a cycle, or what is none, or one that its queue does not allow. */
  #whole(
    { id, live, isLanding, members }: ItemStatus,
    items: ReadonlyMap<number, ItemStatus>,
    pipeline: string,
  ): void {
    if (!live || isLanding || members[0]!.kind === "ref") return;
    const cycle = this.#cycle(members[0]!.id);
    const near = new Set(members.flatMap((member) => [...this.#cycle(member.id)]));
    for (const other of items.values())
      if (other.isLanding && this.#inGate.has(other.id) && other.members.some((one) => near.has(one.id)))
        return;
    const held = members.map((member) => member.id).sort();
    ensure(
      same(held, [...cycle].sort()),
      "cycle",
      () => `item ${id} of ${pipeline} holds ${held} of ${[...cycle]}`,
    );
    ensure(
      this.#allows(cycle),
      "cycle",
      () => `item ${id} of ${pipeline} holds ${held}, which its queue does not allow`,
    );
  }

  /** By its own buildset. */
  #hasFailed({ buildset, jobs, members }: ItemStatus): boolean {
    if (buildset === null) return false;
    const judged = this.#buildsets.get(buildset);
    const merge = judged?.merge;
    if (judged?.isBroken || judged?.graph?.jobs.length === 0) return true;
    const tested = judged?.graph?.jobs.flatMap(({ of }) => of?.changes ?? []);
    if (tested !== undefined && members.length > 1 && members.some(({ id }) => !tested.includes(id)))
      return true;
    if (merge?.kind === "conflict" && merge.link >= judged!.chain.length - judged!.own) return true;
    const voting = new Set(judged?.graph?.jobs.filter((job) => job.voting).map(({ name }) => name));
    const isBad = ({ build, result }: ItemStatus["jobs"][number]) =>
      !PASSES.has(result ?? "SUCCESS") || (build !== null && this.#failing.has(build));
    if (jobs.some((job) => voting.has(job.name) && isBad(job))) return true;
    return jobs.length > 0 && jobs.every(({ result }) => result === "SKIPPED");
  }

  /** G6: results that were told are shown, and none that was not. */
  #shown({ jobs }: ItemStatus): void {
    for (const { build, state, result, name, reason } of jobs) {
      if (build === null) continue;
      const told = this.#results.get(build);
      if (state === "running")
        ensure(
          told === undefined,
          "G6",
          () => `build ${build} of ${name} was told to be ${told}, and is lost`,
        );
      if (state === "ended" && reason === null)
        ensure(result === told, "G6", () => `build ${build} of ${name} is ${result}, told was ${told}`);
    }
  }

  /** G4: something runs, or something says why not. */
  #waits({ name, items }: QueueStatus): void {
    const moves = items.some(
      ({ waiting, jobs }) =>
        waiting.length > 0 || jobs.some(({ state }) => state === "running" || state === "paused"),
    );
    ensure(moves || items.length === 0, "G4", () => `queue ${name} stands still and does not say why`);
  }

  #frozenTold(event: GateEvent): void {
    if (event.kind !== "freezeBranch" && event.kind !== "thawBranch") return;
    const name = `${event.project} ${event.branch}`;
    if (event.kind === "freezeBranch") this.#frozen.add(name);
    else this.#frozen.delete(name);
  }

  /** Nothing merges into a branch that is frozen. */
  #notFrozen({ steps }: Effect<"land">): void {
    for (const { link } of steps) {
      const name = `${link.project} ${link.branch}`;
      ensure(!this.#frozen.has(name), "frozen", () => `${link.change} merges into ${name}, which is frozen`);
    }
  }

  /** I5: what was tested on top of a change that merged goes on. */
  #mergedAlone(events: readonly GateEvent[], items: ReadonlyMap<number, ItemStatus>): void {
    const [event] = events;
    if (events.length !== 1 || event?.kind !== "landed" || event.refused !== null) return;
    for (const { id, itemAhead, buildset } of this.#before.values()) {
      const ahead = this.#before.get(itemAhead ?? -1);
      const now = items.get(id);
      if (ahead?.buildset !== event.buildset || buildset === null || now === undefined) continue;
      ensure(
        now.buildset === buildset,
        "I5",
        () => `item ${id} starts again though ${ahead.subject.id} merged`,
      );
    }
  }

  /** Nothing is built any more on a branch that is not there. */
  #startAnew(
    { project, branch }: Extract<GateEvent, { kind: "branchMoved" }>,
    items: ReadonlyMap<number, ItemStatus>,
  ): void {
    for (const { id, members, buildset, isLanding } of this.#before.values()) {
      const now = items.get(id);
      const isThere = members.some((one) => one.project === project && one.branch === branch);
      if (!isThere || !this.#inGate.has(id)) continue;
      const goesOn = buildset !== null && now?.buildset === buildset && !isLanding && !now.isLanding;
      ensure(!goesOn, "moved", () => `item ${id} goes on although ${branch} of ${project} was moved`);
    }
  }

  /** G2: what is approved and was offered is queued, waits with a reason, has merged, or was told of. */
  #forgotten(core: GateCore): void {
    const gate = core.status().pipelines.find(({ name }) => name === "gate");
    const there = new Set(gate?.waiting.map(({ change }) => change));
    for (const queue of gate?.queues ?? [])
      for (const { members } of queue.items) for (const { id } of members) there.add(id);
    for (const [id] of this.#owed) {
      // A project that is gone takes its changes along.
      if (this.#queued.has(id) && !this.#layout.projects.has(this.#changes.get(id)!.project)) continue;
      const isKnown = there.has(id) || this.#changes.get(id)?.state === "merged";
      ensure(isKnown, "G2", () => `${id} is approved, and forgotten`);
    }
    this.#queued = there;
    const landing = (gate?.queues ?? []).flatMap(({ items }) => items.filter(({ isLanding }) => isLanding));
    const merging = new Set(landing.flatMap(({ members }) => members.map(({ id }) => id)));
    for (const { change, reason } of gate?.waiting ?? []) {
      ensure(this.#hasReason(change, merging), "G2", () => `${change} waits in gate for nothing: ${reason}`);
    }
  }

  /** Everything that could be done is done. */
  end(core: GateCore): void {
    for (const { name, queues, waiting } of core.status().pipelines) {
      const left = queues.flatMap(({ items }) => items).map(({ subject }) => subject.id);
      ensure(left.length === 0, "G4", () => `${left} never leave ${name}`);
      for (const { change, reason } of waiting)
        ensure(this.#hasReason(change), "G2", () => `${change} waits in ${name} for nothing: ${reason}`);
    }
    this.#semaphores.end(core);
    ensure(core.snapshot().reports.length === 0, "reports", () => "a report is never made");
  }

  /** Whether something that a change needs, directly or not, is not there. @param merging Changes that nothing is done about yet. */
  #hasReason(id: string, merging: ReadonlySet<string> = new Set()): boolean {
    const cycle = this.#cycle(id);
    if (!this.#allows(cycle) || [...cycle].some((one) => merging.has(one))) return true;
    return [...cycle].some((one) => {
      const member = this.#changes.get(one)!;
      if (!this.#layout.projects.has(member.project) || !member.isApproved) return true;
      return member.needs.some(({ change: needed, revision }) => {
        const target = needed === null ? undefined : this.#changes.get(needed);
        if (target === undefined || (revision !== null && target.revision !== revision)) return true;
        if (target.state === "merged" || (cycle.has(target.id) && target !== member)) return false;
        if (target.state === "abandoned" || !target.isApproved || target === member) return true;
        return this.#isElsewhere(member, target) || this.#hasReason(target.id, merging);
      });
    });
  }

  #isElsewhere(change: Change, target: Change): boolean {
    return queueOf(this.#layout, change) !== queueOf(this.#layout, target);
  }
}

const PASSES: ReadonlySet<string> = new Set(["SUCCESS", "SKIPPED"]);

const nameOf = (subject: ItemStatus["subject"]): string =>
  `${subject.id}@${subject.kind === "change" ? subject.revision : 0}`;

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function hasTwice(queues: readonly QueueStatus[]): boolean {
  const ids = queues.flatMap(({ items }) => items).flatMap(({ members }) => members.map(({ id }) => id));
  return new Set(ids).size < ids.length;
}
