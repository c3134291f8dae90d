import { scenarioGroup } from "../script.ts";

/** How a worker's abilities, sleep and loss decide which jobs it gets. */
export const { scenario, scenarios } = scenarioGroup("worker");

scenario("first-in-first-out", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  for (const workload of ["one", "two", "three"]) await s.submit(client, "SUBMIT_JOB", f, "", workload);
  const worker = await s.worker("worker", f);
  for (let turn = 0; turn < 3; turn++) await s.grab(worker);
});

scenario("priority-inside-a-function", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  for (const type of [
    "SUBMIT_JOB_LOW",
    "SUBMIT_JOB",
    "SUBMIT_JOB_HIGH",
    "SUBMIT_JOB_LOW_BG",
    "SUBMIT_JOB_HIGH_BG",
  ] as const) {
    await s.submit(client, type, f, "", type);
  }
  const worker = await s.worker("worker", f);
  for (let turn = 0; turn < 5; turn++) await s.grab(worker);
});

scenario("order-of-functions", async (s) => {
  const names = ["f", "g", "h"].map((one) => s.name(one));
  const [client] = await s.open("client");
  for (const name of names) {
    await s.submit(client, "SUBMIT_JOB", name, "", "one");
    await s.submit(client, "SUBMIT_JOB", name, "", "two");
  }
  const worker = await s.worker("worker", ...names);
  for (let turn = 0; turn < 6; turn++) await s.grab(worker);
});

scenario(
  "order-of-functions-round-robin",
  async (s) => {
    const names = ["f", "g", "h"].map((one) => s.name(one));
    const [client] = await s.open("client");
    for (const name of names) {
      await s.submit(client, "SUBMIT_JOB", name, "", "one");
      await s.submit(client, "SUBMIT_JOB", name, "", "two");
    }
    const worker = await s.worker("worker", ...names);
    for (let turn = 0; turn < 6; turn++) await s.grab(worker);
  },
  { args: ["--round-robin"] },
);

scenario("priority-across-functions", async (s) => {
  const [f, g] = [s.name("f"), s.name("g")];
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_LOW", g, "", "low");
  await s.submit(client, "SUBMIT_JOB_HIGH", f, "", "high");
  const worker = await s.worker("worker", f, g);
  for (let turn = 0; turn < 2; turn++) await s.grab(worker);
});

scenario("ability-offered-twice-and-withdrawn-once", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f, f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "", "x");
  worker.send("CANT_DO", f);
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("function-names-are-matched-by-case", async (s) => {
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", s.name("Function"), "", "x");
  const worker = await s.worker("worker", s.name("function"));
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("lost-worker-requeues-its-jobs", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  const first = await s.worker("first", f);
  const one = await s.submit(client, "SUBMIT_JOB", f, "", "foreground");
  await s.grab(first);
  await s.submit(client, "SUBMIT_JOB_BG", f, "", "background");
  await s.grab(first);
  first.send("WORK_DATA", one, "partial");
  await s.settle();
  const sleeper = await s.worker("sleeper", f);
  sleeper.send("PRE_SLEEP");
  await s.settle();
  await s.leave(first);
  sleeper.send("GRAB_JOB");
  await s.settle();
  sleeper.send("GRAB_JOB");
  await s.settle();
  sleeper.send("WORK_COMPLETE", one, "whole");
  await s.settle();
});

scenario("place-of-a-requeued-job", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  const first = await s.worker("first", f);
  await s.submit(client, "SUBMIT_JOB", f, "", "one");
  await s.grab(first);
  await s.submit(client, "SUBMIT_JOB", f, "", "two");
  await s.leave(first);
  const second = await s.worker("second", f);
  await s.grab(second);
  await s.grab(second);
});

scenario("place-of-a-requeued-high-job", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  const first = await s.worker("first", f);
  await s.submit(client, "SUBMIT_JOB_HIGH", f, "", "high");
  await s.grab(first);
  await s.submit(client, "SUBMIT_JOB", f, "", "normal");
  await s.leave(first);
  const second = await s.worker("second", f);
  await s.grab(second);
  await s.grab(second);
});

scenario("lost-worker-wakes-a-sleeper", async (s) => {
  const f = s.name("f");
  const first = await s.worker("first", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "", "x");
  await s.grab(first);
  const sleeper = await s.worker("sleeper", f);
  sleeper.send("PRE_SLEEP");
  await s.settle();
  await s.leave(first);
});

