import { bytesCodec, defineFunction, type Notice, type StandardSchema } from "@drover/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ScriptedPeer, ScriptedServers, settled } from "../../client/test/scripted-server.ts";
import { type JobAborted, JobFailure, Worker, type WorkerJob, type WorkerOptions } from "../src/index.ts";

let servers: ScriptedServers;
const workers: Worker[] = [];
let notices: Notice[];
beforeEach(() => {
  servers = new ScriptedServers();
  notices = [];
});
afterEach(async () => {
  for (const end of unended.splice(0)) end();
  for (const worker of workers.splice(0)) await worker.close();
});

function workerOf(options: WorkerOptions = {}): Worker {
  const worker = new Worker({
    servers: "gm1",
    dial: servers.dial,
    backoff: { initialMs: 1, maxMs: 5 },
    heartbeatMs: 0,
    onNotice: (notice) => notices.push(notice),
    ...options,
  });
  workers.push(worker);
  return worker;
}

function assign(peer: ScriptedPeer, handle: string, name = "f", workload = "w"): void {
  peer.send("JOB_ASSIGN_UNIQ", [handle, name, "u"], workload);
}

/** Ends what a test leaves running: closing waits for handlers. */
const unended: (() => void)[] = [];

/** A handler whose jobs the test ends when it likes. */
function manual() {
  const jobs: (WorkerJob & { resolve(result: string): void; reject(error: unknown): void })[] = [];
  const waiting: (() => void)[] = [];
  return {
    jobs,
    handler: (job: WorkerJob) =>
      new Promise<string>((resolve, reject) => {
        jobs.push({ ...job, resolve, reject });
        unended.push(() => resolve(""));
        for (const wake of waiting.splice(0)) wake();
      }),
    async job(index: number) {
      while (jobs.length <= index) await new Promise<void>((resolve) => waiting.push(resolve));
      return jobs[index]!;
    },
  };
}

const aborted = (signal: AbortSignal) =>
  new Promise<JobAborted>((resolve) => {
    if (signal.aborted) resolve(signal.reason as JobAborted);
    else signal.addEventListener("abort", () => resolve(signal.reason as JobAborted));
  });

