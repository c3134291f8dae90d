import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { until } from "../../../test/peers/until.ts";
import type {
  Changes,
  DeadLetterJson,
  FoundJob,
  FunctionJson,
  JobJson,
  OverviewJson,
  Page,
  ScheduleJson,
  SearchJson,
  Snapshot,
  WorkerJson,
} from "../src/http/api.ts";
import { EventReader, Stage } from "./view-stage.ts";

const DEADLINE_MS = 20_000;
const RETRY_ONCE = {
  retry: { maxAttempts: 2, backoff: { initialMs: 1, maxMs: 1, factor: 1, jitter: 0 } },
};

/** A handler that waits until it is let go. */
function held() {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, handler: () => opened.then(() => "done") };
}

describe("functions", () => {
  test("are listed with their counts, in any order, part by part", async () => {
    await using stage = await Stage.open();
    for (let i = 0; i < 5; i++) for (let n = 0; n <= i % 3; n++) await stage.submit(`fn${i}`);
    const names = async (query: string) => {
      const found: string[] = [];
      let after = "";
      do {
        const part = await stage.get<Page<FunctionJson>>(`/v1/functions?limit=2${query}${after}`);
        expect(part.items.length).toBeLessThanOrEqual(2);
        found.push(...part.items.map((row) => row.function));
        after = part.next === null ? "" : `&after=${part.next}`;
      } while (after !== "");
      return found;
    };
    expect(await names("")).toEqual(["fn0", "fn1", "fn2", "fn3", "fn4"]);
    expect(await names("&sort=queued")).toEqual(["fn2", "fn1", "fn4", "fn0", "fn3"]);
    expect(await names("&q=FN3")).toEqual(["fn3"]);
    expect(await stage.get("/v1/functions/fn2")).toMatchObject({
      function: "fn2",
      queued: 3,
      running: 0,
      submissions: 3,
      runs: 0,
      joinRatio: null,
      oldestQueuedMs: expect.any(Number),
      paused: false,
    });
  });

  test("tell how many submissions a run served", async () => {
    await using stage = await Stage.open();
    for (let i = 0; i < 4; i++) await stage.submit("draw", "a cat");
    await stage.worker({ draw: () => "done" });
    const row = await until("the job ran", DEADLINE_MS, async () => {
      const found = await stage.get<FunctionJson>("/v1/functions/draw");
      return found.completed === 1 && found;
    });
    expect(row).toMatchObject({ submissions: 4, joins: 3, runs: 1, joinRatio: 4 });
  });

  test("are paused and resumed", async () => {
    await using stage = await Stage.open();
    const handle = await stage.submit("draw");
    expect(await stage.ask("POST", "/v1/functions/draw/pause")).toBe(204);
    await stage.worker({ draw: () => "done" });
    await until("the worker is there", DEADLINE_MS, async () => {
      return (await stage.get<FunctionJson>("/v1/functions/draw")).workers === 1;
    });
    expect(await stage.get("/v1/functions/draw")).toMatchObject({ paused: true, queued: 1, runs: 0 });
    expect(await stage.ask("POST", "/v1/functions/draw/resume")).toBe(204);
    await until("the job is done", DEADLINE_MS, async () => {
      return (await stage.get<{ state: string }>(`/v1/jobs/${handle}`)).state === "done";
    });
  });

  test("of a name that is not UTF-8 are found by the name that they are shown with", async () => {
    await using stage = await Stage.open();
    stage.server.inTurn((state) => state.functionOf("caf\xe9"));
    const { items } = await stage.get<Page<FunctionJson>>("/v1/functions");
    expect(items.map((row) => row.function)).toEqual(["café"]);
    expect(await stage.ask("GET", `/v1/functions/${encodeURIComponent("café")}`)).toBe(200);
  });

  test("what is wrong with a request is told", async () => {
    await using stage = await Stage.open();
    for (const path of [
      "/v1/functions?limit=0",
      "/v1/functions?limit=1001",
      "/v1/functions?sort=size",
      "/v1/functions?after=x",
      "/v1/functions?q=a&q=b",
      "/v1/dead-letters?after=e30",
      "/v1/workers?after=-1",
      "/v1/search",
    ]) {
      expect([path, await stage.ask("GET", path)]).toEqual([path, 400]);
    }
    for (const path of ["/v1/functions/none", "/v1/functions/none/jobs", "/v1/jobs/H:stage:1/detail"]) {
      expect([path, await stage.ask("GET", path)]).toEqual([path, 404]);
    }
    expect(await stage.ask("POST", "/v1/functions/none/pause")).toBe(404);
    expect(await stage.ask("POST", "/v1/dead-letters/H:stage:1/requeue")).toBe(404);
    expect(await stage.ask("DELETE", "/v1/dead-letters/none")).toBe(404);
  });
});

