import { describe, expect, it } from "vitest";
import {
  InvalidArgument,
  JobException,
  JobFailed,
  JobTimeout,
  NeedsDrover,
  QueueFull,
  ServerRefused,
} from "../src/index.ts";
import { settled } from "./scripted-server.ts";
import { Stage, text, wordsOf } from "./stage.ts";

const stage = new Stage();

describe("a job", () => {
  it("is told everything, in order, and gives its result", async () => {
    stage.servers.listen("gm1");
    const job = stage.clientOf().submit("f", "work\0load", { unique: "u" });
    const words = wordsOf(job);
    const peer = await stage.servers.accepted();
    expect(await peer.next()).toBe("SUBMIT_JOB f u work\0load");
    peer.send("JOB_CREATED", ["H:1"]);
    expect(await job.created()).toBe("H:1");
    peer.send("WORK_STATUS", ["H:1", "1", "2"]);
    peer.send("WORK_DATA", ["H:1"], "a");
    peer.send("WORK_WARNING", ["H:1"], "b");
    peer.send("WORK_COMPLETE", ["H:1"], "result");
    expect(await text(job.result())).toBe("result");
    expect(await words).toEqual(["created H:1", "status 1/2", "data a", "warning b", "complete result"]);
    // Read again after its end it is the same.
    expect(await wordsOf(job)).toEqual(await words);
    expect([job.handle, job.function, job.over]).toEqual(["H:1", "f", true]);
  });

  it("fails with an error of its own kind for each way to fail", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    const jobs = ["failed", "exception", "full", "refused"].map((name) => client.submit(name, ""));
    const results = jobs.map((job) => job.result().catch((error: unknown) => error));
    const peer = await stage.servers.accepted();
    for (const _ of jobs) await peer.next();
    peer.send("JOB_CREATED", ["H:1"]);
    peer.send("JOB_CREATED", ["H:2"]);
    peer.send("ERROR", ["QUEUE_ERROR", "Job queue is full"]);
    peer.send("ERROR", ["ARGUMENT_TOO_LARGE", "Unique value too large"]);
    peer.send("WORK_FAIL", ["H:1"]);
    peer.send("WORK_EXCEPTION", ["H:2"], "out of \x1b[31mcheese");
    const [failed, exception, full, refused] = await Promise.all(results);
    expect(failed).toBeInstanceOf(JobFailed);
    expect(failed).toMatchObject({
      code: "JOB_FAILED",
      name: "JobFailed",
      handle: "H:1",
      function: "failed",
    });
    expect(exception).toBeInstanceOf(JobException);
    expect(exception).toMatchObject({ code: "JOB_EXCEPTION" });
    expect((exception as Error).message).toContain("out of \\x1b[31mcheese");
    expect(full).toBeInstanceOf(QueueFull);
    expect(refused).toBeInstanceOf(ServerRefused);
    expect(refused).toMatchObject({ code: "SERVER_REFUSED", serverCode: "ARGUMENT_TOO_LARGE" });
    expect(await wordsOf(jobs[0]!)).toEqual(["created H:1", "fail"]);
    expect(await wordsOf(jobs[2]!)).toEqual(["threw QUEUE_FULL"]);
  });

  it("is sent in the form that its options ask for", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    client.submit("f", "w", { priority: "high" });
    client.submit("f", "w", { priority: "low", unique: Uint8Array.of(0xff) });
    client.submit("f", "w", { reducer: "r" });
    client.submit("ü", new Uint8Array([1]), { traceparent: "00-1-2-01" });
    const peer = await stage.servers.accepted();
    await settled();
    expect(peer.unread).toEqual([
      "SUBMIT_JOB_HIGH f  w",
      "SUBMIT_JOB_LOW f \xff w",
      "SUBMIT_REDUCE_JOB f  r  w",
      "SUBMIT_JOB \xc3\xbc  \x01",
    ]);
  });

  it("uses Drover's packet only for what Gearman cannot say, and only with Drover", async () => {
    stage.servers.listen("gm1", "drover");
    const client = stage.clientOf();
    client.submit("f", "w", { unique: "u".repeat(80) });
    client.submit("f", "w", {
      unique: "u",
      priority: "high",
      keep: true,
      lingerMs: 100,
      traceparent: "00-ab",
    });
    void client.background("f", "w", { at: 5_500, reducer: "r r", rerunIfActive: true }).catch(() => {});
    const peer = await stage.servers.accepted();
    await settled();
    expect(peer.unread).toEqual([
      `SUBMIT_JOB f ${"u".repeat(80)} w`,
      "SUBMIT_JOB_EXT f u keep=1&linger=100&traceparent=00-ab&priority=high w",
      "SUBMIT_JOB_EXT f  rerunIfActive=1&at=5500&background=1&reducer=r%20r w",
    ]);
    stage.servers.listen("gm2");
    const other = stage.clientOf({ servers: "gm2" });
    await expect(other.submit("f", "w", { keep: true }).result()).rejects.toThrow(NeedsDrover);
    await expect(other.background("f", "w", { at: 1, priority: "high" })).rejects.toThrow(NeedsDrover);
    await expect(other.outcome("f", "u")).rejects.toThrow(NeedsDrover);
  });

  it("replaces a unique that stock servers spoil, by a hash that is short enough", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    client.submit("f", "w", { unique: "u".repeat(63) });
    client.submit("f", "w", { unique: "u".repeat(64) });
    const peer = await stage.servers.accepted();
    expect(await peer.next()).toBe(`SUBMIT_JOB f ${"u".repeat(63)} w`);
    // Of 64 times u, computed by another program.
    const unique = "sha256-GiKS9089GLWhlQacFGBSpr6UZs0itJbrpseux4MXzDc";
    expect(await peer.next()).toBe(`SUBMIT_JOB f ${unique} w`);
    const status = client.statusOfUnique("u".repeat(64));
    expect(await peer.next()).toBe(`GET_STATUS_UNIQUE ${unique}`);
    peer.send("JOB_CREATED", ["H:1"]);
    peer.send("JOB_CREATED", ["H:2"]);
    peer.send("STATUS_RES_UNIQUE", [unique, "1", "0", "0", "0", "3"]);
    expect(await status).toMatchObject({ known: true, waiting: 3 });
  });

  it("cannot be named with a NUL", () => {
    const client = stage.clientOf();
    expect(() => client.submit("a\0b", "")).toThrow(InvalidArgument);
    expect(() => client.submit("a", "", { unique: "\0" })).toThrow(InvalidArgument);
    expect(stage.servers.dialled).toEqual([]);
  });
});

