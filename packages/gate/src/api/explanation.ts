import { Problem } from "@drover/server/http";
import { isConfigPath, type JobExplanation, type Layout } from "../config/index.ts";
import type { CoreStatus, GateCore, ItemStatus, JobStatus, QueueStatus, Subject } from "../core/index.ts";
import type { Gate } from "../gate.ts";
import type { BuildRow } from "../scheduler/build-table.ts";
import { explainedRefs, type WantedRef } from "./explained-refs.ts";
import type { DefinitionView, ExplanationView, JobExplanationView } from "./types.ts";
import { sharedView, subjectView } from "./views.ts";

/* Why a change or a ref is where it is, and what runs for it: in sentences that need no knowledge of the code. */

/** Builds of a change that are looked through. */
const BUILDS = 500;
/** Reports of a change that are not delivered, shown at most. */
const UNDELIVERED = 10;
/** Shown of one job. */
const SHOWN_BUILDS = 10;

/** Moves that are not deletions start the same pipelines, wherever they lead. */
const SOME_COMMIT = "some";
/** Jobs of a change that edits configuration are known only from its buildset. */
const OWN_CONFIG =
  "; it edits configuration, which counts for it while it is in one: these jobs are by what is merged";
/** Digits of a commit. */
const SHORT = 10;

export interface ExplanationWanted {
  /** Only this one of the jobs. */
  readonly job?: string | undefined;
  /** As it was then, in milliseconds since 1970. Default: as it is. */
  readonly atMs?: number | undefined;
}

/** A state of the gate: that of now, or of a time that has passed. */
interface Moment {
  readonly core: GateCore;
  readonly status: CoreStatus;
  /** `null`: now. */
  readonly pastMs: number | null;
}

/** What is explained. */
interface Explained {
  /** Several are moves of one ref. */
  readonly subjects: readonly [Subject, ...Subject[]];
  /** What is said of it when it is in no pipeline. */
  readonly elsewhere: string;
  /** Files that it touches. `null`: of a ref. */
  readonly files: readonly string[] | null;
  /** It may go into pipelines yet. */
  readonly isOpen: boolean;
}

/** @throws HistoryError; Problem `not-found` when the change was not there at that time */
export async function explanationView(
  gate: Gate,
  number: number,
  { job, atMs }: ExplanationWanted = {},
): Promise<ExplanationView> {
  const record = gate.forge.record(number)!;
  if (atMs === undefined) {
    const files = (await gate.forge.paths(number)).map((path) => path.toString());
    const isOpen = record.state === "open";
    const elsewhere = `it is ${record.state}, and in no pipeline${isOpen && editsConfig(gate, record.project, files) ? OWN_CONFIG : ""}`;
    return view(gate, await momentOf(gate), { subjects: [record], elsewhere, files, isOpen }, job);
  }
  const then = gate.forge.change(number)!.revisions.findLast((one) => one.atMs <= atMs);
  if (then === undefined) throw new Problem("not-found", `change ${number} was not there then`);
  const subject = { ...record, revision: then.revision, commit: then.head };
  const explained: Explained = {
    subjects: [subject],
    elsewhere: "it is in no pipeline",
    files: [],
    isOpen: false,
  };
  return view(gate, await momentOf(gate, atMs), explained, job);
}

/** @throws HistoryError; Problem `not-found`, `conflict` */
export async function refExplanationView(
  gate: Gate,
  wanted: WantedRef,
  { job, atMs }: ExplanationWanted = {},
): Promise<ExplanationView> {
  const moment = await momentOf(gate, atMs);
  const [first, ...others] = explainedRefs(moment.core, moment.status, wanted);
  const explained: Explained = {
    subjects: [first!, ...others],
    elsewhere: "it is in no pipeline",
    files: null,
    isOpen: true,
  };
  return view(gate, moment, explained, job);
}

function editsConfig(gate: Gate, project: string, files: readonly string[]): boolean {
  const extraPaths = gate.loader.tenant.projects.get(project)?.extraConfigPaths;
  return files.some((path) => isConfigPath(path, extraPaths));
}

async function momentOf(gate: Gate, atMs?: number): Promise<Moment> {
  const core = atMs === undefined ? gate.scheduler.core : await gate.history.coreAt(atMs);
  return { core, status: core.status(), pastMs: atMs ?? null };
}

function view(gate: Gate, moment: Moment, explained: Explained, job: string | undefined): ExplanationView {
  const { subjects, elsewhere } = explained;
  const now = subjects.flatMap((subject) => whereItIs(moment, subject));
  const undelivered = moment.pastMs === null ? subjects.flatMap(({ id }) => undeliveredOf(gate, id)) : [];
  const jobs = jobsOf(gate, moment, explained).filter((one) => job === undefined || one.job === job);
  const decisions = subjects.flatMap(({ id }) => moment.core.explain(id));
  return {
    subject: subjectView(gate, subjects[0]),
    atMs: moment.pastMs,
    now: [...(now.length > 0 ? now : [elsewhere]), ...undelivered].map((text) => gate.readable(text)),
    jobs: jobs.map((one) => ({
      ...one,
      now: gate.readable(one.now),
      reasons: one.reasons.map((text) => gate.readable(text)),
    })),
    decisions: decisions
      .toSorted((a, b) => a.atMs - b.atMs)
      .map((one) => ({ ...one, text: gate.readable(one.text) })),
  };
}