describe("jobs", () => {
  test("of a function are listed part by part, those of others left out", async () => {
    await using stage = await Stage.open();
    const handles: string[] = [];
    for (let i = 0; i < 5; i++) {
      handles.push(await stage.submit("draw", `cat ${i}`));
      await stage.submit("other");
    }
    const found: string[] = [];
    let after = "0";
    do {
      const part = await stage.get<Page<JobJson>>(`/v1/functions/draw/jobs?limit=2&after=${after}`);
      found.push(...part.items.map(({ handle }) => handle));
      after = part.next ?? "";
    } while (after !== "");
    expect(found).toEqual(handles);
  });

  test("tell who waits since when, which worker runs them, and what happened before", async () => {
    const startMs = Date.now();
    const rule = { glob: "draw", settings: RETRY_ONCE };
    await using stage = await Stage.open({ functions: [rule] });
    const { open, handler } = held();
    const handle = await stage.submit("draw", "a cat");
    await stage.worker({
      draw: (job) => {
        if (job.attempt === 1) throw new Error("no paint");
        return handler();
      },
    });
    const path = `/v1/jobs/${handle}/detail`;
    await until("it runs again", DEADLINE_MS, async () => {
      const found = await stage.get<FoundJob>(path);
      return found.live && found.job.attempts === 2 && found.job.run !== null;
    });
    const leave = new AbortController();
    await EventReader.open(`${stage.url}/v1/jobs/${handle}/events`, leave.signal);
    const found = await stage.get<FoundJob>(path);
    if (!found.live) throw new Error("the job has ended");
    const { job } = found;
    expect(job).toMatchObject({
      function: "draw",
      unique: "a cat",
      state: "running",
      background: true,
      waiting: 1,
      attempts: 2,
      workloadBytes: 8,
    });
    expect(job.submitters).toHaveLength(1);
    expect(job.submitters[0]!.peer.address).toBe("127.0.0.1");
    expect(Date.parse(job.submitters[0]!.since)).toBeGreaterThanOrEqual(startMs - 1);
    expect(job.run!.worker.id).toBe(job.worker);
    expect(job.timeline.map(({ event, attempt }) => [event, attempt])).toEqual([
      ["created", null],
      ["started", 1],
      ["exception", 1],
      ["due", null],
      ["started", 2],
    ]);
    leave.abort();
    open();
    await until("it is done", DEADLINE_MS, async () => !(await stage.get<FoundJob>(path)).live);
    expect(await stage.get(path)).toMatchObject({ outcome: { handle, function: "draw", state: "done" } });
  });

  test("remember their last 20 runs that did not end them", async () => {
    const backoff = { initialMs: 1, maxMs: 1, factor: 1, jitter: 0 };
    const rule = { glob: "draw", settings: { retry: { maxAttempts: 100, backoff } } };
    await using stage = await Stage.open({ functions: [rule] });
    const { open, handler } = held();
    const handle = await stage.submit("draw");
    await stage.worker({
      draw: (job) => {
        if (job.attempt <= 25) throw new Error("no paint");
        return handler();
      },
    });
    const job = await until("the 26th attempt runs", DEADLINE_MS, async () => {
      const found = await stage.get<FoundJob>(`/v1/jobs/${handle}/detail`);
      return found.live && found.job.attempts === 26 && found.job.run !== null ? found.job : undefined;
    });
    const failed = job.timeline.filter(({ event }) => event === "exception");
    expect(failed.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 20 }, (_, i) => i + 6));
    open();
  });

  test("of a rare function among very many others are found in several parts", async () => {
    await using stage = await Stage.open();
    const { server } = stage;
    const workload = new Uint8Array(0);
    const submit = (fn: string) =>
      server.core.fire({ schedule: "", atMs: 0 }, { fn, key: "", workload, priority: 1, reducer: "" });
    server.inTurn(() => {
      for (let i = 0; i < 100_001; i++) submit("common");
      submit("rare");
    });
    const first = await stage.get<Page<JobJson>>("/v1/functions/rare/jobs");
    expect([first.items.length, first.next]).toEqual([0, "100000"]);
    const second = await stage.get<Page<JobJson>>(`/v1/functions/rare/jobs?after=${first.next}`);
    expect([second.items.length, second.next]).toEqual([1, null]);
  });

  test("are found by their unique, whatever the function, live and ended", async () => {
    await using stage = await Stage.open();
    const ended = await stage.submit("quick", "a cat");
    await stage.worker({ quick: () => "done" });
    await until("it is done", DEADLINE_MS, async () => {
      return (await stage.get<{ state: string }>(`/v1/jobs/${ended}`)).state === "done";
    });
    const first = await stage.submit("draw", "a cat");
    const second = await stage.submit("print", "a cat");
    await stage.submit("print", "a dog");
    const found = await stage.get<SearchJson>("/v1/search?unique=a%20cat");
    expect(found.jobs.map(({ handle }) => handle).sort()).toEqual([first, second].sort());
    expect(found.outcomes).toMatchObject([{ handle: ended, function: "quick", state: "done" }]);
    expect(found.deadLetters).toEqual([]);
  });
});

