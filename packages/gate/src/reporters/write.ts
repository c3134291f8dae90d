import type { Log } from "@drover/server";
import { type ConnectionAction, DEFAULT_SUBJECT, subjectText } from "../config/index.ts";
import type { GateEffect } from "../core/index.ts";
import { type ReportBody, type ReportFacts, reportBody } from "./body.ts";
import { noteGivenUp } from "./courier.ts";
import type { Outbox } from "./outbox.ts";

/**
 * Writes a report to the outbox for each connection that it goes to, in the transaction that is under way.
 * @param given Where to write, and what is known of the report.
 */
export function writeToConnections(
  effect: Extract<GateEffect, { kind: "report" }>,
  actions: readonly ConnectionAction[],
  given: { readonly outbox: Outbox; readonly facts: ReportFacts; readonly log: Log },
): void {
  const { outbox, facts, log } = given;
  for (const { connection, to, from, subject } of actions) {
    const givenUp = outbox.add(
      connection,
      effect.subject.id,
      (id) => {
        const body = reportBody(effect, id, connection, facts);
        return { body, mail: { to, from, subject: mailSubject(subject, body) } };
      },
      facts.atMs,
    );
    for (const one of givenUp) noteGivenUp(log, one);
  }
}

function mailSubject(written: string | null, { pipeline, report, subject }: ReportBody): string {
  const { number, revision, project, branch, ref, title, owner, topic, url } = subject;
  const change =
    number === null
      ? {}
      : {
          change: {
            ...{ name: `${number},${revision}`, number: String(number), revision: String(revision), title },
            ...{ owner: owner ?? "", topic: topic ?? "", url: url ?? "" },
          },
        };
  return subjectText(written ?? DEFAULT_SUBJECT, {
    ...{ pipeline, project, branch: branch ?? "", ref, result: report },
    ...change,
  });
}