interface Place {
  readonly queue: QueueStatus;
  readonly item: ItemStatus;
}

/** The live item of a change in a pipeline. */
function placeIn(queues: readonly QueueStatus[], id: string): Place | undefined {
  for (const queue of queues) {
    const item = queue.items.find(({ live, members }) => live && members.some((member) => member.id === id));
    if (item !== undefined) return { queue, item };
  }
  return undefined;
}

function whereItIs({ status }: Moment, subject: Subject): string[] {
  const { id } = subject;
  const commit = subject.kind === "ref" ? subject.newCommit : null;
  const to = commit === null ? "" : `, to ${commit.slice(0, SHORT)}`;
  const now: string[] = [];
  for (const { name, queues, waiting } of status.pipelines) {
    const say = (text: string) => now.push(`${name}${to}: ${text}`);
    const place = placeIn(queues, id);
    if (place !== undefined) {
      const { item } = place;
      say(placeText(place));
      if (item.resets > 0)
        say(
          `it was reset ${item.resets === 1 ? "once" : `${item.resets} times`}: its builds did not count any more, ${item.resets === 1 ? "" : "the last time "}since ${item.resetReason}`,
        );
      if (item.failing !== null)
        say(`it is failing, and is told so when nothing is ahead of it any more: ${item.failing}`);
      else if (item.isLanding) say("all of its jobs passed, and it is being merged");
      for (const reason of item.waiting) say(predicate(reason));
      if (item.failing === null && !item.isLanding && item.waiting.length === 0) say("it is being tested");
    }
    for (const one of waiting)
      if (one.change === id) say(`it was asked for, and is not in the queue: it ${one.reason}`);
  }
  return now;
}

function undeliveredOf(gate: Gate, id: string): string[] {
  return gate.outbox
    .list({ subject: id, limit: UNDELIVERED })
    .map(({ connection, pipeline, report, attempts, problem, givenUpMs }) => {
      const times = attempts === 1 ? "once" : `${attempts} times`;
      const why = attempts === 0 ? "" : `, tried ${times}: ${problem}`;
      return `${pipeline}: its report of ${report} ${givenUpMs === null ? "waits for" : "was given up for"} the connection ${connection}${why}`;
    });
}

function placeText({ queue, item }: Place): string {
  const live = queue.items.filter((one) => one.live);
  const at = live.indexOf(item) + 1;
  const place = live.length === 1 ? "alone" : `number ${at} of ${live.length}`;
  const ahead = queue.items.find(({ id }) => id === item.itemAhead);
  const base =
    ahead === undefined
      ? "tested on what is merged"
      : `tested as if ${namesOf(ahead)} ahead of it had merged already`;
  const cycle = item.members.length === 1 ? "" : `, with all of its cycle: ${namesOf(item)}`;
  const named = queue.name === "" ? "its queue" : `queue ${queue.name}`;
  return `it is ${place} in ${named}, ${base}${cycle}`;
}

function namesOf({ members }: ItemStatus): string {
  const ids = members.map(({ id }) => id);
  return ids.length === 1 ? ids[0]! : `${ids.slice(0, -1).join(", ")} and ${ids.at(-1)}`;
}

/** Of a reason the sentence. Some begin with what the change does. */
function predicate(reason: string): string {
  return /^(?:waits|is|will) /.test(reason) ? `it ${reason}` : reason;
}

