import type { JobExplanation } from "../config/index.ts";
import type { Change, ItemStatus, JobStatus, QueueStatus } from "../core/index.ts";
import type { Gate } from "../gate.ts";
import type { BuildRow } from "../scheduler/build-table.ts";
import type { DefinitionView, ExplanationView, JobExplanationView } from "./types.ts";
import { sharedView, subjectView } from "./views.ts";

/* Why a change is where it is, and what runs for it: in sentences that need no knowledge of the code. */

/** Builds of a change that are looked through. */
const BUILDS = 500;
/** Reports of a change that are not delivered, shown at most. */
const UNDELIVERED = 10;
/** Shown of one job. */
const SHOWN_BUILDS = 10;

/** @param job Only this one of its jobs. */
export async function explanationView(gate: Gate, number: number, job?: string): Promise<ExplanationView> {
  const record = gate.forge.record(number)!;
  const now = whereItIs(gate, record);
  const jobs = (await jobsOf(gate, number, record)).filter((one) => job === undefined || one.job === job);
  return {
    subject: subjectView(gate, record),
    now: now.map((text) => gate.readable(text)),
    jobs: jobs.map((one) => ({
      ...one,
      now: gate.readable(one.now),
      reasons: one.reasons.map((text) => gate.readable(text)),
    })),
    decisions: gate.scheduler.core
      .explain(record.id)
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

function whereItIs(gate: Gate, { id, state }: Change): string[] {
  const now: string[] = [];
  for (const { name, queues, waiting } of gate.scheduler.status().pipelines) {
    const say = (text: string) => now.push(`${name}: ${text}`);
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
  const undelivered = gate.outbox
    .list({ subject: id, limit: UNDELIVERED })
    .map(({ connection, pipeline, report, attempts, problem, givenUpMs }) => {
      const times = attempts === 1 ? "once" : `${attempts} times`;
      const why = attempts === 0 ? "" : `, tried ${times}: ${problem}`;
      return `${pipeline}: its report of ${report} ${givenUpMs === null ? "waits for" : "was given up for"} the connection ${connection}${why}`;
    });
  return [...(now.length > 0 ? now : [`it is ${state}, and in no pipeline`]), ...undelivered];
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
  return `it is ${place} in queue ${queue.name}, ${base}${cycle}`;
}

function namesOf({ members }: ItemStatus): string {
  const ids = members.map(({ id }) => id);
  return ids.length === 1 ? ids[0]! : `${ids.slice(0, -1).join(", ")} and ${ids.at(-1)}`;
}

/** Of a reason the sentence. Some begin with what the change does. */
function predicate(reason: string): string {
  return /^(?:waits|is|will) /.test(reason) ? `it ${reason}` : reason;
}

async function jobsOf(gate: Gate, number: number, change: Change): Promise<JobExplanationView[]> {
  const layout = gate.loader.current?.layout;
  if (layout === undefined) return [];
  const files = (await gate.forge.paths(number)).map((path) => path.toString());
  const builds = gate.builds.list({ subjectId: change.id, limit: BUILDS });
  const pipelines = new Map(gate.scheduler.status().pipelines.map((one) => [one.name, one.queues]));
  const { project, branch } = change;
  return layout.pipelines.flatMap(({ name }): JobExplanationView[] => {
    const explained = layout.explainJobs(name, { project, branch, files });
    const item = placeIn(pipelines.get(name) ?? [], change.id)?.item;
    const frozen = item?.buildset == null ? undefined : gate.builds.frozen(item.buildset)?.jobs;
    const statuses = new Map<string, JobStatus>();
    for (const one of item?.jobs ?? [])
      if (one.of?.changes.includes(change.id) ?? true) statuses.set(one.of?.job ?? one.name, one);
    const known = new Map(explained.map((one) => [one.job, one]));
    // What a change adds to the configuration is in none but its own.
    const names = new Set([...known.keys(), ...statuses.keys()]);
    return [...names].map((job) => {
      const own = builds.filter((row) => row.pipeline === name && row.job === job);
      const status = statuses.get(job);
      return {
        pipeline: name,
        job,
        ...whether(known.get(job), status, item, frozen?.[status?.name ?? job]?.inheritance),
        builds: own.slice(0, SHOWN_BUILDS).map((row) => buildText(gate, row)),
      };
    });
  });
}

function whether(
  explained: JobExplanation | undefined,
  status: JobStatus | undefined,
  item: ItemStatus | undefined,
  inheritance: JobExplanation["inheritance"] | undefined,
): Pick<JobExplanationView, "runs" | "now" | "reasons" | "definitions"> {
  const reasons = explained?.reasons ?? ["It runs, as the configuration with this change merged says."];
  const definitions = (inheritance ?? explained?.inheritance ?? []).map(definitionOf);
  if (status !== undefined) return { runs: true, now: doing(status), reasons, definitions };
  const isFrozen = item !== undefined && item.jobs.length > 0;
  const runs = explained?.runs === true && !isFrozen;
  if (!runs) return { runs, now: "does not run", reasons, definitions: [] };
  const now =
    item === undefined ? "would run, once the change is in the pipeline" : "runs when its turn comes";
  return { runs, now, reasons, definitions };
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

function buildText(gate: Gate, { id, result, detail, attempt, startedMs, endedMs }: BuildRow) {
  const shared = sharedView(gate, id);
  return { id: String(id), result, detail, attempt, startedMs, endedMs, shared };
}