for (const type of ["CANT_DO", "RESET_ABILITIES"] as const) {
  scenario(`${type.toLowerCase().replaceAll("_", "-")}-with-a-job-in-hand`, async (s) => {
    const f = s.name("f");
    const first = await s.worker("first", f);
    const [client] = await s.open("client");
    const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
    await s.grab(first);
    if (type === "CANT_DO") first.send(type, f);
    else first.send(type);
    await s.settle();
    client.send("GET_STATUS", job);
    const second = await s.worker("second", f);
    second.send("GRAB_JOB");
    await s.settle();
    first.send("WORK_COMPLETE", job, "result of the first");
    await s.settle();
  });
}

scenario(
  "job-retries-spent",
  async (s) => {
    const f = s.name("f");
    const [a, b] = await s.open("a", "b");
    const job = await s.submit(a, "SUBMIT_JOB", f, "u", "x");
    await s.submit(b, "SUBMIT_JOB", f, "u", "x");
    for (const name of ["first", "second"]) {
      const worker = await s.worker(name, f);
      await s.grab(worker);
      await s.leave(worker);
      a.raw("show jobs\n");
      await s.settle();
    }
    a.send("GET_STATUS", job);
    const third = await s.worker("third", f);
    third.send("GRAB_JOB");
    await s.settle();
  },
  { args: ["--job-retries=2"] },
);

scenario(
  "job-retries-do-not-count-failures",
  async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    const job = await s.submit(client, "SUBMIT_JOB_BG", f, "", "x");
    await s.grab(worker);
    worker.send("WORK_FAIL", job);
    worker.send("GRAB_JOB");
    await s.settle();
  },
  { args: ["--job-retries=3"] },
);

scenario("one-noop-until-the-next-grab", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  worker.send("PRE_SLEEP");
  await s.settle();
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "", "one");
  await s.submit(client, "SUBMIT_JOB", f, "", "two");
  await s.grab(worker);
  await s.grab(worker);
  worker.send("GRAB_JOB");
  await s.settle();
  worker.send("PRE_SLEEP");
  await s.settle();
  await s.submit(client, "SUBMIT_JOB", f, "", "three");
});

scenario("pre-sleep-twice", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  const worker = await s.worker("worker", f);
  worker.send("PRE_SLEEP");
  worker.send("PRE_SLEEP");
  await s.settle();
  await s.submit(client, "SUBMIT_JOB", f, "", "x");
  worker.send("PRE_SLEEP");
  await s.settle();
});

scenario("sleeping-with-a-job-in-hand", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "", "one");
  const job = await s.grab(worker);
  worker.send("PRE_SLEEP");
  await s.settle();
  await s.submit(client, "SUBMIT_JOB", f, "", "two");
  await s.grab(worker);
  worker.send("WORK_COMPLETE", job, "done");
  await s.settle();
});

scenario("joining-does-not-wake", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "u", "x");
  await s.grab(worker);
  worker.send("PRE_SLEEP");
  await s.settle();
  await s.submit(client, "SUBMIT_JOB", f, "u", "x");
});

scenario("future-epoch-job-does-not-wake", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  worker.send("PRE_SLEEP");
  await s.settle();
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_EPOCH", f, "u", "4000000000", "x");
});

scenario("pre-sleep-beside-a-future-epoch-job", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_EPOCH", f, "u", "4000000000", "x");
  worker.send("PRE_SLEEP");
  await s.settle();
});

scenario("future-epoch-job-and-low-jobs", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_EPOCH", f, "u", "4000000000", "later");
  await s.submit(client, "SUBMIT_JOB_LOW", f, "v", "low");
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario(
  "timeout-of-one-second",
  async (s) => {
    const f = s.name("f");
    const [client, worker] = await s.open("client", "worker");
    worker.send("CAN_DO_TIMEOUT", f, "1000");
    await s.settle();
    const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
    await s.grab(worker);
    const sleeper = await s.worker("sleeper", f);
    sleeper.send("PRE_SLEEP");
    await s.settle();
    // Either server acts by itself: one gives the job to the sleeper, the other tells the client.
    await s.waitForAny([sleeper, "NOOP"], [client, "WORK_FAIL"]);
    sleeper.send("GRAB_JOB");
    await s.settle();
    worker.send("WORK_COMPLETE", job, "late");
    await s.settle();
  },
  { fresh: true },
);

scenario(
  "handle-prefix",
  async (s) => {
    const [client] = await s.open("client");
    const job = await s.submit(client, "SUBMIT_JOB", "f", "", "x");
    s.tell(job.replace(/\d+$/, "<n>"));
  },
  { args: ["--job-handle-prefix=ZZ"] },
);

scenario("handle-form", async (s) => {
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB", s.name("f"), "", "x");
  s.tell(job.replace(/\d+$/, "<n>"));
});