describe("a worker", () => {
  it("registers, grabs, does a job with its reports, and sleeps", async () => {
    servers.listen("gm1");
    const worker = workerOf({ clientId: "me" });
    let seen: WorkerJob | undefined;
    worker.handle("ü", async (job) => {
      seen = job;
      job.status(1, 10);
      await job.data("part");
      await job.warning(Uint8Array.of(0));
      return `${Buffer.from(job.workload).toString()}!`;
    });
    worker.handle("quick", () => undefined, { timeoutMs: 2_500.5 });
    worker.handle("quicker", () => {}, { timeoutMs: 20 });
    const running = worker.run();
    const peer = await servers.accepted();
    await running;
    await settled();
    // Below a second it is told as one, since some servers take small numbers for seconds.
    expect(peer.all).toEqual([
      "OPTION_REQ drover.1",
      "SET_CLIENT_ID me",
      "CAN_DO \xc3\xbc",
      "CAN_DO_TIMEOUT quick 2501",
      "CAN_DO_TIMEOUT quicker 1000",
      "ECHO_REQ drover",
      "GRAB_JOB_UNIQ",
    ]);
    peer.all.length = 0;
    assign(peer, "H:1", "\xc3\xbc", "work");
    await settled();
    expect(peer.all).toEqual([
      "WORK_STATUS H:1 1 10",
      "WORK_DATA H:1 part",
      "WORK_WARNING H:1 \0",
      "WORK_COMPLETE H:1 work!",
      "GRAB_JOB_UNIQ",
    ]);
    expect(seen).toMatchObject({
      function: "ü",
      handle: "H:1",
      unique: "u",
      attempt: 1,
      server: "gm1",
      reducer: "",
    });
    assign(peer, "H:2", "quick");
    await settled();
    expect(peer.all.slice(5)).toEqual(["WORK_COMPLETE H:2", "GRAB_JOB_UNIQ"]);
    peer.send("NO_JOB");
    await settled();
    expect(peer.all.at(-1)).toBe("PRE_SLEEP");
    expect(worker.running).toBe(0);
  });

  it("tells a thrown error's message and nothing else, or a plain failure if that was thrown", async () => {
    servers.listen("gm1");
    const worker = workerOf({ concurrency: 1 });
    const thrown = [new TypeError("no such image"), "just text", new JobFailure("secret"), null];
    worker.handle("f", () => {
      throw thrown.shift();
    });
    await worker.run();
    const peer = await servers.accepted();
    for (const handle of ["H:1", "H:2", "H:3", "H:4"]) {
      assign(peer, handle);
      await settled();
    }
    expect(peer.all.filter((word) => word.startsWith("WORK"))).toEqual([
      "WORK_EXCEPTION H:1 no such image",
      "WORK_EXCEPTION H:2 just text",
      "WORK_FAIL H:3",
      "WORK_EXCEPTION H:4 null",
    ]);
    const other = workerOf({ exceptionText: (error) => `${(error as Error).name}!` });
    other.handle("f", async () => {
      throw new RangeError("hidden");
    });
    await other.run();
    const second = await servers.accepted();
    assign(second, "H:1");
    await settled();
    expect(second.all).toContain("WORK_EXCEPTION H:1 RangeError!");
  });

  it("takes no more jobs than it has slots, over all servers together", async () => {
    servers.listen("gm1");
    servers.listen("gm2");
    const worker = workerOf({ servers: ["gm1", "gm2"], concurrency: 2 });
    const { handler, job } = manual();
    worker.handle("f", handler);
    void worker.run();
    const peers = [await servers.accepted(), await servers.accepted()];
    await settled();
    const grabs = () => peers.map(({ all }) => all.filter((word) => word === "GRAB_JOB_UNIQ").length);
    expect(grabs()).toEqual([1, 1]);
    assign(peers[0]!, "H:1");
    await settled();
    // The other slot is taken by the grab that the other server has not answered.
    expect(grabs()).toEqual([1, 1]);
    peers[1]!.send("NO_JOB");
    await settled();
    expect(grabs()).toEqual([2, 1]);
    assign(peers[0]!, "H:2");
    await settled();
    expect(worker.running).toBe(2);
    // Woken, but full: it grabs when a slot is free.
    peers[1]!.send("NOOP");
    await settled();
    expect(grabs()).toEqual([2, 1]);
    (await job(0)).resolve("r");
    await settled();
    expect(grabs().reduce((sum, count) => sum + count)).toBe(4);
  });

  it("reads what Drover tells about a job, and asks for all of it", async () => {
    servers.listen("gm1", "drover");
    const worker = workerOf();
    const { handler, job } = manual();
    worker.handle("f", handler);
    await worker.run();
    const peer = await servers.accepted();
    await settled();
    expect(peer.all.at(-1)).toBe("GRAB_JOB_ALL");
    peer.send("JOB_ASSIGN_EXT", ["H:1", "f", "u", "attempt=3&traceparent=00-a-b-01&reducer=r"], "w");
    expect(await job(0)).toMatchObject({ attempt: 3, traceparent: "00-a-b-01", reducer: "r" });
  });

  it("registers what it learns to do later, and withdraws what it no longer does once none of it runs", async () => {
    servers.listen("gm1");
    const worker = workerOf({ concurrency: 2 });
    const { handler, job } = manual();
    worker.handle("f", handler);
    await worker.run();
    const peer = await servers.accepted();
    assign(peer, "H:1");
    await job(0);
    peer.send("NO_JOB");
    await settled();
    peer.all.length = 0;
    worker.handle("g", handler);
    await settled();
    expect(peer.all).toEqual(["CAN_DO g", "GRAB_JOB_UNIQ"]);
    expect(() => worker.handle("g", handler)).toThrow(/already/);
    worker.unhandle("f");
    peer.send("NO_JOB");
    await settled();
    expect(peer.all.slice(2)).toEqual(["PRE_SLEEP"]);
    (await job(0)).resolve("r");
    await settled();
    expect(peer.all.slice(3)).toEqual(["WORK_COMPLETE H:1 r", "CANT_DO f"]);
    worker.handle("f", handler);
    await settled();
    expect(peer.all.slice(5)).toEqual(["CAN_DO f", "GRAB_JOB_UNIQ"]);
  });

  it("lets a handler that sends much wait until the server reads", async () => {
    servers.listen("gm1");
    const worker = workerOf();
    let sent = 0;
    worker.handle("f", async (job) => {
      for (let i = 0; i < 20; i++) {
        await job.data(new Uint8Array(100_000));
        sent++;
      }
    });
    await worker.run();
    const peer = await servers.accepted();
    await settled();
    peer.freeze();
    assign(peer, "H:1");
    await settled();
    const before = sent;
    expect(before).toBeLessThan(20);
    await settled();
    expect(sent).toBe(before);
    peer.thaw();
    while (!peer.all.includes("WORK_COMPLETE H:1")) await settled();
    expect(sent).toBe(20);
  });
});

