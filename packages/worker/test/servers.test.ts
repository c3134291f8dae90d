import { connect } from "node:net";
import { Client, type ClientOptions, defineFunction, type JobEvent, type Notice } from "@drover/client";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { type ServerKind, startServer, type TestServer } from "../../../test/peers/servers.ts";
import { type Handler, JobFailure, Worker, type WorkerJob, type WorkerOptions } from "../src/index.ts";

/* Both libraries together, with real servers: stock gearmand and Drover. */

const quick = { backoff: { initialMs: 5, maxMs: 50 } };

let cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  // Workers end before clients, since closing waits for handlers that a client's signal may end.
  for (const cleanup of cleanups.reverse()) await cleanup();
  cleanups = [];
});

function clientAt(servers: string | string[], options: ClientOptions = {}): Client {
  const client = new Client({ servers, ...quick, ...options });
  cleanups.push(() => client.close());
  return client;
}

async function workerAt(
  servers: string | string[],
  handlers: Record<string, Handler>,
  options: WorkerOptions = {},
): Promise<Worker> {
  const worker = new Worker({ servers, concurrency: 4, ...quick, ...options });
  for (const [name, handler] of Object.entries(handlers)) worker.handle(name, handler);
  cleanups.push(() => worker.close());
  await worker.run();
  return worker;
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

async function wordsOf(job: AsyncIterable<JobEvent>): Promise<string[]> {
  const words: string[] = [];
  for await (const event of job) {
    if (event.type === "status") words.push(`status ${event.numerator}/${event.denominator}`);
    else if ("data" in event) words.push(`${event.type} ${text(event.data)}`);
    else words.push(event.type);
  }
  return words;
}

/** A handler that waits until the test lets each job go on. */
function gate() {
  const jobs: WorkerJob[] = [];
  const starts: ((job: WorkerJob) => void)[] = [];
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    jobs,
    open,
    /** The next job that begins. */
    next: () => new Promise<WorkerJob>((resolve) => starts.push(resolve)),
    handler: async (job: WorkerJob) => {
      jobs.push(job);
      starts.shift()?.(job);
      const aborted = new Promise<void>((resolve) => job.signal.addEventListener("abort", () => resolve()));
      await Promise.race([opened, aborted]);
      job.signal.throwIfAborted();
      return `run ${jobs.indexOf(job) + 1}`;
    },
  };
}

/** One administrator's command and its answer. */
function admin(server: TestServer, command: string, end: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(server.port, server.host, () => socket.write(`${command}\r\n`));
    socket.on("data", (chunk) => {
      answer += chunk;
      if (answer.endsWith(end)) {
        socket.destroy();
        resolve(answer);
      }
    });
    socket.on("error", reject);
  });
}

