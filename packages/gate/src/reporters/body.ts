import type { ConfigProblem, GateEffect, ReportKind, Subject } from "../core/index.ts";
import type { SubjectFacts } from "../scheduler/build-request.ts";
import type { BuildRow } from "../scheduler/build-table.ts";

/** Of the shape below. Fields may be added without another number. */
export const REPORT_VERSION = 1;
/** Builds and problems that one report names. */
const MAX_NAMED = 1_000;
/** Characters of its text. */
const MAX_TEXT = 64 * 1024;

/** A report as a command reads it and a webhook posts it, in JSON. Times are milliseconds since 1970. */
export interface ReportBody {
  readonly version: typeof REPORT_VERSION;
  /** Of this report at this connection: sent again, it has the same one. */
  readonly id: string;
  readonly atMs: number;
  /** Name of the gate, which is its own for ever. */
  readonly gate: string;
  readonly tenant: string;
  readonly connection: string;
  readonly pipeline: string;
  readonly report: ReportKind;
  readonly subject: {
    readonly kind: Subject["kind"];
    readonly project: string;
    readonly branch: string | null;
    /** Of a change. */
    readonly number: number | null;
    readonly revision: number | null;
    /** `refs/changes/12/3` of a change. */
    readonly ref: string;
    /** `null`: the ref was deleted. */
    readonly commit: string | null;
    readonly title: string;
    readonly owner: string | null;
    readonly topic: string | null;
    readonly url: string | null;
  };
  /** Why, in a sentence. */
  readonly reason: string;
  /** What it says on the change, for people. */
  readonly text: string;
  readonly builds: readonly ReportedBuildBody[];
  /** Of the configuration. */
  readonly problems: readonly ConfigProblem[];
}

interface ReportedBuildBody {
  readonly job: string;
  /** `null`: it never ran. */
  readonly build: string | null;
  readonly result: string;
  readonly voting: boolean;
  readonly detail: string | null;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  readonly url: string | null;
}

export interface ReportFacts {
  readonly gateId: string;
  readonly tenant: string;
  /** What the report says, for people. */
  readonly text: string;
  readonly atMs: number;
  readonly subject: SubjectFacts;
  readonly buildOf: (id: number) => BuildRow | undefined;
  readonly buildUrl: (id: number) => string | null;
  /** A text of the core as people read it. */
  readonly readable: (text: string) => string;
}

/** What a connection is told of a report. */
export function reportBody(
  effect: Extract<GateEffect, { kind: "report" }>,
  id: string,
  connection: string,
  facts: ReportFacts,
): ReportBody {
  const { subject, pipeline, what, reason, builds, problems } = effect;
  const { number, title, owner, topic, url } = facts.subject;
  const isChange = subject.kind === "change";
  return {
    version: REPORT_VERSION,
    id,
    atMs: facts.atMs,
    gate: facts.gateId,
    tenant: facts.tenant,
    connection,
    pipeline,
    report: what,
    subject: {
      kind: subject.kind,
      project: subject.project,
      branch: subject.branch,
      number,
      revision: isChange ? subject.revision : null,
      ref: isChange ? `refs/changes/${number}/${subject.revision}` : subject.ref,
      commit: isChange ? subject.commit : subject.newCommit,
      ...{ title, owner, topic: topic ?? null, url: url ?? null },
    },
    reason: facts.readable(reason),
    text: facts.text.slice(0, MAX_TEXT),
    builds: builds.slice(0, MAX_NAMED).map(({ job, build, result, voting }) => {
      const row = build === null ? undefined : facts.buildOf(build);
      return {
        job: facts.readable(job),
        build: build === null ? null : String(build),
        result,
        voting,
        detail: row?.detail ?? null,
        startedMs: row?.startedMs ?? null,
        endedMs: row?.endedMs ?? null,
        url: build === null ? null : facts.buildUrl(build),
      };
    }),
    problems: problems
      .slice(0, MAX_NAMED)
      .map((problem) => ({ ...problem, message: facts.readable(problem.message) })),
  };
}
