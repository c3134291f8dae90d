import { afterEach, beforeEach, expect, test } from "vitest";
import type { GateEffect } from "../../src/core/index.ts";
import type { ConnectionAction } from "../../src/index.ts";
import { Outbox, type ReportFacts, reportBody, writeToConnections } from "../../src/reporters/index.ts";
import { ReporterStage } from "./stage.ts";

type ReportEffect = Extract<GateEffect, { kind: "report" }>;

const SUBJECT: ReportEffect["subject"] = {
  ...{ kind: "change", id: "local:12", revision: 3, project: "app", branch: "main", commit: "a".repeat(40) },
  ...{ state: "open", isApproved: true, needs: [] },
};
const EFFECT: ReportEffect = {
  ...{ kind: "report", report: 7, what: "failure", item: 1, buildset: 2, pipeline: "check" },
  ...{ subject: SUBJECT, reason: "local:11 does not merge", problems: [] },
  builds: [
    { job: "unit", build: 5, result: "FAILURE", voting: true },
    { job: "docs", build: null, result: "SKIPPED", voting: false },
  ],
};
const FACTS: ReportFacts = {
  ...{ gateId: "abc", tenant: "main", text: "Build failed.", atMs: 1_000 },
  subject: {
    ...{ number: 12, title: "Add a parser", owner: "alice", message: "", topic: null },
    url: "https://gate.example.com/changes/12",
  },
  buildOf: () => undefined,
  buildUrl: (id) => `https://gate.example.com/#/gate/builds/${id}`,
  readable: (text) => text.replaceAll("local:", "change "),
};
const ACTION: ConnectionAction = {
  driver: "connection",
  ...{ connection: "mail", to: "a@example.com", from: null, subject: null, line: 1 },
};

let stage: ReporterStage;
beforeEach(() => {
  stage = new ReporterStage();
});
afterEach(() => stage.end());

test("a report says what became of what, for programs and for people", () => {
  const body = reportBody(EFFECT, "some-id", "hook", FACTS);
  expect(body).toMatchObject({
    ...{ version: 1, id: "some-id", gate: "abc", tenant: "main", connection: "hook", pipeline: "check" },
    ...{ report: "failure", reason: "change 11 does not merge", text: "Build failed.", atMs: 1_000 },
    subject: { kind: "change", number: 12, revision: 3, ref: "refs/changes/12/3", commit: "a".repeat(40) },
  });
  expect(body.builds).toMatchObject([
    { job: "unit", build: "5", result: "FAILURE", voting: true, url: FACTS.buildUrl(5) },
    { job: "docs", build: null, result: "SKIPPED", voting: false, url: null },
  ]);
});

test("a report of a ref has its name and commit, and no number", () => {
  const subject: ReportEffect["subject"] = {
    ...{ kind: "ref", id: "ref:app:refs/tags/v1@b", project: "app", ref: "refs/tags/v1", branch: null },
    ...{ oldCommit: null, newCommit: "b".repeat(40) },
  };
  const facts = { ...FACTS, subject: { ...FACTS.subject, number: null, title: "refs/tags/v1" } };
  const body = reportBody({ ...EFFECT, subject }, "some-id", "hook", facts);
  expect(body.subject).toMatchObject({ number: null, revision: null, ref: "refs/tags/v1", branch: null });
});

test("a report is bounded: a thousand builds and problems, and 64 Ki characters of text", () => {
  const builds = Array.from({ length: 1_001 }, (_, at) => ({ ...EFFECT.builds[0]!, job: `job ${at}` }));
  const problem = { project: "app", branch: "main", file: "zuul.yaml", line: 1, message: "wrong" };
  const problems = Array.from({ length: 1_001 }, () => problem);
  const text = "x".repeat(64 * 1024 + 1);
  const body = reportBody({ ...EFFECT, builds, problems }, "some-id", "hook", { ...FACTS, text });
  expect([body.builds.length, body.problems.length, body.text.length]).toEqual([1_000, 1_000, 64 * 1024]);
});

test("a report is written once for each connection, with the subject of a mail", () => {
  const outbox = new Outbox(stage.database);
  const subject = "{pipeline}: {change.subject} {result}";
  const actions = [ACTION, { ...ACTION, connection: "other", subject }];
  writeToConnections(EFFECT, actions, { outbox, facts: FACTS, log: stage.log });
  expect(outbox.due("mail", 1_000)?.letter.mail).toEqual({
    ...{ to: "a@example.com", from: null },
    subject: "Report for change 12,3 against refs/changes/12/3",
  });
  expect(outbox.due("other", 1_000)?.letter.mail?.subject).toBe("check: Add a parser failure");
  expect(outbox.list({ subject: "local:12" })).toHaveLength(2);
});

test("what has no room any more is told in the log", () => {
  const outbox = new Outbox(stage.database, { maxReports: 1 });
  for (let n = 0; n < 2; n++) writeToConnections(EFFECT, [ACTION], { outbox, facts: FACTS, log: stage.log });
  expect(stage.logged).toMatchObject([
    { level: "error", fields: { code: "REPORT_GIVEN_UP", connection: "mail" } },
  ]);
});
