import { setImmediate as nextTurn } from "node:timers/promises";
import { JobFailure } from "@drover/worker";
import { expect, it } from "vitest";
import { until } from "../../../test/peers/until.ts";
import { exposition } from "../src/metrics/exposition.ts";
import { collectFigures } from "../src/metrics/figures.ts";
import { MemoryStore } from "../src/stores/memory.ts";
import { operate } from "./operator-stage.ts";

/* What operators are told, by a real server over real sockets. */

const of = (name: string) => ({ function: name });

/** A promise, and what fulfils it. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), opened };
}

it("/metrics counts submissions, joins and runs of a function, and what is there now", async () => {
  const at = await operate();
  const { opened, open } = gate();
  await at.work("report", async () => {
    await opened;
    return "done";
  });
  const jobs = [at.client(), at.client(), at.client()].map((client) =>
    client.submit("report", "", { unique: "u" }),
  );
  await until("all have joined", 20_000, async () => {
    return (await at.scrape()).value("drover_joins_total", of("report")) === 2;
  });
  const during = await at.scrape();
  expect(during.value("drover_jobs_running", of("report"))).toBe(1);
  expect(during.value("drover_submissions_waiting")).toBe(3);
  expect(during.value("drover_workers", of("report"))).toBe(1);
  expect(during.value("drover_run_seconds_count", of("report"))).toBeUndefined();
  open();
  await Promise.all(jobs.map((job) => job.result()));
  const after = await at.scrape();
  expect(after.value("drover_submissions_total", of("report"))).toBe(3);
  expect(after.value("drover_runs_total", of("report"))).toBe(1);
  expect(after.value("drover_jobs_completed_total", of("report"))).toBe(1);
  expect(after.value("drover_join_ratio", of("report"))).toBe(3);
  expect(after.value("drover_jobs_running", of("report"))).toBe(0);
  expect(after.value("drover_info", { version: "1.2.3" })).toBe(1);
  expect(after.value("drover_connections", { transport: "tcp" })).toBe(4);
  expect(after.value("drover_received_bytes_total", { transport: "tcp" })).toBeGreaterThan(100);
  expect(after.value("drover_sent_bytes_total", { transport: "tcp" })).toBeGreaterThan(100);
  expect(after.value("drover_received_packets_total")).toBeGreaterThan(5);
});

it("histograms count each run once, each grab once and each foreground submission once", async () => {
  const at = await operate();
  await at.work("even", ({ workload }) => {
    if (Number(Buffer.from(workload).toString()) % 2 === 1) throw new JobFailure("odd");
    return "even";
  });
  const client = at.client();
  const ended = await Promise.allSettled(
    Array.from({ length: 50 }, (_, i) => client.submit("even", String(i)).result()),
  );
  expect(ended.filter(({ status }) => status === "fulfilled")).toHaveLength(25);
  for (let i = 0; i < 10; i++) await client.background("even", "0");
  const metrics = await until("all have run", 20_000, async () => {
    const now = await at.scrape();
    return now.value("drover_jobs_completed_total", of("even")) === 35 ? now : undefined;
  });
  expect(metrics.value("drover_jobs_failed_total", of("even"))).toBe(25);
  for (const [family, count] of [
    ["drover_run_seconds", 60],
    ["drover_queue_seconds", 60],
    ["drover_wait_seconds", 50],
  ] as const) {
    expect(metrics.types.get(family)).toBe("histogram");
    expect(metrics.value(`${family}_count`, of("even"))).toBe(count);
    expect(metrics.value(`${family}_bucket`, { ...of("even"), le: "+Inf" })).toBe(count);
    const buckets = metrics.samples.filter(({ name }) => name === `${family}_bucket`);
    expect(buckets.map(({ value }) => value)).toEqual(
      buckets.map(({ value }) => value).sort((a, b) => a - b),
    );
    expect(metrics.value(`${family}_sum`, of("even"))).toBeGreaterThanOrEqual(0);
  }
});

it("workers wanted are the jobs that wait or run, as far as maxRunning allows", async () => {
  const at = await operate({ functions: [{ glob: "few", settings: { maxRunning: 3 } }] });
  const client = at.client();
  for (let i = 0; i < 5; i++) {
    for (const fn of ["few", "many"]) await client.background(fn, "", { unique: String(i) });
    // Equal ones join, and call for nobody.
    await client.background("many", "", { unique: String(i) });
  }
  const waiting = await at.scrape();
  expect(waiting.value("drover_workers_wanted", of("few"))).toBe(3);
  expect(waiting.value("drover_workers_wanted", of("many"))).toBe(5);
  expect(waiting.value("drover_jobs_queued", of("few"))).toBe(5);
  expect(waiting.value("drover_join_ratio", of("many"))).toBeUndefined();
  await until("the first has waited for some time", 20_000, async () => {
    return (await at.scrape()).value("drover_oldest_queued_age_seconds", of("few"))! > 0;
  });
  at.send([
    ["CAN_DO", ["many"]],
    ["GRAB_JOB", []],
  ]);
  await until("one runs", 20_000, () => at.server.core.state.running === 1);
  const running = await at.scrape();
  expect(running.value("drover_workers_wanted", of("many"))).toBe(5);
  expect(running.value("drover_jobs_queued", of("many"))).toBe(4);
});

it("functions beyond the cap are summed, and the sums never fall", async () => {
  const at = await operate({ limits: { maxFunctionMetrics: 1000, idleFunctionMs: 1 } });
  const names = Array.from({ length: 2000 }, (_, i) => `f${i}`);
  const socket = at.send(names.map((name) => ["SUBMIT_JOB", [name, ""]]));
  await until("all are known", 20_000, () => at.server.core.state.functions.size === 2000);
  const metrics = await at.scrape();
  const shown = metrics.labels("drover_submissions_total", "function");
  expect(shown).toEqual([...names.slice(0, 1000), "(other)"]);
  expect(metrics.value("drover_functions")).toBe(2000);
  expect(metrics.value("drover_functions_summed")).toBe(1000);
  for (const family of ["drover_submissions_total", "drover_jobs_queued", "drover_workers_wanted"]) {
    expect(metrics.value(family, of("f0"))).toBe(1);
    expect(metrics.value(family, of("(other)"))).toBe(1000);
  }
  socket.destroy();
  await until("all are forgotten", 20_000, () => at.server.core.state.functions.size === 0);
  const later = await at.scrape();
  expect(later.labels("drover_submissions_total", "function")).toEqual(["(other)"]);
  expect(later.value("drover_submissions_total", of("(other)"))).toBe(1000);
  expect(later.value("drover_jobs_queued", of("(other)"))).toBe(0);
});

it("labels show any name, and each only once", async () => {
  const at = await operate();
  const utf8 = (text: string) => Buffer.from(text).toString("latin1");
  const names = [
    'say "hi"',
    "back\\slash",
    "two\nlines",
    utf8("größe"),
    "gr\xf6\xdfe",
    "größe",
    "\xff\x00".slice(0, 1),
  ];
  at.send([...names, "(other)", utf8("\ufffd")].map((name) => ["SUBMIT_JOB", [name, ""]]));
  await until("all are known", 20_000, () => at.server.core.state.functions.size === 8);
  const shown = (await at.scrape()).labels("drover_jobs_queued", "function");
  expect(shown).toEqual([
    'say "hi"',
    "back\\slash",
    "two\nlines",
    "größe",
    "größe 0x6772f6df65",
    "ÿ",
    "(other) 0x286f7468657229",
    "\ufffd",
  ]);
});

it("jobs go on while 10,000 functions are scraped", async () => {
  const at = await operate({ limits: { maxFunctionMetrics: 10_000 } });
  at.send(Array.from({ length: 10_000 }, (_, i) => ["SUBMIT_JOB", [`f${i}`, ""]] as const));
  await until("all are known", 20_000, () => at.server.core.state.functions.size === 10_000);
  let turns = 0;
  let isOver = false;
  const text = collectFigures(at.server)
    .then(exposition)
    .finally(() => {
      isOver = true;
    });
  while (!isOver) {
    turns++;
    await nextTurn();
  }
  expect((await text).split("\n").length).toBeGreaterThan(100_000);
  expect(turns).toBeGreaterThan(50);
  const [first, second] = await Promise.all([at.scrape(), at.scrape()]);
  expect(first.labels("drover_jobs_queued", "function")).toHaveLength(10_000);
  expect(second.samples).toHaveLength(first.samples.length);
});

it("tells what was refused, dropped, nonsense and late", async () => {
  const at = await operate({ limits: { maxFunctions: 3 }, maxConnections: 20 });
  at.send([
    ["CAN_DO", ["f"]],
    ["WORK_COMPLETE", ["H:x:99"]],
    ["WORK_COMPLETE", ["H:x:98"]],
  ]);
  at.send([..."abcdef"].map((name) => ["SUBMIT_JOB", [name, ""]]));
  at.send([]).write(Buffer.alloc(64 * 1024, "x"));
  const metrics = await until("all is counted", 20_000, async () => {
    const now = await at.scrape();
    return now.value("drover_protocol_violations_total") === 1 &&
      now.value("drover_late_reports_total") === 2 &&
      (now.value("drover_limit_hits_total", { limit: "maxFunctions" }) ?? 0) > 0
      ? now
      : undefined;
  });
  expect(metrics.value("drover_slow_readers_dropped_total")).toBe(0);
  expect(metrics.value("drover_commit_seconds_count")).toBeUndefined();
});

it("tells how commits went and what is stored", async () => {
  const store = new MemoryStore();
  const commit = store.commit.bind(store);
  let isFull = false;
  store.commit = (one) => (isFull ? Promise.reject(new Error("the disk is full")) : commit(one));
  const at = await operate({ store });
  const client = at.client();
  for (let i = 0; i < 5; i++) await client.background("f", "");
  const metrics = await at.scrape();
  expect(metrics.value("drover_stored_jobs")).toBe(5);
  expect(metrics.value("drover_store_failing")).toBe(0);
  expect(metrics.value("drover_commit_seconds_count")).toBeGreaterThanOrEqual(5);
  expect(metrics.value("drover_commit_changes_sum")).toBe(5);
  isFull = true;
  await expect(client.background("f", "")).rejects.toMatchObject({ code: "QUEUE_FULL" });
  const failing = await at.scrape();
  expect(failing.value("drover_store_failing")).toBe(1);
  expect(failing.value("drover_ready")).toBe(0);
  expect(failing.value("drover_commit_failures_total")).toBeGreaterThan(0);
  expect(failing.value("drover_stored_jobs")).toBe(5);
  isFull = false;
  await at.work("f", () => "");
  await until("nothing is stored", 20_000, async () => (await at.scrape()).value("drover_stored_jobs") === 0);
});

it("explains every metric, and tells of the process", async () => {
  const at = await operate();
  const metrics = await at.scrape();
  for (const family of metrics.types.keys()) expect(metrics.help.get(family)?.length).toBeGreaterThan(5);
  for (const name of [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "nodejs_eventloop_lag_p99_seconds",
  ])
    expect(metrics.value(name)).toBeGreaterThanOrEqual(0);
  const response = await at.get("/metrics");
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(response.headers.get("cache-control")).toBe("no-store");
});

it("the figures are plain values", async () => {
  const at = await operate();
  await at.client().background("f", "");
  const figures = await collectFigures(at.server);
  expect(JSON.parse(JSON.stringify(figures))).toEqual(figures);
  expect(figures.functions).toMatchObject([{ name: "f", queued: 1, submissions: 1, joinRatio: null }]);
});