function suite(kind: ServerKind): void {
  const drover = kind === "drover";
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer(kind);
  });
  afterAll(() => server?.stop());
  /** Functions of each test have names of their own, so that what one leaves behind does not matter to the next. */
  let tests = 0;
  const fresh = (name: string) => `${name}-${++tests}`;

  it("a job goes round with all its reports, binary and empty ones too", async () => {
    const name = fresh("f");
    await workerAt(server.address, {
      [name]: async (job) => {
        job.status(1, 2);
        await job.data(Uint8Array.of(0, 255, 0));
        await job.data("");
        await job.warning("careful");
        return Buffer.concat([job.workload, Buffer.from(job.unique)]);
      },
    });
    const notices: Notice[] = [];
    const client = clientAt(server.address, { onNotice: (notice) => notices.push(notice) });
    const job = client.submit(name, Uint8Array.of(0, 1), { unique: "ü" });
    expect(await wordsOf(job)).toEqual([
      "created",
      "status 1/2",
      "data \0\xff\0",
      "data ",
      "warning careful",
      "complete \0\x01\xc3\xbc",
    ]);
    expect(text(await client.submit(name, "").result())).toBe("");
    expect(notices).toEqual([{ type: "connected", server: server.address, drover }]);
  });

  it("failures and exceptions arrive as what they are", async () => {
    const name = fresh("f");
    await workerAt(server.address, {
      [name]: (job) => {
        if (text(job.workload) === "fail") throw new JobFailure("no");
        throw new Error("out of cheese");
      },
    });
    const client = clientAt(server.address);
    await expect(client.submit(name, "fail").result()).rejects.toMatchObject({ code: "JOB_FAILED" });
    await expect(client.submit(name, "").result()).rejects.toMatchObject({
      code: "JOB_EXCEPTION",
      message: expect.stringContaining("out of cheese") as string,
    });
    // Without asking for exceptions it is a plain failure; the handle is understood though gearmand ends it with NUL.
    const deaf = clientAt(server.address, { exceptions: false });
    await expect(deaf.submit(name, "").result()).rejects.toMatchObject({ code: "JOB_FAILED" });
  });

  it("many jobs of two clients and two workers each give their own result, once", async () => {
    const name = fresh("f");
    let runs = 0;
    let most = 0;
    let now = 0;
    const handler: Handler = async (job) => {
      runs++;
      most = Math.max(most, ++now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      return `${text(job.workload)}!`;
    };
    await workerAt(server.address, { [name]: handler }, { concurrency: 3 });
    await workerAt(server.address, { [name]: handler }, { concurrency: 5 });
    const clients = [clientAt(server.address), clientAt(server.address, { maxInFlight: 10 })];
    const results = await Promise.all(
      Array.from({ length: 600 }, (_, i) => clients[i % 2]!.submit(name, String(i)).result()),
    );
    expect(results.map(text)).toEqual(Array.from({ length: 600 }, (_, i) => `${i}!`));
    expect(runs).toBe(600);
    expect(most).toBeLessThanOrEqual(8);
  });

  it("equal submissions run once, of one client and of several, with uniques of any length", async () => {
    for (const unique of ["u", "u".repeat(64), "ü".repeat(100)]) {
      const name = fresh("f");
      const { handler, next, open, jobs } = gate();
      await workerAt(server.address, { [name]: handler });
      const clients = [clientAt(server.address), clientAt(server.address), clientAt(server.address)];
      const started = next();
      const first = clients[0]!.submit(name, "w", { unique }).result();
      await started;
      const rest = clients.flatMap((client) => [1, 2].map(() => client.submit(name, "w", { unique })));
      await Promise.all(rest.map((job) => job.created()));
      expect(await clients[1]!.statusOfUnique(unique)).toMatchObject({
        known: true,
        running: true,
        waiting: 3,
      });
      open();
      const results = await Promise.all([first, ...rest.map((job) => job.result())]);
      expect(new Set(results.map(text))).toEqual(new Set(["run 1"]));
      expect(jobs).toHaveLength(1);
    }
  });

  it("10 MiB go there and back", async () => {
    const name = fresh("f");
    await workerAt(server.address, {
      [name]: async (job) => {
        await job.data(job.workload);
        return job.workload;
      },
    });
    const workload = Buffer.alloc(10 * 1_048_576, "drover says moo ");
    const job = clientAt(server.address, { maxBufferedBytes: 32 * 1_048_576 }).submit(name, workload);
    const sizes: number[] = [];
    for await (const event of job) if ("data" in event) sizes.push(event.data.length);
    expect(sizes).toEqual([workload.length, workload.length]);
    expect(workload.equals(await job.result())).toBe(true);
  });

  it("background jobs are acknowledged, seen, and run; priorities count", async () => {
    const name = fresh("f");
    const client = clientAt(server.address);
    const [low, normal, high] = await client.backgroundAll([
      { function: name, workload: "low", options: { priority: "low" } },
      { function: name, workload: "normal" },
      { function: name, workload: "high", options: { priority: "high", unique: "one" } },
    ]);
    expect(new Set([low, normal, high]).size).toBe(3);
    expect(await client.background(name, "joins", { unique: "one" })).toBe(high);
    expect(await client.status(normal!)).toEqual({
      known: true,
      running: false,
      numerator: 0,
      denominator: 0,
    });
    const done: string[] = [];
    const all = new Promise<void>((resolve) => {
      void workerAt(
        server.address,
        {
          [name]: (job) => {
            if (done.push(text(job.workload)) === 3) resolve();
            return undefined;
          },
        },
        { concurrency: 1 },
      );
    });
    await all;
    expect(done).toEqual(["high", "normal", "low"]);
  });

  it("a job whose worker is lost is done by another, and its first run is told to stop", async () => {
    const name = fresh("f");
    const [one, two] = [gate(), gate()];
    const first = await workerAt(server.address, { [name]: one.handler });
    const client = clientAt(server.address);
    const started = one.next();
    const job = client.submit(name, "w", { unique: "u" });
    const words = wordsOf(job);
    const running = await started;
    expect(running.attempt).toBe(1);
    await running.data("void");
    const restarted = two.next();
    await workerAt(server.address, { [name]: two.handler });
    await first.close();
    expect(running.signal.reason).toMatchObject({ code: "WORKER_CLOSED" });
    const again = await restarted;
    expect(again.attempt).toBe(drover ? 2 : 1);
    await again.data("anew");
    two.open();
    expect(text(await job.result())).toBe("run 1");
    // Only Drover tells.
    expect(await words).toEqual([
      "created",
      "data void",
      ...(drover ? ["restarted"] : []),
      "data anew",
      "complete run 1",
    ]);
  });

  it("a drained worker finishes its job, which is not run again elsewhere meanwhile", async () => {
    const name = fresh("f");
    const [one, two] = [gate(), gate()];
    const worker = await workerAt(server.address, { [name]: one.handler });
    const client = clientAt(server.address);
    const started = one.next();
    const job = client.submit(name, "first");
    await started;
    const drained = worker.drain();
    const taken = two.next();
    await workerAt(server.address, { [name]: two.handler });
    const later = client.submit(name, "second");
    expect(text((await taken).workload)).toBe("second");
    one.open();
    two.open();
    expect(text(await job.result())).toBe("run 1");
    expect(text(await later.result())).toBe("run 1");
    await drained;
    expect([one.jobs.length, two.jobs.length]).toEqual([1, 1]);
  });

  it("a worker that learns a function while it sleeps gets its jobs at once", async () => {
    const [known, learnt] = [fresh("f"), fresh("g")];
    const worker = await workerAt(server.address, { [known]: () => "known" });
    const client = clientAt(server.address);
    const waiting = client.submit(learnt, "w");
    await waiting.created();
    expect(text(await client.submit(known, "w").result())).toBe("known");
    worker.handle(learnt, () => "learnt");
    expect(text(await waiting.result())).toBe("learnt");
  });

  it("defined functions carry values", async () => {
    const add = defineFunction<{ a: number; b: number }, { a: number; b: number }, number>({
      name: fresh("add"),
    });
    const worker = new Worker({ servers: server.address });
    cleanups.push(() => worker.close());
    worker.handle(add, ({ input }) => input.a + input.b);
    await worker.run();
    expect(await clientAt(server.address).submit(add, { a: 2, b: 3 }).result()).toBe(5);
  });

  it("an unknown job's status says so, and echoes come back", async () => {
    const client = clientAt(server.address);
    const unknown = { known: false, running: false, numerator: 0, denominator: 0 };
    expect(await client.status("H:nowhere:1")).toEqual(unknown);
    expect(await client.statusOfUnique("nobody")).toEqual({ ...unknown, waiting: 0 });
    expect(text(await client.echo("a\0b"))).toBe("a\0b");
  });

  it("when a server dies, keyed jobs go on at the next one, and workers follow", async () => {
    const [one, two] = [await startServer(kind), await startServer(kind)];
    cleanups.push(async () => {
      await one.stop();
      await two.stop();
    });
    const name = fresh("f");
    const { handler, next, open, jobs } = gate();
    await workerAt([one.address, two.address], { [name]: handler }, { concurrency: 3 });
    // Both jobs are to be where the server dies.
    const client = clientAt([one.address, two.address], { routing: "failover" });
    const started = next();
    const keyed = client.submit(name, "keyed", { unique: "u" });
    const words = wordsOf(keyed);
    const bare = client.submit(name, "bare");
    await started;
    await bare.created();
    const again = next();
    await one.stop("SIGKILL");
    await expect(bare.result()).rejects.toMatchObject({ code: "JOB_LOST" });
    await again;
    open();
    await keyed.result();
    expect(await words).toEqual(["created", "restarted", "created", expect.stringMatching(/^complete run/)]);
    expect(jobs.filter((job) => job.server === two.address).map((job) => text(job.workload))).toEqual([
      "keyed",
    ]);
  });

  if (drover) extensions(() => server, fresh);
}

