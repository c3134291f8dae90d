import type { TypeName } from "../packet.ts";
import { scenarioGroup } from "../script.ts";

/** What workers report, in time, late, twice, unowned and in odd forms. */
export const { scenario, scenarios } = scenarioGroup("reports");

const reports: [TypeName, string[]][] = [
  ["WORK_STATUS", ["1", "2"]],
  ["WORK_DATA", ["data"]],
  ["WORK_WARNING", ["warning"]],
  ["WORK_COMPLETE", ["result"]],
  ["WORK_FAIL", []],
  ["WORK_EXCEPTION", ["why"]],
];

for (const [type, rest] of reports) {
  const name = type.toLowerCase().replaceAll("_", "-");

  scenario(`${name}-of-an-unknown-job`, async (s) => {
    const [worker] = await s.open("worker");
    worker.send(type, "H:nowhere:1", ...rest);
    await s.settle();
  });

  scenario(`${name}-of-an-ended-job`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
    await s.grab(worker);
    worker.send("WORK_COMPLETE", job, "first");
    worker.send(type, job, ...rest);
    await s.settle();
  });

  scenario(`${name}-of-a-queued-job`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
    worker.send(type, job, ...rest);
    await s.settle();
    worker.send("GRAB_JOB");
    await s.settle();
  });

  scenario(`${name}-of-another-workers-job`, async (s) => {
    const f = s.name("f");
    const owner = await s.worker("owner", f);
    const intruder = await s.worker("intruder", f);
    const [client] = await s.open("client");
    const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
    await s.grab(owner);
    intruder.send(type, job, ...rest);
    await s.settle();
    owner.send("WORK_COMPLETE", job, "the owner's");
    await s.settle();
  });

  scenario(`${name}-with-handle-and-nothing-behind-it`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
    await s.grab(worker);
    worker.send(type, job);
    await s.settle(worker);
  });

  scenario(`${name}-with-handle-and-its-nul`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
    await s.grab(worker);
    worker.send(type, job, "");
    await s.settle(worker);
  });

  scenario(`${name}-with-an-empty-handle`, async (s) => {
    const [worker] = await s.open("worker");
    worker.send(type, "", ...rest);
    await s.settle(worker);
  });

  scenario(`${name}-with-an-empty-body`, async (s) => {
    const [worker] = await s.open("worker");
    worker.send(type);
    await s.settle(worker);
  });

  scenario(`${name}-with-a-handle-of-200-bytes`, async (s) => {
    const [worker] = await s.open("worker");
    worker.send(type, "h".repeat(200), ...rest);
    await s.settle(worker);
  });

  scenario(`${name}-is-not-told-to-background-clients`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    client.send("OPTION_REQ", "exceptions");
    const job = await s.submit(client, "SUBMIT_JOB_BG", f, "", "x");
    await s.grab(worker);
    worker.send(type, job, ...rest);
    await s.settle();
  });
}

scenario("exception-to-a-client-with-the-option", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  client.send("OPTION_REQ", "exceptions");
  const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
  await s.grab(worker);
  worker.send("WORK_EXCEPTION", job, "what went\0wrong");
  await s.settle();
});

scenario("exception-to-a-client-without-the-option", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
  await s.grab(worker);
  worker.send("WORK_EXCEPTION", job, "what went wrong");
  await s.settle();
});

scenario("exception-to-one-with-and-one-without-the-option", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [a, b] = await s.open("with", "without");
  a.send("OPTION_REQ", "exceptions");
  const job = await s.submit(a, "SUBMIT_JOB", f, "u", "x");
  await s.submit(b, "SUBMIT_JOB", f, "u", "x");
  await s.grab(worker);
  worker.send("WORK_EXCEPTION", job, "what went wrong");
  await s.settle();
});

for (const [name, rest] of [
  ["nothing", []],
  ["its-nul", [""]],
] as const) {
  scenario(`exception-with-handle-and-${name}-to-a-client-with-the-option`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    client.send("OPTION_REQ", "exceptions");
    const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
    await s.grab(worker);
    worker.send("WORK_EXCEPTION", job, ...rest);
    await s.settle(worker);
  });
}

scenario("exception-option-asked-for-after-the-submission", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
  client.send("OPTION_REQ", "exceptions");
  await s.grab(worker);
  worker.send("WORK_EXCEPTION", job, "what went wrong");
  await s.settle();
});

scenario(
  "exceptions-for-everyone",
  async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
    await s.grab(worker);
    worker.send("WORK_EXCEPTION", job, "what went wrong");
    await s.settle();
  },
  { args: ["--exceptions"] },
);

for (const option of [true, false]) {
  scenario(`exception-then-fail-${option ? "with" : "without"}-the-option`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    if (option) client.send("OPTION_REQ", "exceptions");
    const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
    await s.grab(worker);
    worker.send("WORK_EXCEPTION", job, "what went wrong");
    worker.send("WORK_FAIL", job);
    worker.send("GRAB_JOB");
    await s.settle();
  });
}

scenario("exception-then-fail-twice", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  client.send("OPTION_REQ", "exceptions");
  const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
  await s.grab(worker);
  worker.send("WORK_EXCEPTION", job, "what went wrong");
  await s.settle();
  worker.send("WORK_FAIL", job);
  worker.send("WORK_FAIL", job);
  await s.settle();
});

scenario("exception-then-complete", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  client.send("OPTION_REQ", "exceptions");
  const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
  await s.grab(worker);
  worker.send("WORK_EXCEPTION", job, "what went wrong");
  worker.send("WORK_COMPLETE", job, "result");
  await s.settle();
});

scenario("work-status-without-a-denominator", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
  await s.grab(worker);
  worker.send("WORK_STATUS", job, "1");
  await s.settle(worker);
});

scenario("work-status-with-a-fourth-argument", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
  await s.grab(worker);
  worker.send("WORK_STATUS", job, "1", "2", "3");
  await s.settle(worker);
});

scenario("data-keeps-its-bytes-and-order", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
  await s.grab(worker);
  worker.send("WORK_DATA", job, "\0\0\x01REQ\0");
  worker.send("WORK_DATA", job, "");
  worker.send("WORK_WARNING", job, "between");
  worker.send("WORK_DATA", job, "\xff\xfe\n");
  worker.send("WORK_COMPLETE", job, "\0");
  await s.settle();
});
