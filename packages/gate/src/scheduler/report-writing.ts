import type { Log } from "@drover/server";
import type { ConfigLoader } from "../config/index.ts";
import type { BuildId, GateEffect, Subject } from "../core/index.ts";
import { ForgeError, type LocalForge, type NewComment } from "../forge/index.ts";
import { type Outbox, writeToConnections } from "../reporters/index.ts";
import type { SubjectFacts } from "./build-request.ts";
import type { BuildRow, BuildTable } from "./build-table.ts";
import { fileComments, jobComments, problemComments } from "./report-comments.ts";
import { reportText } from "./report-text.ts";

/** Author of what pipelines report. */
const GATE_AUTHOR = "gate";

type ReportEffect = Extract<GateEffect, { kind: "report" }>;

export interface ReportParts {
  readonly forge: LocalForge;
  readonly loader: ConfigLoader;
  readonly builds: BuildTable;
  readonly outbox: Outbox;
  /** Names this gate for ever. */
  readonly gateId: string;
  readonly log: Log;
  readonly nowMs: () => number;
  readonly facts: (subject: Subject) => SubjectFacts;
  /** A text of the core as people read it. */
  readonly readable: (text: string) => string;
  /** Address of a page of a build; `null` where none is known. */
  readonly buildUrl: (build: BuildId) => string | null;
}

/** Writes a report where its pipeline says: on its change, and for each connection into the outbox; in the transaction under way. */
export function writeReport(effect: ReportEffect, parts: ReportParts): void {
  const { loader, forge, builds, buildUrl, readable, log, outbox, gateId, nowMs, facts } = parts;
  const { what, pipeline, subject } = effect;
  const reporting = loader.current!.layout.reportersOf(pipeline, what, effect.isDisabled);
  const buildOf = (id: BuildId): BuildRow | undefined => builds.get(id);
  const text = readable(reportText(effect, reporting, buildOf, buildUrl, (row) => builds.definitionOf(row)));
  const elsewhere = reporting.actions.filter((action) => action.driver === "connection");
  if (elsewhere.length > 0 && loader.tenant.connections !== undefined) {
    const known = { gateId, tenant: loader.tenant.name, text, atMs: nowMs(), subject: facts(subject) };
    writeToConnections(effect, elsewhere, {
      ...{ outbox, log, facts: { ...known, buildOf, buildUrl, readable } },
    });
  }
  const number = forge.numberOf(subject.id);
  if (subject.kind === "ref" || number === undefined) return;
  const { revision } = subject;
  const say = (comment: NewComment): void => writeComment(parts, number, { ...comment, revision });
  const actions = reporting.actions.filter((action) => action.driver === "local");
  for (const { vote, comment } of actions) {
    if (vote === null && !comment) continue;
    say({ text: comment ? text : "", ...(vote === null ? {} : { vote }) });
  }
  if (!actions.some(({ comment }) => comment)) return;
  // In a cycle, what a job said is said on the change that it ran for.
  const reported = effect.builds.filter(({ change = subject.id }) => change === subject.id);
  for (const comment of jobComments(reported, builds)) say(comment);
  for (const comment of fileComments(reported, builds)) say(comment);
  for (const comment of problemComments(effect)) say({ ...comment, text: readable(comment.text) });
}

/** What is wrong with one comment is its change's own affair. */
function writeComment({ forge, log }: ReportParts, number: number, comment: NewComment): void {
  try {
    forge.report(number, GATE_AUTHOR, comment);
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    log.warn({ code: error.code, change: number, detail: error.message }, "a report was not taken");
  }
}
