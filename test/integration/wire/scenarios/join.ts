import type { TypeName } from "../packet.ts";
import { scenarioGroup } from "../script.ts";

/** Which submissions join which jobs, and what the joined receive. */
export const { scenario, scenarios } = scenarioGroup("join");

scenario("two-foreground-queued", async (s) => {
  const f = s.name("f");
  const [a, b] = await s.open("a", "b");
  await s.submit(a, "SUBMIT_JOB", f, "u", "first workload");
  await s.submit(b, "SUBMIT_JOB", f, "u", "second workload");
  const worker = await s.worker("worker", f);
  const job = await s.grab(worker, "GRAB_JOB_UNIQ");
  worker.send("WORK_DATA", job, "data");
  worker.send("WORK_WARNING", job, "warning");
  worker.send("WORK_STATUS", job, "3", "4");
  worker.send("WORK_COMPLETE", job, "result");
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("two-foreground-running", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [a, b] = await s.open("a", "b");
  await s.submit(a, "SUBMIT_JOB", f, "u", "first workload");
  const job = await s.grab(worker);
  await s.submit(b, "SUBMIT_JOB", f, "u", "second workload");
  worker.send("WORK_DATA", job, "data");
  worker.send("WORK_COMPLETE", job, "result");
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("same-connection-twice", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "u", "x");
  await s.submit(client, "SUBMIT_JOB", f, "u", "x");
  const job = await s.grab(worker);
  worker.send("WORK_DATA", job, "data");
  worker.send("WORK_STATUS", job, "1", "2");
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
});

for (const [name, type, body] of [
  ["fail", "WORK_FAIL", []],
  ["exception", "WORK_EXCEPTION", ["why"]],
] as const) {
  scenario(`both-told-of-${name}`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [a, b] = await s.open("a", "b");
    for (const peer of [a, b]) {
      peer.send("OPTION_REQ", "exceptions");
      await s.settle();
    }
    await s.submit(a, "SUBMIT_JOB", f, "u", "x");
    await s.submit(b, "SUBMIT_JOB", f, "u", "x");
    const job = await s.grab(worker);
    worker.send(type, job, ...body);
    await s.settle();
  });
}

scenario("late-joiner-of-a-silent-job", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [a, b] = await s.open("a", "b");
  const job = await s.submit(a, "SUBMIT_JOB", f, "u", "x");
  await s.grab(worker);
  await s.submit(b, "SUBMIT_JOB", f, "u", "x");
  worker.send("WORK_STATUS", job, "1", "2");
  worker.send("WORK_DATA", job, "data");
  await s.settle();
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
});

scenario("late-joiner-after-data", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [a, b] = await s.open("a", "b");
  const job = await s.submit(a, "SUBMIT_JOB", f, "u", "x");
  await s.grab(worker);
  worker.send("WORK_STATUS", job, "1", "4");
  worker.send("WORK_DATA", job, "one");
  worker.send("WORK_WARNING", job, "careful");
  worker.send("WORK_STATUS", job, "2", "4");
  await s.settle();
  await s.submit(b, "SUBMIT_JOB", f, "u", "x");
  worker.send("WORK_DATA", job, "two");
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
});

scenario("another-function-is-another-job", async (s) => {
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", s.name("f"), "u", "x");
  await s.submit(client, "SUBMIT_JOB", s.name("g"), "u", "x");
});

scenario("function-names-differ-by-case", async (s) => {
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", s.name("f"), "u", "x");
  await s.submit(client, "SUBMIT_JOB", s.name("F"), "u", "x");
  await s.submit(client, "SUBMIT_JOB", s.name("f"), "U", "x");
});

scenario("empty-unique-never-joins", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  for (const type of ["SUBMIT_JOB", "SUBMIT_JOB_BG", "SUBMIT_JOB"] as const) {
    await s.submit(client, type, f, "", "same");
  }
});

scenario("hyphen-joins-on-the-workload", async (s) => {
  const f = s.name("f");
  const [a, b] = await s.open("a", "b");
  await s.submit(a, "SUBMIT_JOB", f, "-", "same");
  await s.submit(b, "SUBMIT_JOB", f, "-", "same");
  await s.submit(a, "SUBMIT_JOB", f, "-", "other");
  await s.submit(b, "SUBMIT_JOB", f, "-", "");
  await s.submit(b, "SUBMIT_JOB", f, "-", "");
  const worker = await s.worker("worker", f);
  const job = await s.grab(worker, "GRAB_JOB_UNIQ");
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
});