test("workers are listed with their functions and jobs, clients are not", async () => {
  await using stage = await Stage.open();
  const { open, handler } = held();
  await stage.worker({ draw: handler, print: () => "done" });
  const handle = await stage.submit("draw");
  const { items } = await until("it runs", DEADLINE_MS, async () => {
    const found = await stage.get<Page<WorkerJson>>("/v1/workers");
    return found.items.some(({ running }) => running === 1) ? found : undefined;
  });
  const busy = items.find(({ running }) => running === 1)!;
  expect(busy).toMatchObject({ address: "127.0.0.1", abilities: 2, state: "awake" });
  expect([...busy.functions].sort()).toEqual(["draw", "print"]);
  expect(busy.jobs).toMatchObject([{ handle, function: "draw" }]);
  open();
});

test("dead letters are listed, requeued and deleted", async () => {
  const rule = { glob: "*", settings: { retry: { ...RETRY_ONCE.retry, maxAttempts: 1 } } };
  await using stage = await Stage.open({ functions: [rule] });
  const handles: string[] = [];
  for (let i = 0; i < 3; i++) handles.push(await stage.submit("draw", `cat ${i}`));
  const worker = await stage.worker({
    draw: () => {
      throw new Error("no paint");
    },
  });
  const all = () => stage.get<Page<DeadLetterJson>>("/v1/dead-letters");
  await until("all are dead", DEADLINE_MS, async () => (await all()).items.length === 3);
  await worker.close();
  const first = await stage.get<Page<DeadLetterJson>>("/v1/dead-letters?limit=2");
  const rest = await stage.get<Page<DeadLetterJson>>(`/v1/dead-letters?limit=2&after=${first.next}`);
  const listed = [...first.items, ...rest.items];
  expect(rest.next).toBeNull();
  expect(listed.map(({ handle }) => handle).sort()).toEqual([...handles].sort());
  expect(listed[0]).toMatchObject({ function: "draw", reason: "exception", attempts: 1, workloadBytes: 8 });

  expect(await stage.ask("DELETE", `/v1/dead-letters/${handles[0]}`)).toBe(204);
  expect(await stage.ask("POST", `/v1/dead-letters/${handles[1]}/requeue`)).toBe(204);
  expect((await all()).items.map(({ handle }) => handle)).toEqual([handles[2]]);
  expect(await stage.get("/v1/functions/draw")).toMatchObject({ queued: 1 });
});

