import { scenarioGroup } from "../script.ts";

/** GET_STATUS and GET_STATUS_UNIQUE in every state of a job. */
export const { scenario, scenarios } = scenarioGroup("status");

for (const [kind, type] of [
  ["foreground", "SUBMIT_JOB"],
  ["background", "SUBMIT_JOB_BG"],
] as const) {
  scenario(`of-a-${kind}-job-in-every-state`, async (s) => {
    const [f, u] = [s.name("f"), s.name("u")];
    const worker = await s.worker("worker", f);
    const [client, watcher] = await s.open("client", "watcher");
    const look = async () => {
      await s.settle();
      watcher.send("GET_STATUS", client.handle);
      watcher.send("GET_STATUS_UNIQUE", u);
      await s.settle();
    };
    const job = await s.submit(client, type, f, u, "x");
    await look();
    await s.grab(worker);
    await look();
    worker.send("WORK_STATUS", job, "3", "10");
    await look();
    worker.send("WORK_DATA", job, "data");
    worker.send("WORK_STATUS", job, "10", "10");
    await look();
    worker.send("WORK_COMPLETE", job, "result");
    await look();
  });
}

scenario("of-unknown-jobs", async (s) => {
  const [watcher] = await s.open("watcher");
  watcher.send("GET_STATUS", "H:nowhere:1");
  watcher.send("GET_STATUS", "nonsense");
  watcher.send("GET_STATUS_UNIQUE", s.name("u"));
  await s.settle();
});

scenario("of-a-failed-job", async (s) => {
  const [f, u] = [s.name("f"), s.name("u")];
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB_BG", f, u, "x");
  await s.grab(worker);
  worker.send("WORK_FAIL", job);
  await s.settle();
  client.send("GET_STATUS", job);
  client.send("GET_STATUS_UNIQUE", u);
  await s.settle();
});

scenario("counts-the-waiting-clients", async (s) => {
  const [f, u] = [s.name("f"), s.name("u")];
  const [a, b, c] = await s.open("a", "b", "c");
  await s.submit(a, "SUBMIT_JOB", f, u, "x");
  await s.submit(a, "SUBMIT_JOB", f, u, "x");
  await s.submit(b, "SUBMIT_JOB", f, u, "x");
  await s.submit(b, "SUBMIT_JOB_BG", f, u, "x");
  c.send("GET_STATUS_UNIQUE", u);
  await s.settle();
  await s.leave(a);
  c.send("GET_STATUS_UNIQUE", u);
  await s.settle();
});

scenario("of-a-job-with-a-hyphen-unique", async (s) => {
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", s.name("f"), "-", "x");
  client.send("GET_STATUS_UNIQUE", "-");
  await s.settle();
});

scenario("of-a-job-without-a-unique", async (s) => {
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", s.name("f"), "", "x");
  client.send("GET_STATUS_UNIQUE", "");
  await s.settle();
});

scenario("after-the-worker-was-lost", async (s) => {
  const [f, u] = [s.name("f"), s.name("u")];
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB_BG", f, u, "x");
  await s.grab(worker);
  worker.send("WORK_STATUS", job, "1", "2");
  await s.leave(worker);
  client.send("GET_STATUS", job);
  client.send("GET_STATUS_UNIQUE", u);
  await s.settle();
});

scenario("of-a-future-epoch-job", async (s) => {
  const [f, u] = [s.name("f"), s.name("u")];
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB_EPOCH", f, u, "4000000000", "x");
  client.send("GET_STATUS", job);
  client.send("GET_STATUS_UNIQUE", u);
  await s.settle();
});

/** What a worker may send as progress, and what is stored of it. */
for (const [name, numerator, denominator] of [
  ["ordinary", "1", "2"],
  ["zero", "0", "0"],
  ["negative", "-1", "-2"],
  ["fraction", "0.5", "1.5"],
  ["words", "half", "whole"],
  ["empty", "", ""],
  ["largest", "4294967295", "4294967295"],
  ["too-large", "4294967296", "4294967296"],
  ["ten-digits", "9999999999", "9999999999"],
  ["eleven-digits-above", "99999999999", "1"],
  ["eleven-digits-below", "1", "99999999999"],
  ["thirty-digits", "9".repeat(30), "8".repeat(30)],
  ["with-spaces", " 7 ", " 9 "],
  ["with-letters-behind", "7x", "9y"],
  ["with-trailing-nul", "7", "9\0"],
] as const) {
  scenario(`work-status-${name}`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
    await s.grab(worker);
    worker.send("WORK_STATUS", job, numerator, denominator);
    await s.settle(worker);
    client.send("GET_STATUS", job);
    await s.settle();
  });
}