scenario("hyphen-and-explicit-unique-of-the-same-bytes", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "same", "same");
  await s.submit(client, "SUBMIT_JOB", f, "-", "same");
  await s.submit(client, "SUBMIT_JOB", f, "-", "other");
  await s.submit(client, "SUBMIT_JOB", f, "other", "something");
});

scenario("number-sign-is-an-ordinary-unique", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "#", "one");
  await s.submit(client, "SUBMIT_JOB", f, "#", "two");
  const worker = await s.worker("worker", f);
  await s.grab(worker, "GRAB_JOB_UNIQ");
});

scenario("two-background", async (s) => {
  const f = s.name("f");
  const [a, b] = await s.open("a", "b");
  await s.submit(a, "SUBMIT_JOB_BG", f, "u", "first");
  await s.submit(b, "SUBMIT_JOB_BG", f, "u", "second");
  const worker = await s.worker("worker", f);
  const job = await s.grab(worker);
  worker.send("WORK_COMPLETE", job, "result");
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("background-then-foreground", async (s) => {
  const f = s.name("f");
  const [a, b] = await s.open("a", "b");
  await s.submit(a, "SUBMIT_JOB_BG", f, "u", "first");
  await s.submit(b, "SUBMIT_JOB", f, "u", "second");
  const worker = await s.worker("worker", f);
  const job = await s.grab(worker);
  worker.send("WORK_DATA", job, "data");
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
});

scenario("foreground-then-background", async (s) => {
  const f = s.name("f");
  const [a, b] = await s.open("a", "b");
  await s.submit(a, "SUBMIT_JOB", f, "u", "first");
  await s.submit(b, "SUBMIT_JOB_BG", f, "u", "second");
  const worker = await s.worker("worker", f);
  const job = await s.grab(worker);
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
});

for (const [name, first, second] of [
  ["foreground-first", "SUBMIT_JOB", "SUBMIT_JOB_BG"],
  ["background-first", "SUBMIT_JOB_BG", "SUBMIT_JOB"],
] as const satisfies [string, TypeName, TypeName][]) {
  scenario(`background-claim-outlives-the-foreground-client-${name}`, async (s) => {
    const f = s.name("f");
    const [a, b, watcher] = await s.open("a", "b", "watcher");
    const job = await s.submit(a, first, f, "u", "x");
    await s.submit(b, second, f, "u", "x");
    await s.leave(first === "SUBMIT_JOB" ? a : b);
    watcher.send("GET_STATUS", job);
    const worker = await s.worker("worker", f);
    worker.send("GRAB_JOB");
    await s.settle();
  });
}

scenario("one-of-two-foreground-leaves", async (s) => {
  const f = s.name("f");
  const [a, b] = await s.open("a", "b");
  await s.submit(a, "SUBMIT_JOB", f, "u", "x");
  await s.submit(b, "SUBMIT_JOB", f, "u", "x");
  await s.leave(a);
  const worker = await s.worker("worker", f);
  worker.send("WORK_COMPLETE", await s.grab(worker), "result");
  await s.settle();
});

scenario("queued-and-abandoned-is-not-run", async (s) => {
  const f = s.name("f");
  const [a, watcher] = await s.open("a", "watcher");
  await s.submit(a, "SUBMIT_JOB", f, "u", "x");
  await s.leave(a);
  const worker = await s.worker("worker", f);
  worker.send("GRAB_JOB");
  await s.settle();
  watcher.send("GET_STATUS_UNIQUE", s.name("u"));
  await s.settle();
});

scenario("queued-and-abandoned-in-status", async (s) => {
  const [a, watcher] = await s.open("a", "watcher");
  const job = await s.submit(a, "SUBMIT_JOB", s.name("f"), "u", "x");
  await s.leave(a);
  watcher.send("GET_STATUS", job);
  watcher.raw("status\nshow jobs\n");
  await s.settle();
});

scenario("queued-and-abandoned-then-joined", async (s) => {
  const f = s.name("f");
  const [a, b] = await s.open("a", "b");
  await s.submit(a, "SUBMIT_JOB", f, "u", "x");
  await s.leave(a);
  await s.submit(b, "SUBMIT_JOB", f, "u", "x");
  const worker = await s.worker("worker", f);
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("running-and-abandoned-goes-on", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [a, watcher] = await s.open("a", "watcher");
  const job = await s.submit(a, "SUBMIT_JOB", f, "u", "x");
  await s.grab(worker);
  await s.leave(a);
  watcher.send("GET_STATUS", job);
  await s.settle();
  worker.send("WORK_STATUS", job, "1", "2");
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
  watcher.send("GET_STATUS", job);
  await s.settle();
});

scenario("running-and-abandoned-then-joined", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [a, b] = await s.open("a", "b");
  const job = await s.submit(a, "SUBMIT_JOB", f, "u", "x");
  await s.grab(worker);
  await s.leave(a);
  await s.submit(b, "SUBMIT_JOB", f, "u", "x");
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
});

scenario("completed-a-moment-ago-is-a-new-job", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [a, b] = await s.open("a", "b");
  const job = await s.submit(a, "SUBMIT_JOB", f, "u", "x");
  await s.grab(worker);
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
  await s.submit(b, "SUBMIT_JOB", f, "u", "x");
});

scenario("failed-a-moment-ago-is-a-new-job", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [a, b] = await s.open("a", "b");
  const job = await s.submit(a, "SUBMIT_JOB", f, "u", "x");
  await s.grab(worker);
  worker.send("WORK_FAIL", job);
  await s.settle();
  await s.submit(b, "SUBMIT_JOB", f, "u", "x");
});

