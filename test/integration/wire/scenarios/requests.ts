import { packet } from "../packet.ts";
import { scenarioGroup } from "../script.ts";

/** Every request of the protocol in its ordinary use, and the ways in which bytes may arrive. */
export const { scenario, scenarios } = scenarioGroup("requests");

const submits = [
  "SUBMIT_JOB",
  "SUBMIT_JOB_BG",
  "SUBMIT_JOB_HIGH",
  "SUBMIT_JOB_HIGH_BG",
  "SUBMIT_JOB_LOW",
  "SUBMIT_JOB_LOW_BG",
] as const;

for (const type of submits) {
  scenario(type.toLowerCase().replaceAll("_", "-"), async (s) => {
    const f = s.name("f");
    const [client] = await s.open("client");
    await s.submit(client, type, f, "", "a workload\0with a NUL");
    const worker = await s.worker("worker", f);
    const job = await s.grab(worker);
    worker.send("WORK_STATUS", job, "1", "2");
    worker.send("WORK_DATA", job, "some\0data");
    worker.send("WORK_WARNING", job, "a warning");
    await s.settle();
    worker.send("WORK_COMPLETE", job, "a result\0with a NUL");
    await s.settle();
    client.send("GET_STATUS", job);
    await s.settle();
    worker.send("GRAB_JOB");
    await s.settle();
  });
}

scenario("submit-job-with-empty-workload", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "u", "");
  const job = await s.grab(worker);
  worker.send("WORK_COMPLETE", job, "");
  await s.settle();
});

scenario("submit-job-with-large-workload", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "", Buffer.alloc(300_000, "large "));
  const job = await s.grab(worker);
  worker.send("WORK_COMPLETE", job, Buffer.alloc(300_000, "answer "));
  await s.settle();
});

scenario("handles-are-told-in-request-order", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  for (const unique of ["a", "b", "a", "", "c", ""]) client.send("SUBMIT_JOB", f, unique, "x");
  await s.settle();
});

scenario("cant-do", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_BG", f, "", "x");
  const worker = await s.worker("worker", f);
  worker.send("CANT_DO", f);
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("cant-do-of-a-function-never-offered", async (s) => {
  const worker = await s.worker("worker", s.name("f"));
  worker.send("CANT_DO", s.name("other"));
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("reset-abilities", async (s) => {
  const [f, g] = [s.name("f"), s.name("g")];
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_BG", f, "", "x");
  await s.submit(client, "SUBMIT_JOB_BG", g, "", "x");
  const worker = await s.worker("worker", f, g);
  worker.send("RESET_ABILITIES");
  worker.send("GRAB_JOB");
  await s.settle();
  worker.send("CAN_DO", f);
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("pre-sleep-then-submit", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  worker.send("PRE_SLEEP");
  await s.settle();
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "", "one");
  await s.submit(client, "SUBMIT_JOB", f, "", "two");
  await s.grab(worker);
  worker.send("PRE_SLEEP");
  await s.settle();
});

scenario("pre-sleep-with-a-job-waiting", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "", "x");
  const worker = await s.worker("worker", f);
  worker.send("PRE_SLEEP");
  await s.settle();
});

scenario("pre-sleep-without-abilities", async (s) => {
  const [worker] = await s.open("worker");
  worker.send("PRE_SLEEP");
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("no-noop-without-pre-sleep", async (s) => {
  const f = s.name("f");
  await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "", "x");
});

scenario("no-noop-for-another-function", async (s) => {
  const worker = await s.worker("worker", s.name("f"));
  worker.send("PRE_SLEEP");
  await s.settle();
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", s.name("g"), "", "x");
});

scenario("can-do-while-asleep", async (s) => {
  const [f, g] = [s.name("f"), s.name("g")];
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", g, "", "x");
  worker.send("PRE_SLEEP");
  await s.settle();
  worker.send("CAN_DO", g);
  await s.settle();
  await s.submit(client, "SUBMIT_JOB", g, "", "y");
});

for (const type of ["GRAB_JOB", "GRAB_JOB_UNIQ", "GRAB_JOB_ALL"] as const) {
  const name = type.toLowerCase().replaceAll("_", "-");
  scenario(`${name}-with-nothing-to-do`, async (s) => {
    const [idle] = await s.open("idle");
    idle.send(type);
    const worker = await s.worker("worker", s.name("f"));
    worker.send(type);
    await s.settle();
  });
  scenario(`${name}-of-a-plain-job`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    await s.submit(client, "SUBMIT_JOB", f, s.name("u"), "workload");
    await s.grab(worker, type);
    await s.submit(client, "SUBMIT_JOB", f, "", "workload");
    await s.grab(worker, type);
    await s.submit(client, "SUBMIT_JOB", f, "-", "workload");
    await s.grab(worker, type);
  });
  scenario(`${name}-of-a-reduce-job`, async (s) => {
    const f = s.name("f");
    const worker = await s.worker("worker", f);
    const [client] = await s.open("client");
    await s.submit(client, "SUBMIT_REDUCE_JOB", f, s.name("u"), "reducer", "", "workload");
    const job = await s.grab(worker, type);
    worker.send("WORK_COMPLETE", job, "reduced");
    await s.settle();
  });
}

scenario("submit-reduce-job-background", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_REDUCE_JOB_BACKGROUND", f, s.name("u"), "reducer", "aggregator", "workload");
  const job = await s.grab(worker, "GRAB_JOB_ALL");
  worker.send("WORK_COMPLETE", job, "reduced");
  await s.settle();
  client.send("GET_STATUS", job);
  await s.settle();
});

