import { appendFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { ChangeView, ExplanationView, StatusView, UndeliveredView } from "@drover/gate/api";
import { SMTPServer } from "smtp-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import type { Clone } from "../../packages/gate/test/forge/stage.ts";
import { until } from "../peers/until.ts";
import { proposeChange, RunningGate } from "./running-gate.ts";

/* Reports of a gate to a webhook, a mail server and commands, one of which always fails (scenario 18 of gate.md §9). */

const DEADLINE_MS = 60_000;

interface Posted {
  readonly id: string;
  readonly report: string;
  readonly pipeline: string;
  readonly subject: { readonly number: number | null; readonly ref: string };
  readonly builds: readonly { readonly job: string; readonly result: string }[];
}

let running: RunningGate;
let app: Clone;
let hook: Server;
let mailServer: SMTPServer;
const posted: Posted[] = [];
const mails: string[] = [];
/** What the webhook answers. */
let status = 200;

beforeAll(async () => {
  hook = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      posted.push(JSON.parse(Buffer.concat(chunks).toString()) as Posted);
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
  mailServer = new SMTPServer({
    ...{ authOptional: true, disabledCommands: ["STARTTLS"], logger: false },
    onData(stream, _session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        mails.push(Buffer.concat(chunks).toString());
        done();
      });
    },
  });
  const listening = mailServer.listen(0, "127.0.0.1");
  await new Promise<void>((resolve) => listening.once("listening", resolve));
  running = await RunningGate.start();
  const connections = [
    { name: "broken", driver: "command", command: ["false"] },
    {
      ...{ name: "hook", driver: "webhook" },
      url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/gate`,
    },
    {
      ...{ name: "mail", driver: "smtp", server: "127.0.0.1" },
      port: (listening.address() as AddressInfo).port,
    },
  ];
  const text = stringify(connections.map((connection) => ({ connection })));
  appendFileSync(join(running.gateFolder, "gate.yaml"), text);
  await running.post("/reconfigure", "root");
  const mail = { to: "team@example.com", from: "gate@example.com", subject: "{pipeline}: {change} is in" };
  const deploy = {
    ...{ name: "deploy", manager: "serial", trigger: { local: { event: "change-merged" } } },
    success: { broken: {}, hook: {}, mail, local: {} },
  };
  const publish = {
    ...{ name: "publish", manager: "supercedent" },
    ...{ trigger: { local: { event: "ref-updated", branch: "^main$" } }, success: { hook: {} } },
  };
  await running.pushDirectly("config", {
    "zuul.d/tell.yaml": stringify([{ pipeline: deploy }, { pipeline: publish }]),
  });
  const noop = { jobs: ["noop"] };
  const config = [{ project: { gate: noop, deploy: noop, publish: noop } }];
  app = await running.repository("app", "alice", { "zuul.yaml": stringify(config) });
  await running.post("/projects", "root", { name: "app", importFrom: app.folder });
});
afterAll(async () => {
  await running?.end();
  hook?.close();
  await new Promise<void>((resolve) => mailServer?.close(() => resolve()));
});

/** Has a change merged. @returns its number */
async function merge(title: string): Promise<number> {
  const number = await proposeChange(app, title, { [title]: title });
  await running.post(`/changes/${number}/approve`, "bob");
  return number;
}

const outbox = (query = "") => running.get<UndeliveredView[]>(`/outbox${query}`);
const eventually = <T>(what: string, check: () => Promise<T | undefined> | T | undefined) =>
  until(what, DEADLINE_MS, async () => check());
const postsOf = (number: number): Posted[] => posted.filter(({ subject }) => subject.number === number);

test("a reporter that fails stops no other: the mail, the post and the comment are there, and the queue goes on", async () => {
  const first = await merge("one");
  const [post] = await eventually("the webhook was told", () => {
    const told = postsOf(first);
    return told.length > 0 ? told : undefined;
  });
  expect(post).toMatchObject({ report: "success", pipeline: "deploy" });
  expect(post!.builds).toMatchObject([{ job: "noop", result: "SUCCESS" }]);
  const mail = await eventually("the mail has come", () => mails[0]);
  expect(mail).toContain(`Subject: deploy: ${first},1 is in`);
  const { comments } = await running.get<ChangeView>(`/changes/${first}`);
  expect(comments.filter(({ text }) => text.startsWith("Build succeeded.")).length).toBeGreaterThan(0);
  const ref = await eventually("the webhook was told of the branch", () =>
    posted.find(({ pipeline }) => pipeline === "publish"),
  );
  expect(ref.subject).toMatchObject({ number: null, ref: "refs/heads/main" });

  const left = await eventually("the command has failed", async () => {
    const [letter] = await outbox(`?change=${first}`);
    return letter !== undefined && letter.attempts > 0 ? letter : undefined;
  });
  expect(left).toMatchObject({
    connection: "broken",
    report: "success",
    problem: "false failed: exit code 1",
  });
  const explained = await running.get<ExplanationView>(`/explain/${first}`);
  expect(explained.now.join("\n")).toContain("deploy: its report of success waits for the connection broken");
  expect((await running.get<StatusView>("/status")).undelivered).toBe(1);

  const second = await merge("two");
  await eventually("the next is told of", () => (postsOf(second).length > 0 ? true : undefined));
});

test("what a webhook did not take goes to it after a restart, with the same id", async () => {
  status = 503;
  const number = await merge("three");
  const [first] = await eventually("the webhook was tried", () => {
    const told = postsOf(number);
    return told.length > 0 ? told : undefined;
  });
  await running.close();
  status = 200;
  await running.open();
  await eventually("it is delivered", async () => {
    const left = await outbox(`?change=${number}`);
    return left.every(({ connection }) => connection !== "hook") ? true : undefined;
  });
  const told = postsOf(number);
  expect(told.length).toBeGreaterThan(1);
  expect(new Set(told.map(({ id }) => id))).toEqual(new Set([first!.id]));
});