scenario("joins-when-the-queue-is-full", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  client.raw(`create function ${f}\r\nmaxqueue ${f} 1\r\n`);
  await s.settle();
  client.send("SUBMIT_JOB", f, "u", "x");
  client.send("SUBMIT_JOB", f, "v", "x");
  client.send("SUBMIT_JOB", f, "u", "x");
  await s.settle();
});

scenario("high-joins-low", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_LOW", f, "shared", "low");
  await s.submit(client, "SUBMIT_JOB", f, "other", "normal");
  await s.submit(client, "SUBMIT_JOB_HIGH", f, "shared", "high");
  const worker = await s.worker("worker", f);
  await s.grab(worker, "GRAB_JOB_UNIQ");
  await s.grab(worker, "GRAB_JOB_UNIQ");
});

scenario("low-joins-high", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_HIGH", f, "shared", "high");
  await s.submit(client, "SUBMIT_JOB", f, "other", "normal");
  await s.submit(client, "SUBMIT_JOB_LOW", f, "shared", "low");
  const worker = await s.worker("worker", f);
  await s.grab(worker, "GRAB_JOB_UNIQ");
  await s.grab(worker, "GRAB_JOB_UNIQ");
});

scenario("now-joins-a-future-epoch-job", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_EPOCH", f, "u", "4000000000", "later");
  await s.submit(client, "SUBMIT_JOB", f, "u", "now");
  worker.send("GRAB_JOB_UNIQ");
  await s.settle();
});

scenario("epoch-joins-a-queued-job", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "u", "now");
  await s.submit(client, "SUBMIT_JOB_EPOCH", f, "u", "4000000000", "later");
  worker.send("GRAB_JOB_UNIQ");
  await s.settle();
});

scenario("epoch-submitted-while-running", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "u", "now");
  const job = await s.grab(worker);
  await s.submit(client, "SUBMIT_JOB_EPOCH", f, "u", "4000000000", "later");
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
});

scenario("reduce-joins-plain", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [a, b] = await s.open("a", "b");
  await s.submit(a, "SUBMIT_JOB", f, "u", "plain");
  b.send("SUBMIT_REDUCE_JOB", f, "u", "reducer", "", "reduce");
  await s.settle();
  const job = await s.grab(worker, "GRAB_JOB_ALL");
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
});

scenario("all-priorities-share-one-unique", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  for (const type of [
    "SUBMIT_JOB",
    "SUBMIT_JOB_HIGH_BG",
    "SUBMIT_JOB_LOW",
    "SUBMIT_JOB_BG",
    "SUBMIT_JOB_LOW_BG",
  ] as const) {
    await s.submit(client, type, f, "u", "x");
  }
});

scenario("requeued-job-is-joined-by-new-submissions", async (s) => {
  const f = s.name("f");
  const [a, b] = await s.open("a", "b");
  const first = await s.worker("first", f);
  await s.submit(a, "SUBMIT_JOB", f, "u", "x");
  const job = await s.grab(first);
  first.send("WORK_STATUS", job, "1", "2");
  await s.leave(first);
  a.send("GET_STATUS", job);
  await s.submit(b, "SUBMIT_JOB", f, "u", "x");
  const second = await s.worker("second", f);
  await s.grab(second);
  second.send("WORK_COMPLETE", job, "result");
  await s.settle();
});