scenario("submit-job-epoch-in-the-past", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  worker.send("PRE_SLEEP");
  await s.settle();
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_EPOCH", f, s.name("u"), "1000000000", "workload");
  const job = await s.grab(worker);
  client.send("GET_STATUS", job);
  await s.settle();
  worker.send("WORK_COMPLETE", job, "done");
  await s.settle();
});

scenario("submit-job-epoch-in-the-future", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB_EPOCH", f, s.name("u"), "4000000000", "workload");
  client.send("GET_STATUS", client.handle);
  await s.settle();
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("submit-job-sched", async (s) => {
  const [client] = await s.open("client");
  client.send("SUBMIT_JOB_SCHED", s.name("f"), s.name("u"), "0", "0", "1", "1", "", "workload");
  await s.settle();
});

scenario("echo-req", async (s) => {
  const [peer] = await s.open("peer");
  peer.send("ECHO_REQ", "");
  peer.send("ECHO_REQ", "hello");
  peer.send("ECHO_REQ", "\0REQ\0\0\0\x10\0\0\0\x02nested\0");
  peer.send("ECHO_REQ", Buffer.alloc(100_000, "abc"));
  await s.settle();
});

scenario("option-req", async (s) => {
  const [peer] = await s.open("peer");
  for (const name of ["exceptions", "EXCEPTIONS", "Exceptions", "exceptions"]) peer.send("OPTION_REQ", name);
  await s.settle();
});

for (const [name, id] of Object.entries({
  "": "a-worker",
  "-of-127-bytes": "x".repeat(127),
  "-of-128-bytes": "x".repeat(128),
  "-of-200-bytes": "x".repeat(200),
  "-empty": "",
  "-with-a-space": "two words",
  "-with-trailing-nul": "name\0",
})) {
  scenario(`set-client-id${name}`, async (s) => {
    const worker = await s.worker("worker", s.name("f"), s.name("g"));
    worker.send("SET_CLIENT_ID", "first");
    worker.send("SET_CLIENT_ID", id);
    await s.settle();
    worker.raw("workers\n");
    await s.settle();
  });
}

for (const [name, value] of Object.entries({
  "seconds-enough": "60000",
  zero: "0",
  negative: "-5",
  "not-a-number": "soon",
  empty: "",
})) {
  scenario(`can-do-timeout-${name}`, async (s) => {
    const f = s.name("f");
    const [client, worker] = await s.open("client", "worker");
    worker.send("CAN_DO_TIMEOUT", f, value);
    await s.settle();
    await s.submit(client, "SUBMIT_JOB", f, "", "x");
    const job = await s.grab(worker);
    worker.send("WORK_COMPLETE", job, "in time");
    await s.settle();
  });
}

scenario("one-connection-is-client-and-worker", async (s) => {
  const f = s.name("f");
  const both = await s.worker("both", f);
  await s.submit(both, "SUBMIT_JOB", f, "", "x");
  const job = await s.grab(both);
  both.send("WORK_DATA", job, "data");
  both.send("WORK_COMPLETE", job, "done");
  await s.settle();
});

scenario("one-connection-holds-several-jobs", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "", "one");
  const first = await s.grab(worker);
  await s.submit(client, "SUBMIT_JOB", f, "", "two");
  const second = await s.grab(worker);
  worker.send("WORK_COMPLETE", second, "second");
  await s.settle();
  worker.send("WORK_COMPLETE", first, "first");
  await s.settle();
});