describe("equal submissions of one client", () => {
  it("are one on the wire; each is told everything, whenever it came", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    const first = client.submit("f", "w", { unique: "u" });
    const peer = await stage.servers.accepted();
    await peer.next();
    peer.send("JOB_CREATED", ["H:1"]);
    peer.send("WORK_DATA", ["H:1"], "a");
    peer.send("WORK_STATUS", ["H:1", "1", "2"]);
    await settled();
    const second = client.submit("f", "other", { unique: "u" });
    expect(await second.created()).toBe("H:1");
    client.submit("g", "w", { unique: "u" });
    expect(await peer.next()).toBe("SUBMIT_JOB g u w");
    peer.send("WORK_DATA", ["H:1"], "b");
    peer.send("WORK_COMPLETE", ["H:1"], "r");
    const told = ["created H:1", "data a", "status 1/2", "data b", "complete r"];
    expect(await wordsOf(first)).toEqual(told);
    expect(await wordsOf(second)).toEqual(told);
    client.submit("f", "w", { unique: "u" });
    expect(await peer.next()).toBe("SUBMIT_JOB f u w");
  });

  it("without a unique are not joined, and with - only when their workload is equal", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    client.submit("f", "w");
    client.submit("f", "w");
    client.submit("f", "w", { unique: "-" });
    client.submit("f", "w", { unique: "-" });
    client.submit("f", "x", { unique: "-" });
    client.submit("f", "", { unique: "-" });
    client.submit("f", "", { unique: "-" });
    const peer = await stage.servers.accepted();
    await settled();
    expect(peer.unread).toEqual([
      "SUBMIT_JOB f  w",
      "SUBMIT_JOB f  w",
      "SUBMIT_JOB f - w",
      "SUBMIT_JOB f - x",
      "SUBMIT_JOB f -",
      "SUBMIT_JOB f -",
    ]);
  });

  it("can be given up one by one; the last one leaves the job on a server that understands", async () => {
    stage.servers.listen("gm1", "drover");
    const client = stage.clientOf();
    const controllers = [new AbortController(), new AbortController()];
    const jobs = controllers.map(({ signal }) => client.submit("f", "w", { unique: "u", signal }));
    const results = jobs.map((job) => job.result().catch((error: unknown) => error));
    const peer = await stage.servers.accepted();
    await peer.next();
    peer.send("JOB_CREATED", ["H:1"]);
    await jobs[1]!.created();
    const reason = new Error("changed my mind");
    controllers[0]!.abort(reason);
    expect(await results[0]).toBe(reason);
    expect(jobs[1]!.over).toBe(false);
    await settled();
    expect(peer.unread).toEqual([]);
    controllers[1]!.abort(reason);
    expect(await peer.next()).toBe("DETACH H:1");
    expect(await wordsOf(jobs[1]!)).toEqual(["threw changed my mind"]);
    // What was under way reaches nobody, and the unique is submitted afresh.
    peer.send("WORK_COMPLETE", ["H:1"], "late");
    const again = client.submit("f", "w", { unique: "u" });
    expect(await peer.next()).toBe("SUBMIT_JOB f u w");
    peer.send("JOB_CREATED", ["H:2"]);
    peer.send("WORK_COMPLETE", ["H:2"], "new");
    expect(await text(again.result())).toBe("new");
  });

  it("given up before the acknowledgement leave after it, or are revived by another", async () => {
    stage.servers.listen("gm1", "drover");
    const client = stage.clientOf();
    const give = (unique: string) => {
      const controller = new AbortController();
      const job = client.submit("f", "w", { unique, signal: controller.signal });
      job.result().catch(() => {});
      return controller;
    };
    const left = give("left");
    const revived = give("revived");
    const peer = await stage.servers.accepted();
    expect([await peer.next(), await peer.next()]).toHaveLength(2);
    left.abort();
    revived.abort();
    const job = client.submit("f", "w", { unique: "revived" });
    peer.send("JOB_CREATED", ["H:1"]);
    peer.send("JOB_CREATED", ["H:2"]);
    expect(await peer.next()).toBe("DETACH H:1");
    peer.send("WORK_COMPLETE", ["H:2"], "r");
    expect(await text(job.result())).toBe("r");
    expect(peer.unread).toEqual([]);
  });

  it("given up on a stock server are forgotten, though it goes on to send to both", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    const controller = new AbortController();
    const first = client.submit("f", "w", { unique: "u", signal: controller.signal });
    first.result().catch(() => {});
    const peer = await stage.servers.accepted();
    await peer.next();
    peer.send("JOB_CREATED", ["H:1"]);
    await first.created();
    controller.abort();
    const second = client.submit("f", "w", { unique: "u" });
    expect(await peer.next()).toBe("SUBMIT_JOB f u w");
    peer.send("JOB_CREATED", ["H:1"]);
    for (let i = 0; i < 2; i++) peer.send("WORK_DATA", ["H:1"], "d");
    for (let i = 0; i < 2; i++) peer.send("WORK_COMPLETE", ["H:1"], "r");
    expect(await wordsOf(second)).toEqual(["created H:1", "data d", "complete r"]);
    expect(stage.notices.filter((notice) => notice.type === "disconnected")).toEqual([]);
  });

  it("aborted before they begin send nothing", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    const reason = new Error("never");
    const job = client.submit("f", "w", { signal: AbortSignal.abort(reason) });
    await expect(job.result()).rejects.toBe(reason);
    await expect(job.created()).rejects.toBe(reason);
    await settled();
    expect(stage.servers.dialled).toEqual([]);
  });

  it("end by their own deadline", async () => {
    stage.servers.listen("gm1", "drover");
    const client = stage.clientOf();
    const patient = client.submit("f", "w", { unique: "u" });
    const hasty = client.submit("f", "w", { unique: "u", deadlineMs: 5 });
    const peer = await stage.servers.accepted();
    await peer.next();
    peer.send("JOB_CREATED", ["H:1"]);
    await expect(hasty.result()).rejects.toThrow(JobTimeout);
    peer.send("WORK_COMPLETE", ["H:1"], "r");
    expect(await text(patient.result())).toBe("r");
    expect(peer.unread).toEqual([]);
  });
});

describe("restarts told by Drover", () => {
  it("void what was reported so far", async () => {
    stage.servers.listen("gm1", "drover");
    const client = stage.clientOf();
    const job = client.submit("f", "w", { unique: "u" });
    const peer = await stage.servers.accepted();
    await peer.next();
    peer.send("JOB_CREATED", ["H:1"]);
    peer.send("WORK_DATA", ["H:1"], "void");
    await settled();
    const words: string[] = [];
    const reading = wordsOf(job, words);
    await settled();
    peer.send("JOB_RESTARTED", ["H:1", "2"]);
    peer.send("WORK_DATA", ["H:1"], "anew");
    peer.send("WORK_COMPLETE", ["H:1"], "r");
    await reading;
    expect(words).toEqual(["created H:1", "data void", "restarted worker lost", "data anew", "complete r"]);
    expect(await wordsOf(job)).toEqual(["created H:1", "restarted worker lost", "data anew", "complete r"]);
  });
});