describe("a job's signal aborts", () => {
  it("when its time is up; what the handler throws then is a plain failure", async () => {
    servers.listen("gm1");
    const worker = workerOf();
    const { handler, job } = manual();
    worker.handle("f", handler, { timeoutMs: 5 });
    await worker.run();
    const peer = await servers.accepted();
    assign(peer, "H:1");
    const overdue = await job(0);
    const reason = await aborted(overdue.signal);
    expect(reason).toMatchObject({ name: "JobAborted", code: "JOB_OVERDUE" });
    overdue.reject(reason);
    await settled();
    expect(peer.all).toContain("WORK_FAIL H:1");
    // The server may have given up on it before: that is noted, and changes nothing else.
    peer.send("ERROR", ["JOB_NOT_FOUND", "Job given in work result not found"]);
    peer.send("NO_JOB");
    await settled();
    expect(notices.at(-1)).toMatchObject({ type: "server error", code: "JOB_NOT_FOUND" });
    expect(peer.all.at(-1)).toBe("PRE_SLEEP");
  });

  it("when Drover cancels it", async () => {
    servers.listen("gm1", "drover");
    const worker = workerOf();
    worker.handle("f", async ({ signal }) => {
      await aborted(signal);
      signal.throwIfAborted();
    });
    await worker.run();
    const peer = await servers.accepted();
    peer.send("JOB_ASSIGN_EXT", ["H:1", "f", "", "attempt=1"], "w");
    await settled();
    peer.send("CANCEL", ["H:1"]);
    await settled();
    expect(peer.all.slice(-2)).toEqual(["WORK_FAIL H:1", "GRAB_JOB_ALL"]);
  });

  it("when its server is lost; the worker comes back registered, with the slot taken until the handler ends", async () => {
    servers.listen("gm1");
    const worker = workerOf({ clientId: "me" });
    const { handler, job } = manual();
    worker.handle("f", handler, { timeoutMs: 60_000 });
    await worker.run();
    const one = await servers.accepted();
    assign(one, "H:1");
    const orphan = await job(0);
    one.sever();
    expect(await aborted(orphan.signal)).toMatchObject({ code: "SERVER_GONE" });
    const two = await servers.accepted();
    await settled();
    expect(two.all).toEqual([
      "OPTION_REQ drover.1",
      "SET_CLIENT_ID me",
      "CAN_DO_TIMEOUT f 60000",
      "ECHO_REQ drover",
    ]);
    orphan.resolve("too late");
    await settled();
    expect(two.all.slice(4)).toEqual(["GRAB_JOB_UNIQ"]);
  });

  it("when the worker is closed", async () => {
    servers.listen("gm1");
    const worker = workerOf();
    const { handler, job } = manual();
    worker.handle("f", handler);
    await worker.run();
    const peer = await servers.accepted();
    assign(peer, "H:1");
    const running = await job(0);
    const closed = worker.close();
    expect(await aborted(running.signal)).toMatchObject({ code: "WORKER_CLOSED" });
    running.reject(running.signal.reason);
    await closed;
    await peer.closed();
    expect(peer.all.filter((word) => word.startsWith("WORK_"))).toEqual([]);
  });
});

describe("a worker reconnects", () => {
  it("again and again, also to a server that is not there at first, or that does not answer", async () => {
    servers.listen("gm2", "mute");
    const worker = workerOf({ servers: ["gm1", "gm2"], connectTimeoutMs: 10 });
    worker.handle("f", () => "r");
    const running = worker.run();
    const told = () => new Set(notices.map(({ type, server }) => `${type} ${server}`));
    while (notices.length < 6 || told().size < 2) await settled();
    expect(told()).toEqual(new Set(["unreachable gm1", "unreachable gm2"]));
    servers.listen("gm1");
    await running;
    expect(notices.find(({ type }) => type === "connected")).toMatchObject({ server: "gm1", drover: false });
  });

  it("when its server falls silent", async () => {
    servers.listen("gm1");
    const worker = workerOf({ heartbeatMs: 10 });
    worker.handle("f", () => "r");
    await worker.run();
    const one = await servers.accepted();
    one.freeze();
    const two = await servers.accepted();
    while (two.all.at(-1) !== "GRAB_JOB_UNIQ") await settled();
    expect(notices.map(({ type }) => type)).toContain("disconnected");
  });

  it("when the server breaks the protocol", async () => {
    servers.listen("gm1");
    const worker = workerOf();
    worker.handle("f", () => "r");
    await worker.run();
    const one = await servers.accepted();
    await settled();
    one.send("JOB_CREATED", ["H:1"]);
    await one.closed();
    await servers.accepted();
    expect(notices.find(({ type }) => type === "disconnected")).toMatchObject({
      error: { code: "UNEXPECTED_PACKET" },
    });
  });
});