function extensions(server: () => TestServer, fresh: (name: string) => string): void {
  it("a late joiner of another client is told everything from the beginning", async () => {
    const name = fresh("f");
    const { handler, next, open } = gate();
    await workerAt(server().address, { [name]: handler });
    const started = next();
    const early = clientAt(server().address).submit(name, "w", { unique: "u" });
    const running = await started;
    await running.data("one");
    running.status(1, 2);
    await running.warning("two");
    const told = wordsOf(early);
    const other = clientAt(server().address);
    const late = other.submit(name, "w", { unique: "u" });
    expect(await late.created()).toBe(early.handle);
    await running.data("three");
    open();
    const words = ["created", "data one", "warning two", "data three", "complete run 1"];
    const withoutStatus = (all: string[]) => all.filter((word) => !word.startsWith("status"));
    expect(withoutStatus(await told)).toEqual(words);
    const lateWords = await wordsOf(late);
    expect(withoutStatus(lateWords)).toEqual(words);
    expect(lateWords).toContain("status 1/2");
  });

  it("a queued job is gone once the last of its submitters has given it up", async () => {
    const name = fresh("f");
    const client = clientAt(server().address);
    const controllers = [new AbortController(), new AbortController()];
    const jobs = controllers.map(({ signal }) => client.submit(name, "w", { unique: name, signal }));
    for (const job of jobs) job.result().catch(() => {});
    await Promise.all(jobs.map((job) => job.created()));
    controllers[0]!.abort();
    expect(await client.statusOfUnique(name)).toMatchObject({ known: true, waiting: 1 });
    controllers[1]!.abort();
    expect(await client.statusOfUnique(name)).toMatchObject({ known: false });
  });

  it("a cancelled job's handler is told, and its client sees the job fail", async () => {
    const name = fresh("f");
    const { handler, next } = gate();
    await workerAt(server().address, { [name]: handler });
    const started = next();
    const job = clientAt(server().address).submit(name, "w");
    const running = await started;
    expect(await admin(server(), `cancel job ${running.handle}`, "\r\n")).toBe("OK\r\n");
    await expect(job.result()).rejects.toMatchObject({ code: "JOB_FAILED" });
    if (!running.signal.aborted) {
      await new Promise((resolve) => running.signal.addEventListener("abort", resolve));
    }
    expect(running.signal.reason).toMatchObject({ code: "JOB_CANCELLED" });
  });

  it("a job that takes too long fails for its client, and its signal aborts", async () => {
    const name = fresh("f");
    const { handler, next } = gate();
    const worker = new Worker({ servers: server().address, ...quick });
    cleanups.push(() => worker.close());
    worker.handle(name, handler, { timeoutMs: 1_000 });
    await worker.run();
    const started = next();
    const result = clientAt(server().address).submit(name, "w").result();
    const running = await started;
    await expect(result).rejects.toMatchObject({ code: "JOB_FAILED" });
    if (!running.signal.aborted) {
      await new Promise((resolve) => running.signal.addEventListener("abort", resolve));
    }
    expect(running.signal.reason).toMatchObject({ code: "JOB_OVERDUE" });
  });

  it("a delayed job waits for its time with its priority, and its outcome can be asked for", async () => {
    const name = fresh("f");
    const client = clientAt(server().address);
    const far = { at: new Date(Date.now() + 3_600_000), priority: "high", unique: "u" } as const;
    const handle = await client.background(name, "w", far);
    expect(await client.outcome(name, "u")).toMatchObject({ state: "delayed", handle });
    // Joined, the earlier of two times counts.
    const at = Date.now() + 200;
    expect(await client.background(name, "w", { at, unique: "u" })).toBe(handle);
    const began = Promise.withResolvers<number>();
    await workerAt(server().address, {
      [name]: () => {
        began.resolve(Date.now());
        return undefined;
      },
    });
    // Clocks of two processes of one machine agree; half a tick is allowed for rounding.
    expect(await began.promise).toBeGreaterThanOrEqual(at - 1);
    let outcome = await client.outcomeOfHandle(handle);
    while (outcome.state !== "done") outcome = await client.outcomeOfHandle(handle);
    expect(outcome.endedMs).toBeGreaterThanOrEqual(at - 1);
    expect((await client.outcome(name, "u")).state).toBe("done");
    expect((await client.outcome(name, "nobody")).state).toBe("unknown");
  });

  it("trace context, reducer and linger travel with a job", async () => {
    const name = fresh("f");
    let seen: WorkerJob | undefined;
    let runs = 0;
    await workerAt(server().address, {
      [name]: (job) => {
        seen = job;
        return `run ${++runs}`;
      },
    });
    const client = clientAt(server().address);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const options = { traceparent, reducer: "sum up", unique: "u", lingerMs: 60_000 };
    expect(text(await client.submit(name, "w", options).result())).toBe("run 1");
    expect(seen).toMatchObject({ traceparent, reducer: "sum up" });
    // The lingering result answers without another run.
    expect(text(await clientAt(server().address).submit(name, "w", { unique: "u" }).result())).toBe("run 1");
  });

  it("a job that is kept runs though its submitter has left", async () => {
    const name = fresh("f");
    const client = clientAt(server().address);
    const controller = new AbortController();
    const job = client.submit(name, "w", { keep: true, unique: name, signal: controller.signal });
    job.result().catch(() => {});
    await job.created();
    controller.abort();
    expect(await client.statusOfUnique(name)).toMatchObject({ known: true });
    const ran = Promise.withResolvers<void>();
    await workerAt(server().address, {
      [name]: () => {
        ran.resolve();
        return undefined;
      },
    });
    await ran.promise;
  });
}

describeWith(["gearmand"], "client and worker with gearmand", () => suite("gearmand"));
describe("client and worker with drover", () => suite("drover"));
