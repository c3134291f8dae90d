import { describe, expect, it } from "vitest";
import { InvalidArgument, JobLost, QueueFull, ServerLost, TooManyCalls } from "../src/index.ts";
import { settled } from "./scripted-server.ts";
import { Stage, text, wordsOf } from "./stage.ts";

const stage = new Stage();

describe("background submissions", () => {
  it("resolve with the handle and are told nothing more", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    const handles = client.backgroundAll([
      { function: "f", workload: "1" },
      { function: "f", workload: "2", options: { priority: "low", unique: "u" } },
      { function: "f", workload: "3", options: { at: new Date(1_700_000_000_001) } },
    ]);
    const peer = await stage.servers.accepted();
    expect([await peer.next(), await peer.next(), await peer.next()]).toEqual([
      "SUBMIT_JOB_BG f  1",
      "SUBMIT_JOB_LOW_BG f u 2",
      // Never before its time, so up to the next whole second.
      "SUBMIT_JOB_EPOCH f  1700000001 3",
    ]);
    for (const handle of ["H:1", "H:2", "H:3"]) peer.send("JOB_CREATED", [handle]);
    expect(await handles).toEqual(["H:1", "H:2", "H:3"]);
  });

  it("with a unique are submitted again when the connection is lost before the acknowledgement; others are lost", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    const keyed = client.background("f", "keyed", { unique: "u" });
    const bare = client.background("f", "bare").catch((error: unknown) => error);
    const one = await stage.servers.accepted();
    await one.next();
    await one.next();
    one.sever();
    expect(await bare).toBeInstanceOf(JobLost);
    const two = await stage.servers.accepted();
    expect(await two.next()).toBe("SUBMIT_JOB_BG f u keyed");
    two.send("JOB_CREATED", ["H:9"]);
    expect(await keyed).toBe("H:9");
  });

  it("reject when the server refuses, or the time is no time", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    const refused = client.background("f", "w").catch((error: unknown) => error);
    const peer = await stage.servers.accepted();
    await peer.next();
    peer.send("ERROR", ["QUEUE_ERROR", "Job queue is full"]);
    expect(await refused).toBeInstanceOf(QueueFull);
    await expect(client.background("f", "w", { at: new Date("never") })).rejects.toThrow(InvalidArgument);
  });
});

describe("questions", () => {
  it("are answered in order, with numbers", async () => {
    stage.servers.listen("gm1", "drover");
    const client = stage.clientOf();
    const answers = Promise.all([
      client.status("H:1"),
      client.statusOfUnique("ü"),
      client.outcome("f", "u"),
      client.outcomeOfHandle("H:1"),
    ]);
    const peer = await stage.servers.accepted();
    await settled();
    expect(peer.unread).toEqual([
      "GET_STATUS H:1",
      "GET_STATUS_UNIQUE \xc3\xbc",
      "GET_OUTCOME f u",
      "GET_OUTCOME H:1 ",
    ]);
    peer.send("STATUS_RES", ["H:1", "1", "1", "3", "x"]);
    peer.send("STATUS_RES_UNIQUE", ["\xc3\xbc", "1", "0", "0", "0", "4"]);
    peer.send("OUTCOME_RES", ["f", "u", "H:1", "done", "1", "1", "0", "1700"]);
    peer.send("OUTCOME_RES", ["", "", "H:1", "unknown", "0", "0", "0", "0"]);
    const [status, ofUnique, outcome, ofHandle] = await answers;
    expect(status).toEqual({ known: true, running: true, numerator: 3, denominator: 0 });
    expect(ofUnique).toEqual({ known: true, running: false, numerator: 0, denominator: 0, waiting: 4 });
    expect(outcome).toMatchObject({ handle: "H:1", state: "done", endedMs: 1700 });
    expect(ofHandle).toMatchObject({ state: "unknown" });
    expect(await text(client.echo("back"))).toBe("back");
  });

  it("are lost with their connection, while calls are not", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    const status = client.status("H:1").catch((error: unknown) => error);
    const peer = await stage.servers.accepted();
    await peer.next();
    peer.sever();
    expect(await status).toBeInstanceOf(ServerLost);
  });

  it("about handles that gearmand never answers are refused here", async () => {
    stage.servers.listen("gm1");
    await expect(stage.clientOf().status("H".repeat(64))).rejects.toThrow(InvalidArgument);
  });
});

describe("limits", () => {
  it("bound the jobs under way; the next waits for a place, in order", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf({ maxInFlight: 2, maxWaiting: 2 });
    const controller = new AbortController();
    const jobs = [1, 2, 3, 4].map((n) =>
      client.submit("f", String(n), n === 3 ? { signal: controller.signal } : {}),
    );
    await expect(client.submit("f", "5").result()).rejects.toThrow(TooManyCalls);
    const peer = await stage.servers.accepted();
    await settled();
    expect(peer.unread).toEqual(["SUBMIT_JOB f  1", "SUBMIT_JOB f  2"]);
    // One that waits and is given up frees its place in the queue.
    jobs[2]!.result().catch(() => {});
    controller.abort();
    peer.send("JOB_CREATED", ["H:1"]);
    peer.send("WORK_COMPLETE", ["H:1"], "r");
    await jobs[0]!.result();
    await settled();
    expect(peer.unread).toEqual(["SUBMIT_JOB f  1", "SUBMIT_JOB f  2", "SUBMIT_JOB f  4"]);
  });

  it("bound the questions under way apart from the jobs", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf({ maxInFlight: 1, maxWaiting: 1 });
    client.submit("f", "w");
    const first = client.status("H:1").catch(() => {});
    const second = client.status("H:2").catch(() => {});
    await expect(client.status("H:3")).rejects.toThrow(TooManyCalls);
    const peer = await stage.servers.accepted();
    await settled();
    expect(peer.unread).toEqual(["SUBMIT_JOB f  w", "GET_STATUS H:1"]);
    peer.send("JOB_CREATED", ["H:9"]);
    peer.send("STATUS_RES", ["H:1", "0", "0", "0", "0"]);
    await first;
    await settled();
    expect(peer.unread.at(-1)).toBe("GET_STATUS H:2");
    peer.sever();
    await second;
  });

  it("end what reads too slowly, not the job: data is bounded, statuses thin to the newest", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf({ maxBufferedBytes: 10_000 });
    const job = client.submit("f", "w", { unique: "u" });
    const slow = job[Symbol.asyncIterator]();
    const peer = await stage.servers.accepted();
    await peer.next();
    peer.send("JOB_CREATED", ["H:1"]);
    expect((await slow.next()).value).toMatchObject({ type: "created" });
    for (let i = 1; i <= 5_000; i++) peer.send("WORK_STATUS", ["H:1", String(i), "5000"]);
    await settled();
    expect((await slow.next()).value).toMatchObject({ type: "status", numerator: 5_000 });
    for (let i = 0; i < 20; i++) peer.send("WORK_DATA", ["H:1"], "x".repeat(1_000));
    await settled();
    await expect(slow.next()).rejects.toMatchObject({ code: "EVENTS_DROPPED" });
    // A joiner that would miss the beginning is left to the server.
    client.submit("f", "w", { unique: "u" });
    expect(await peer.next()).toBe("SUBMIT_JOB f u w");
    peer.send("JOB_CREATED", ["H:2"]);
    peer.send("WORK_COMPLETE", ["H:1"], "r");
    expect(await text(job.result())).toBe("r");
    expect(await wordsOf(job)).toEqual(["threw EVENTS_DROPPED"]);
  });
});