describe("drain", () => {
  it("finishes what runs, takes nothing more, and closes", async () => {
    servers.listen("gm1");
    servers.listen("gm2");
    const worker = workerOf({ servers: ["gm1", "gm2", "gone"], concurrency: 2 });
    const { handler, job } = manual();
    worker.handle("f", handler);
    await worker.run();
    const peers = [await servers.accepted(), await servers.accepted()];
    await settled();
    assign(peers[0]!, "H:1");
    await job(0);
    let drained = false;
    const draining = worker.drain().then(() => {
      drained = true;
    });
    peers[1]!.send("NO_JOB");
    await peers[1]!.closed();
    await settled();
    expect(drained).toBe(false);
    expect(peers[1]!.all.at(-1)).toBe("RESET_ABILITIES");
    // gearmand would give the running job to another worker if the function were withdrawn now.
    expect(peers[0]!.all).not.toContain("CANT_DO f");
    expect(peers[0]!.all).not.toContain("RESET_ABILITIES");
    (await job(0)).resolve("r");
    await draining;
    await worker.stopped;
    await peers[0]!.closed();
    expect(peers[0]!.all.slice(-2)).toEqual(["WORK_COMPLETE H:1 r", "RESET_ABILITIES"]);
  });

  it("does a job that an outstanding grab brings", async () => {
    servers.listen("gm1");
    const worker = workerOf();
    worker.handle("f", () => "r");
    await worker.run();
    const peer = await servers.accepted();
    await settled();
    const draining = worker.drain();
    await settled();
    assign(peer, "H:1");
    await draining;
    await peer.closed();
    expect(peer.all.slice(-2)).toEqual(["WORK_COMPLETE H:1 r", "RESET_ABILITIES"]);
  });

  it("waits for a handler whose server was lost, and connects no more", async () => {
    servers.listen("gm1");
    const worker = workerOf();
    const { handler, job } = manual();
    worker.handle("f", handler);
    await worker.run();
    const peer = await servers.accepted();
    assign(peer, "H:1");
    const orphan = await job(0);
    const draining = worker.drain();
    peer.sever();
    await aborted(orphan.signal);
    orphan.resolve("r");
    await draining;
    expect(servers.dialled).toEqual(["gm1"]);
  });

  it("ends a worker that never began, or never reached a server", async () => {
    await workerOf().drain();
    const worker = workerOf();
    void worker.run();
    await worker.drain();
    await worker.close();
  });

  it("happens at the signals asked for, once", async () => {
    servers.listen("gm1");
    const before = process.listenerCount("SIGUSR2");
    const worker = workerOf({ drainOnSignals: ["SIGUSR2"] });
    worker.handle("f", () => "r");
    await worker.run();
    const peer = await servers.accepted();
    await settled();
    peer.send("NO_JOB");
    await settled();
    expect(process.listenerCount("SIGUSR2")).toBe(before + 1);
    process.kill(process.pid, "SIGUSR2");
    await worker.stopped;
    await peer.closed();
    expect(process.listenerCount("SIGUSR2")).toBe(before);
  });
});

describe("a defined function's handler", () => {
  const positive: StandardSchema<number, number> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) =>
        typeof value === "number" && value > 0 ? { value } : { issues: [{ message: "must be positive" }] },
    },
  };

  it("gets its input decoded and checked, and its output checked and encoded", async () => {
    servers.listen("gm1");
    const worker = workerOf();
    const double = defineFunction({ name: "double", input: positive, output: positive });
    worker.handle(double, ({ input }) => (input === 13 ? -1 : input * 2));
    const raw = defineFunction<Uint8Array, Uint8Array, Uint8Array, Uint8Array>({
      name: "raw",
      codec: bytesCodec,
    });
    worker.handle(raw, ({ input }) => input);
    await worker.run();
    const peer = await servers.accepted();
    for (const [handle, name, workload] of [
      ["H:1", "double", "21"],
      ["H:2", "double", "-21"],
      ["H:3", "double", "{"],
      ["H:4", "double", "13"],
      ["H:5", "raw", "\0\xff"],
    ] as const) {
      assign(peer, handle, name, workload);
      await settled();
    }
    const reports = peer.all.filter((word) => word.startsWith("WORK"));
    expect(reports[0]).toBe("WORK_COMPLETE H:1 42");
    expect(reports[1]).toBe("WORK_EXCEPTION H:2 INPUT_INVALID: double: must be positive");
    expect(reports[2]).toMatch(/^WORK_EXCEPTION H:3 INPUT_INVALID/);
    expect(reports[3]).toBe("WORK_EXCEPTION H:4 OUTPUT_INVALID: double: must be positive");
    expect(reports[4]).toBe("WORK_COMPLETE H:5 \0\xff");
  });
});