test("schedules tell their next time", async () => {
  const schedule = { name: "tidy up", cron: "0 4 * * *", timeZone: "Europe/Berlin", function: "sweep" };
  await using stage = await Stage.open({ schedules: [schedule] });
  const { items } = await stage.get<Page<ScheduleJson>>("/v1/schedules");
  expect(items).toMatchObject([{ ...schedule, unique: "tidy up", missed: "skip", last: null }]);
  expect(Date.parse(items[0]!.next!)).toBeGreaterThan(Date.now());
});

test("the overview tells levels, counts and where jobs are kept", async () => {
  await using stage = await Stage.open();
  await stage.submit("draw", "a cat");
  await stage.submit("draw", "a cat");
  const found = await stage.get<OverviewJson>("/v1/overview");
  expect(found).toMatchObject({
    version: "1.2.3",
    state: "serving",
    store: { name: "memory", failing: false },
    jobs: 1,
    queued: 1,
    functions: 1,
    workers: 0,
    totals: { submissions: 2, joins: 1 },
  });
  expect(found.rates.submissions).toBeGreaterThan(0);
});

describe("the stream of changes", () => {
  test("begins with everything and goes on with what changed", async () => {
    await using stage = await Stage.open();
    await stage.submit("draw");
    await stage.submit("print");
    const leave = new AbortController();
    const events = await EventReader.open(`${stage.url}/v1/changes`, leave.signal);
    const snapshot = await events.next<Snapshot>();
    expect(snapshot!.event).toBe("snapshot");
    expect(snapshot!.data.rows.map(([name, queued]) => [name, queued])).toEqual([
      ["draw", 1],
      ["print", 1],
    ]);
    expect(snapshot!.data.samples.length).toBeGreaterThan(0);
    await stage.submit("print");
    await stage.submit("fold");
    const rows = await untilRows(events, 2);
    expect(rows.map(([name, queued]) => [name, queued]).sort()).toEqual([
      ["fold", 1],
      ["print", 2],
    ]);
    leave.abort();
  });

  test("tells of functions that are forgotten", async () => {
    await using stage = await Stage.open({ limits: { idleFunctionMs: 1 } });
    stage.server.inTurn((state) => {
      state.functionOf("brief")!.pinned = true;
      state.updateIdle(state.functions.get("brief")!);
    });
    const leave = new AbortController();
    const events = await EventReader.open(`${stage.url}/v1/changes`, leave.signal);
    await events.next();
    stage.server.inTurn((state) => {
      const fn = state.functions.get("brief")!;
      fn.pinned = false;
      state.updateIdle(fn);
    });
    for (;;) {
      const event = await events.next<Changes>();
      if (event!.data.gone.length > 0) {
        expect(event!.data.gone).toEqual(["brief"]);
        break;
      }
    }
    leave.abort();
  });

  test("has a limit of streams, and of functions in each", async () => {
    const watchLimits = { maxWatchers: 2, maxWatchedFunctions: 3 };
    await using stage = await Stage.open({}, { watchLimits });
    for (let i = 0; i < 5; i++) await stage.submit(`fn${i}`);
    const leave = new AbortController();
    const events = await EventReader.open(`${stage.url}/v1/changes`, leave.signal);
    const { data } = (await events.next<Snapshot>())!;
    expect([data.functions, data.rows.length]).toEqual([5, 3]);
    await EventReader.open(`${stage.url}/v1/changes`, leave.signal);
    expect(await stage.ask("GET", "/v1/changes")).toBe(429);
    leave.abort();
    await until("a stream is free", DEADLINE_MS, async () => {
      const again = new AbortController();
      try {
        await EventReader.open(`${stage.url}/v1/changes`, again.signal);
        return true;
      } catch {
        return false;
      } finally {
        again.abort();
      }
    });
  });

  test("spares a slow reader what it missed, and begins anew when it has read", async () => {
    await using stage = await Stage.open({}, { watchLimits: { maxUnsentBytes: 1 } });
    // Enough that the system cannot take all of one look.
    const names = Array.from({ length: 15_000 }, (_, i) => `${"x".repeat(400)}${i}`);
    stage.server.inTurn((state) => {
      for (const name of names) state.functionOf(name);
    });
    const [host, port] = stage.http.addresses[0]!.split(":");
    const socket = connect(Number(port), host);
    let text = "";
    socket.setEncoding("utf8");
    socket.write(`GET /v1/changes HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const [first] = (await once(socket, "data")) as [string];
    socket.pause();
    text += first;
    const change = (round: number) =>
      stage.server.inTurn((state) => {
        for (const name of names) state.functions.get(name)!.submissions = round;
      });
    const eventCount = (name: string) => text.split(`event: ${name}\n`).length - 1;
    // Another stream, which reads, shows that looks have passed.
    const leave = new AbortController();
    const other = await EventReader.open(`${stage.url}/v1/changes`, leave.signal);
    await other.next();
    for (let round = 1; round <= 3; round++) {
      change(round);
      await other.next();
    }
    socket.on("data", (part: string) => {
      text += part;
    });
    socket.resume();
    await until("everything was told anew", DEADLINE_MS, () => eventCount("snapshot") === 2);
    expect(eventCount("changes")).toBeLessThan(3);
    socket.destroy();
    leave.abort();
  });
});

describe("the page's files", () => {
  test("are served with a strict policy, cached where their name says so", async () => {
    const folder = mkdtempSync(join(tmpdir(), "drover-page-"));
    try {
      mkdirSync(join(folder, "assets"));
      writeFileSync(join(folder, "index.html"), "<!doctype html><title>page</title>");
      writeFileSync(join(folder, "assets", "main-1234.js"), "export {}");
      await using stage = await Stage.open({}, { dashboard: folder });
      const page = await fetch(`${stage.url}/`);
      expect(await page.text()).toContain("<title>page</title>");
      expect(page.headers.get("cache-control")).toBe("no-cache");
      const policy = page.headers.get("content-security-policy")!;
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toContain("unsafe");
      expect(page.headers.get("x-content-type-options")).toBe("nosniff");
      const script = await fetch(`${stage.url}/assets/main-1234.js`);
      expect(script.headers.get("cache-control")).toContain("immutable");
      await script.arrayBuffer();
      expect(await stage.ask("GET", "/assets/../../package.json")).toBe(404);
      expect(await stage.ask("GET", "/assets/none.js")).toBe(404);
      expect(await stage.ask("GET", "/v1/overview")).toBe(200);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("that are not built are missed with a remedy", async () => {
    await using stage = await Stage.open({}, { dashboard: join(tmpdir(), "drover-no-such-page") });
    const { detail } = await stage.get<{ detail: string }>("/");
    expect(detail).toContain("npm run dashboard");
  });
});

/** Rows of changes until there are so many. */
async function untilRows(events: EventReader, count: number): Promise<Changes["rows"]> {
  const rows: Changes["rows"][number][] = [];
  while (rows.length < count) rows.push(...(await events.next<Changes>())!.data.rows);
  return rows;
}