/** A configuration of the past is not kept: of such a time the jobs of items are told, and no others. */
function jobsOf(gate: Gate, { status, pastMs }: Moment, explained: Explained): JobExplanationView[] {
  const { subjects } = explained;
  const layout = pastMs === null ? gate.loader.current?.layout : undefined;
  if (layout === undefined && pastMs === null) return [];
  const builds = subjects
    .flatMap(({ id }) => gate.builds.list({ subjectId: id, limit: BUILDS }))
    .filter(({ startedMs }) => pastMs === null || startedMs <= pastMs)
    .toSorted((a, b) => b.id - a.id);
  const queuesOf = new Map(status.pipelines.map((one) => [one.name, one.queues]));
  const names = layout === undefined ? [...queuesOf.keys()] : layout.pipelines.map(({ name }) => name);
  return names.flatMap((name): JobExplanationView[] => {
    const places = subjects.flatMap((subject) => {
      const place = placeIn(queuesOf.get(name) ?? [], subject.id);
      return place === undefined ? [] : [{ subject, item: place.item }];
    });
    const { subject, item } = places[0] ?? { subject: subjects[0], item: undefined };
    const possible = layout === undefined ? [] : possibleJobs(layout, name, subject, explained.files);
    const frozen = item?.buildset == null ? undefined : gate.builds.frozen(item.buildset)?.jobs;
    const statuses = new Map<string, JobStatus>();
    for (const one of item?.jobs ?? [])
      if (one.of?.changes.includes(subject.id) ?? true) statuses.set(one.of?.job ?? one.name, one);
    const known = new Map(possible.map((one) => [one.job, one]));
    // What a change adds to the configuration is in none but its own.
    const jobs = new Set([...known.keys(), ...statuses.keys()]);
    return [...jobs].map((job) => {
      const own = builds.filter((row) => row.pipeline === name && row.job === job);
      const status = statuses.get(job);
      return {
        pipeline: name,
        job,
        ...whether(subject, known.get(job), status, item, frozen?.[status?.name ?? job]?.inheritance, pastMs),
        ...(item === undefined && known.get(job)?.runs === true
          ? { now: outOfPipeline(subject, explained.isOpen, own[0]) }
          : {}),
        builds: own.slice(0, SHOWN_BUILDS).map((row) => buildText(gate, row, pastMs)),
      };
    });
  });
}

/** None of a ref in pipelines that no such ref starts. */
function possibleJobs(
  layout: Layout,
  pipeline: string,
  subject: Subject,
  files: readonly string[] | null,
): readonly JobExplanation[] {
  const { project, branch } = subject;
  if (subject.kind === "change") return layout.explainJobs(pipeline, { project, branch, files });
  const { ref } = subject;
  const hasTimer =
    branch !== null && layout.pipelines.some(({ name, timers }) => name === pipeline && timers.length > 0);
  const moved = { kind: "ref-updated", project, ref, newCommit: SOME_COMMIT } as const;
  if (!hasTimer && !layout.triggersMatching(moved).includes(pipeline)) return [];
  return layout.explainJobs(pipeline, { project, branch, ref, files });
}

function whether(
  { kind }: Subject,
  explained: JobExplanation | undefined,
  status: JobStatus | undefined,
  item: ItemStatus | undefined,
  inheritance: JobExplanation["inheritance"] | undefined,
  pastMs: number | null,
): Pick<JobExplanationView, "runs" | "now" | "reasons" | "definitions"> {
  const merged =
    kind === "change" && pastMs === null ? "with this change merged says" : "was when its turn came";
  const reasons = explained?.reasons ?? [`It runs, as the configuration ${merged}.`];
  const definitions = (inheritance ?? explained?.inheritance ?? []).map(definitionOf);
  if (status !== undefined) return { runs: true, now: doing(status), reasons, definitions };
  const isFrozen = item !== undefined && item.jobs.length > 0;
  const runs = explained?.runs === true && !isFrozen;
  if (!runs) return { runs, now: "does not run", reasons, definitions: [] };
  return { runs, now: "runs when its turn comes", reasons, definitions };
}

/** What a job came to, or would come to, of something that is not in the pipeline. */
function outOfPipeline(subject: Subject, isOpen: boolean, last: BuildRow | undefined): string {
  if (last?.result != null) {
    const { result, id } = last;
    const of =
      subject.kind === "change" &&
      last.subject.kind === "change" &&
      last.subject.revision !== subject.revision
        ? ` of revision ${last.subject.revision}`
        : "";
    return `ended with ${result} as build ${id}${of}`;
  }
  return isOpen
    ? `would run, once the ${subject.kind} is in the pipeline`
    : "would run, were the change in the pipeline";
}

/** What a job of an item does: the end of a sentence that begins with the job. */
function doing({ state, result, build, attempt, reason, voting }: JobStatus): string {
  const again = attempt > 1 ? `, attempt ${attempt}` : "";
  const as = build === null ? "" : ` as build ${build}`;
  if (state === "running") return `runs${as}${again}`;
  if (state !== "ended") {
    const why = reason ?? "waits for its turn";
    return why.startsWith("waits") ? why : `waits: ${why}`;
  }
  const vote = voting || result === "SUCCESS" ? "" : ", which does not count, as the job has no vote";
  return `ended with ${result}${as}${again}${vote}${reason === null ? "" : `: ${reason}`}`;
}

function definitionOf({
  job,
  project,
  branch,
  file,
  line,
}: JobExplanation["inheritance"][number]): DefinitionView {
  return { job, project, branch, file, line };
}

function buildText(gate: Gate, row: BuildRow, pastMs: number | null) {
  const { id, attempt, startedMs } = row;
  const shared = sharedView(gate, id);
  const hasEnded = pastMs === null || (row.endedMs !== null && row.endedMs <= pastMs);
  const { result, detail, endedMs } = hasEnded ? row : { result: null, detail: null, endedMs: null };
  return { id: String(id), result, detail, attempt, startedMs, endedMs, shared };
}