scenario("bytes-one-by-one", async (s) => {
  const [peer] = await s.open("peer");
  const bytes = Buffer.concat([
    packet("ECHO_REQ", Buffer.from("abc")),
    packet("OPTION_REQ", Buffer.from("exceptions")),
    Buffer.from("show nothing\n"),
  ]);
  await peer.rawInPieces(bytes, ...Array.from({ length: bytes.length - 1 }, (_, at) => at + 1));
  await s.settle();
});

scenario("submit-cut-at-each-argument", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  const bytes = packet("SUBMIT_JOB", Buffer.from(`${f}\0unique\0workload`));
  await client.rawInPieces(bytes, 4, 12, 12 + f.length, 13 + f.length, 19 + f.length, 20 + f.length);
  await s.settle();
  await s.grab(worker, "GRAB_JOB_UNIQ");
});

scenario("many-packets-in-one-segment", async (s) => {
  const f = s.name("f");
  const [peer] = await s.open("peer");
  peer.raw(
    Buffer.concat([
      packet("CAN_DO", Buffer.from(f)),
      packet("SUBMIT_JOB", Buffer.from(`${f}\0\0one`)),
      packet("SUBMIT_JOB_BG", Buffer.from(`${f}\0\0two`)),
      packet("GRAB_JOB", Buffer.alloc(0)),
      packet("GRAB_JOB_UNIQ", Buffer.alloc(0)),
      packet("GRAB_JOB", Buffer.alloc(0)),
    ]),
  );
  await s.settle();
});

scenario("text-and-packets-on-one-connection", async (s) => {
  const [peer] = await s.open("peer");
  peer.send("ECHO_REQ", "before");
  peer.raw("show nothing\r\n");
  peer.send("ECHO_REQ", "between");
  peer.raw("no-such-command\n");
  peer.send("ECHO_REQ", "after");
  await s.settle();
});

scenario("function-names-are-bytes", async (s) => {
  const names = ["with space", "with\ttab", "with\nnewline", "\xff\xfe", "CASE", "case"].map((one) =>
    s.name(one),
  );
  const [client] = await s.open("client");
  for (const name of names) await s.submit(client, "SUBMIT_JOB", name, "", name);
  for (const [at, name] of names.entries()) {
    const worker = await s.worker(`worker${at}`, name);
    await s.grab(worker);
  }
});

scenario(
  "empty-function-name",
  async (s) => {
    const [client] = await s.open("client");
    await s.submit(client, "SUBMIT_JOB_BG", "", "", "x");
    const worker = await s.worker("worker", "");
    await s.grab(worker);
  },
  { fresh: true },
);
