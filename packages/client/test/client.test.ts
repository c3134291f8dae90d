import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  Client,
  type ClientOptions,
  InvalidArgument,
  type JobEvent,
  JobException,
  JobFailed,
  JobLost,
  JobTimeout,
  NeedsDrover,
  NoServer,
  type Notice,
  QueueFull,
  ServerLost,
  ServerRefused,
  TooManyCalls,
} from "../src/index.ts";
import { ScriptedServers, settled } from "./scripted-server.ts";

let servers: ScriptedServers;
const clients: Client[] = [];
const notices: Notice[] = [];
beforeEach(() => {
  servers = new ScriptedServers();
  notices.length = 0;
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

function clientOf(options: ClientOptions = {}): Client {
  const client = new Client({
    servers: "gm1",
    dial: servers.dial,
    backoff: { initialMs: 1, maxMs: 5 },
    heartbeatMs: 0,
    onNotice: (notice) => notices.push(notice),
    ...options,
  });
  clients.push(client);
  return client;
}

/** Reads a job's events into words until they end or throw. */
async function wordsOf(job: AsyncIterable<JobEvent>, into: string[] = []): Promise<string[]> {
  try {
    for await (const event of job) {
      if (event.type === "created") into.push(`created ${event.handle}`);
      else if (event.type === "status") into.push(`status ${event.numerator}/${event.denominator}`);
      else if (event.type === "restarted") into.push(`restarted ${event.reason}`);
      else if (event.type === "fail") into.push("fail");
      else into.push(`${event.type} ${Buffer.from(event.data).toString("latin1")}`);
    }
  } catch (error) {
    into.push(`threw ${(error as { code?: string }).code ?? (error as Error).message}`);
  }
  return into;
}

const text = async (result: Promise<Uint8Array>) => Buffer.from(await result).toString("latin1");

describe("a job", () => {
  it("is told everything, in order, and gives its result", async () => {
    servers.listen("gm1");
    const job = clientOf().submit("f", "work\0load", { unique: "u" });
    const words = wordsOf(job);
    const peer = await servers.accepted();
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
    servers.listen("gm1");
    const client = clientOf();
    const jobs = ["failed", "exception", "full", "refused"].map((name) => client.submit(name, ""));
    const results = jobs.map((job) => job.result().catch((error: unknown) => error));
    const peer = await servers.accepted();
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
    servers.listen("gm1");
    const client = clientOf();
    client.submit("f", "w", { priority: "high" });
    client.submit("f", "w", { priority: "low", unique: Uint8Array.of(0xff) });
    client.submit("f", "w", { reducer: "r" });
    client.submit("ü", new Uint8Array([1]), { traceparent: "00-1-2-01" });
    const peer = await servers.accepted();
    await settled();
    expect(peer.unread).toEqual([
      "SUBMIT_JOB_HIGH f  w",
      "SUBMIT_JOB_LOW f \xff w",
      "SUBMIT_REDUCE_JOB f  r  w",
      "SUBMIT_JOB \xc3\xbc  \x01",
    ]);
  });

  it("uses Drover's packet only for what Gearman cannot say, and only with Drover", async () => {
    servers.listen("gm1", "drover");
    const client = clientOf();
    client.submit("f", "w", { unique: "u".repeat(80) });
    client.submit("f", "w", {
      unique: "u",
      priority: "high",
      keep: true,
      lingerMs: 100,
      traceparent: "00-ab",
    });
    void client.background("f", "w", { at: 5_500, reducer: "r r", rerunIfActive: true }).catch(() => {});
    const peer = await servers.accepted();
    await settled();
    expect(peer.unread).toEqual([
      `SUBMIT_JOB f ${"u".repeat(80)} w`,
      "SUBMIT_JOB_EXT f u keep=1&linger=100&traceparent=00-ab&priority=high w",
      "SUBMIT_JOB_EXT f  rerunIfActive=1&at=5500&background=1&reducer=r%20r w",
    ]);
    servers.listen("gm2");
    const other = clientOf({ servers: "gm2" });
    await expect(other.submit("f", "w", { keep: true }).result()).rejects.toThrow(NeedsDrover);
    await expect(other.background("f", "w", { at: 1, priority: "high" })).rejects.toThrow(NeedsDrover);
    await expect(other.outcome("f", "u")).rejects.toThrow(NeedsDrover);
  });

  it("replaces a unique that stock servers spoil, by a hash that is short enough", async () => {
    servers.listen("gm1");
    const client = clientOf();
    client.submit("f", "w", { unique: "u".repeat(63) });
    client.submit("f", "w", { unique: "u".repeat(64) });
    const peer = await servers.accepted();
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
    const client = clientOf();
    expect(() => client.submit("a\0b", "")).toThrow(InvalidArgument);
    expect(() => client.submit("a", "", { unique: "\0" })).toThrow(InvalidArgument);
    expect(servers.dialled).toEqual([]);
  });
});

describe("equal submissions of one client", () => {
  it("are one on the wire; each is told everything, whenever it came", async () => {
    servers.listen("gm1");
    const client = clientOf();
    const first = client.submit("f", "w", { unique: "u" });
    const peer = await servers.accepted();
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
    servers.listen("gm1");
    const client = clientOf();
    client.submit("f", "w");
    client.submit("f", "w");
    client.submit("f", "w", { unique: "-" });
    client.submit("f", "w", { unique: "-" });
    client.submit("f", "x", { unique: "-" });
    client.submit("f", "", { unique: "-" });
    client.submit("f", "", { unique: "-" });
    const peer = await servers.accepted();
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
    servers.listen("gm1", "drover");
    const client = clientOf();
    const controllers = [new AbortController(), new AbortController()];
    const jobs = controllers.map(({ signal }) => client.submit("f", "w", { unique: "u", signal }));
    const results = jobs.map((job) => job.result().catch((error: unknown) => error));
    const peer = await servers.accepted();
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
    servers.listen("gm1", "drover");
    const client = clientOf();
    const give = (unique: string) => {
      const controller = new AbortController();
      const job = client.submit("f", "w", { unique, signal: controller.signal });
      job.result().catch(() => {});
      return controller;
    };
    const left = give("left");
    const revived = give("revived");
    const peer = await servers.accepted();
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
    servers.listen("gm1");
    const client = clientOf();
    const controller = new AbortController();
    const first = client.submit("f", "w", { unique: "u", signal: controller.signal });
    first.result().catch(() => {});
    const peer = await servers.accepted();
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
    expect(notices.filter((notice) => notice.type === "disconnected")).toEqual([]);
  });

  it("aborted before they begin send nothing", async () => {
    servers.listen("gm1");
    const client = clientOf();
    const reason = new Error("never");
    const job = client.submit("f", "w", { signal: AbortSignal.abort(reason) });
    await expect(job.result()).rejects.toBe(reason);
    await expect(job.created()).rejects.toBe(reason);
    await settled();
    expect(servers.dialled).toEqual([]);
  });

  it("end by their own deadline", async () => {
    servers.listen("gm1", "drover");
    const client = clientOf();
    const patient = client.submit("f", "w", { unique: "u" });
    const hasty = client.submit("f", "w", { unique: "u", deadlineMs: 5 });
    const peer = await servers.accepted();
    await peer.next();
    peer.send("JOB_CREATED", ["H:1"]);
    await expect(hasty.result()).rejects.toThrow(JobTimeout);
    peer.send("WORK_COMPLETE", ["H:1"], "r");
    expect(await text(patient.result())).toBe("r");
    expect(peer.unread).toEqual([]);
  });
});

describe("a lost connection", () => {
  it("makes a keyed job begin again on the next server, told as restarted", async () => {
    servers.listen("gm1");
    servers.listen("gm2");
    const client = clientOf({ servers: ["gm1", "gm2"] });
    const job = client.submit("f", "w", { unique: "u" });
    const words: string[] = [];
    const reading = wordsOf(job, words);
    const one = await servers.accepted();
    await one.next();
    one.send("JOB_CREATED", ["H:1"]);
    one.send("WORK_DATA", ["H:1"], "void");
    await settled();
    one.sever();
    const two = await servers.accepted();
    expect(await two.next()).toBe("SUBMIT_JOB f u w");
    two.send("JOB_CREATED", ["K:7"]);
    two.send("WORK_DATA", ["K:7"], "anew");
    two.send("WORK_COMPLETE", ["K:7"], "r");
    expect(await text(job.result())).toBe("r");
    await reading;
    expect(words).toEqual([
      "created H:1",
      "data void",
      "restarted connection lost",
      "created K:7",
      "data anew",
      "complete r",
    ]);
    expect(job.handle).toBe("K:7");
    expect(servers.dialled).toEqual(["gm1", "gm2"]);
    // Who reads only now does not see what is void.
    expect((await wordsOf(job))[0]).toBe("restarted connection lost");
  });

  it("loses a job without a unique, unless it asked to be submitted again", async () => {
    servers.listen("gm1");
    const client = clientOf();
    const lost = client.submit("f", "lost");
    const again = client.submit("f", "again", { rejoin: true });
    const never = client.submit("f", "never", { unique: "u", rejoin: false });
    const one = await servers.accepted();
    for (let i = 0; i < 3; i++) await one.next();
    one.send("JOB_CREATED", ["H:1"]);
    await lost.created();
    one.sever();
    await expect(lost.result()).rejects.toThrow(JobLost);
    await expect(lost.result()).rejects.toThrow(/before it ended/);
    await expect(never.result()).rejects.toThrow(/before it was acknowledged/);
    const two = await servers.accepted();
    expect(await two.next()).toBe("SUBMIT_JOB f  again");
    two.send("JOB_CREATED", ["H:1"]);
    two.send("WORK_COMPLETE", ["H:1"], "r");
    expect(await text(again.result())).toBe("r");
  });

  it("never lets what the old connection says reach the new submission", async () => {
    servers.listen("gm1");
    const client = clientOf();
    const job = client.submit("f", "w", { unique: "u" });
    const one = await servers.accepted();
    await one.next();
    one.send("JOB_CREATED", ["H:1"]);
    await job.created();
    // The end of a half packet, as from a server that dies while it writes.
    one.sendRaw("\0RES\0\0\0\x0d\0\0\0\x20H:1\0half");
    one.end();
    const two = await servers.accepted();
    await two.next();
    // The same handle again, as after a restart of gearmand.
    two.send("JOB_CREATED", ["H:1"]);
    two.send("WORK_COMPLETE", ["H:1"], "whole");
    expect(await text(job.result())).toBe("whole");
  });

  it("gives a job up that is lost again and again", async () => {
    servers.listen("gm1");
    const client = clientOf({ maxRejoins: 2 });
    const job = client.submit("f", "w", { unique: "u" });
    const result = job.result().catch((error: unknown) => error);
    for (let i = 0; i < 3; i++) {
      const peer = await servers.accepted();
      await peer.next();
      peer.sever();
    }
    expect(await result).toMatchObject({
      code: "JOB_LOST",
      message: expect.stringContaining("3 times") as string,
    });
  });

  it("is noticed when the server breaks the protocol, and a fresh one is used", async () => {
    servers.listen("gm1");
    const client = clientOf();
    for (const break_ of [
      (peer: { sendRaw(text: string): void }) => peer.sendRaw("HTTP/1.1 400 Bad Request\r\n"),
      (peer: { sendRaw(text: string): void }) => peer.sendRaw("\0XYZ........"),
      (peer: { sendRaw(text: string): void }) => peer.sendRaw("\0RES\0\0\0\x08\xff\xff\xff\xff"),
      (peer: { sendRaw(text: string): void }) => peer.sendRaw("\0RES\0\0\0\x06\0\0\0\0"),
    ]) {
      const echo = client.echo("still there?").catch((error: unknown) => error);
      const peer = await servers.accepted();
      await echo;
      break_(peer);
      await peer.closed();
    }
    const codes = notices.flatMap((notice) =>
      notice.type === "disconnected" ? [(notice.error as unknown as { code: string }).code] : [],
    );
    expect(codes).toEqual(["UNEXPECTED_PACKET", "BAD_MAGIC", "BODY_TOO_LARGE", "UNEXPECTED_PACKET"]);
  });

  it("is noticed by the heartbeat when the server falls silent", async () => {
    servers.listen("gm1");
    const client = clientOf({ heartbeatMs: 10 });
    const job = client.submit("f", "w", { unique: "u" });
    const one = await servers.accepted();
    await one.next();
    one.freeze();
    const two = await servers.accepted();
    expect(await two.next()).toBe("SUBMIT_JOB f u w");
    two.send("JOB_CREATED", ["H:1"]);
    two.send("WORK_COMPLETE", ["H:1"], "r");
    expect(await text(job.result())).toBe("r");
  });
});

describe("servers", () => {
  it("are tried in order; the first that answers is used, also by later calls", async () => {
    servers.listen("gm2");
    const client = clientOf({ servers: ["gm1", "gm2", "gm3"] });
    await client.echo();
    await client.echo();
    expect(servers.dialled).toEqual(["gm1", "gm2"]);
    expect(notices.map(({ type, server }) => `${type} ${server}`)).toEqual([
      "unreachable gm1",
      "connected gm2",
    ]);
  });

  it("that do not answer in time are passed over", async () => {
    servers.listen("gm1", "mute");
    servers.listen("gm2");
    const client = clientOf({ servers: ["gm1", "gm2"], connectTimeoutMs: 20 });
    await client.echo();
    expect(servers.dialled).toEqual(["gm1", "gm2"]);
  });

  it("that know no options work too", async () => {
    servers.listen("gm1", "no options");
    const client = clientOf();
    const job = client.submit("f", "w");
    const peer = await servers.accepted();
    expect(await peer.next()).toBe("SUBMIT_JOB f  w");
    peer.send("JOB_CREATED", ["H:1"]);
    peer.send("WORK_COMPLETE", ["H:1"], "r");
    expect(await text(job.result())).toBe("r");
    expect(notices).toMatchObject([{ type: "connected", drover: false }]);
  });

  it("that are all away fail a call after the time it may wait, and not before one comes back in time", async () => {
    const client = clientOf({ servers: ["gm1", "gm2"], unreachableMs: 30 });
    const [job, status, background] = [
      client.submit("f", "w").result(),
      client.status("H:1"),
      client.background("f", "w"),
    ].map((promise) => (promise as Promise<unknown>).catch((error: unknown) => error));
    for (const error of await Promise.all([job, status, background])) {
      expect(error).toBeInstanceOf(NoServer);
      expect((error as Error).message).toMatch(/gm1, gm2/);
      expect((error as Error).cause).toMatchObject({ code: "CONNECTION_REFUSED" });
    }
    const patient = clientOf({ unreachableMs: 60_000 });
    const echo = patient.echo("hello");
    await settled();
    servers.listen("gm1");
    expect(await text(echo)).toBe("hello");
  });
});

describe("background submissions", () => {
  it("resolve with the handle and are told nothing more", async () => {
    servers.listen("gm1");
    const client = clientOf();
    const handles = client.backgroundAll([
      { function: "f", workload: "1" },
      { function: "f", workload: "2", options: { priority: "low", unique: "u" } },
      { function: "f", workload: "3", options: { at: new Date(1_700_000_000_001) } },
    ]);
    const peer = await servers.accepted();
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
    servers.listen("gm1");
    const client = clientOf();
    const keyed = client.background("f", "keyed", { unique: "u" });
    const bare = client.background("f", "bare").catch((error: unknown) => error);
    const one = await servers.accepted();
    await one.next();
    await one.next();
    one.sever();
    expect(await bare).toBeInstanceOf(JobLost);
    const two = await servers.accepted();
    expect(await two.next()).toBe("SUBMIT_JOB_BG f u keyed");
    two.send("JOB_CREATED", ["H:9"]);
    expect(await keyed).toBe("H:9");
  });

  it("reject when the server refuses, or the time is no time", async () => {
    servers.listen("gm1");
    const client = clientOf();
    const refused = client.background("f", "w").catch((error: unknown) => error);
    const peer = await servers.accepted();
    await peer.next();
    peer.send("ERROR", ["QUEUE_ERROR", "Job queue is full"]);
    expect(await refused).toBeInstanceOf(QueueFull);
    await expect(client.background("f", "w", { at: new Date("never") })).rejects.toThrow(InvalidArgument);
  });
});

describe("questions", () => {
  it("are answered in order, with numbers", async () => {
    servers.listen("gm1", "drover");
    const client = clientOf();
    const answers = Promise.all([
      client.status("H:1"),
      client.statusOfUnique("ü"),
      client.outcome("f", "u"),
      client.outcomeOfHandle("H:1"),
    ]);
    const peer = await servers.accepted();
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
    servers.listen("gm1");
    const client = clientOf();
    const status = client.status("H:1").catch((error: unknown) => error);
    const peer = await servers.accepted();
    await peer.next();
    peer.sever();
    expect(await status).toBeInstanceOf(ServerLost);
  });

  it("about handles that gearmand never answers are refused here", async () => {
    servers.listen("gm1");
    await expect(clientOf().status("H".repeat(64))).rejects.toThrow(InvalidArgument);
  });
});

describe("limits", () => {
  it("bound the jobs under way; the next waits for a place, in order", async () => {
    servers.listen("gm1");
    const client = clientOf({ maxInFlight: 2, maxWaiting: 2 });
    const controller = new AbortController();
    const jobs = [1, 2, 3, 4].map((n) =>
      client.submit("f", String(n), n === 3 ? { signal: controller.signal } : {}),
    );
    await expect(client.submit("f", "5").result()).rejects.toThrow(TooManyCalls);
    const peer = await servers.accepted();
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
    servers.listen("gm1");
    const client = clientOf({ maxInFlight: 1, maxWaiting: 1 });
    client.submit("f", "w");
    const first = client.status("H:1").catch(() => {});
    const second = client.status("H:2").catch(() => {});
    await expect(client.status("H:3")).rejects.toThrow(TooManyCalls);
    const peer = await servers.accepted();
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
    servers.listen("gm1");
    const client = clientOf({ maxBufferedBytes: 10_000 });
    const job = client.submit("f", "w", { unique: "u" });
    const slow = job[Symbol.asyncIterator]();
    const peer = await servers.accepted();
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

describe("restarts told by Drover", () => {
  it("void what was reported so far", async () => {
    servers.listen("gm1", "drover");
    const client = clientOf();
    const job = client.submit("f", "w", { unique: "u" });
    const peer = await servers.accepted();
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

describe("close", () => {
  it("sends what was submitted, then fails everything that waits", async () => {
    servers.listen("gm1");
    const client = clientOf();
    await client.echo();
    const peer = await servers.accepted();
    const pending = [
      client.submit("f", "w").result(),
      client.background("f", "bg"),
      client.status("H:1"),
    ].map((promise) => (promise as Promise<unknown>).catch((error: unknown) => error));
    await client.close();
    for (const error of await Promise.all(pending)) expect(error).toMatchObject({ code: "CLIENT_CLOSED" });
    await peer.closed();
    expect(peer.unread).toEqual(["SUBMIT_JOB f  w", "SUBMIT_JOB_BG f  bg", "GET_STATUS H:1"]);
    await expect(client.submit("f", "w").result()).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
    await expect(client.echo()).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
    await client.close();
  });

  it("is done at the end of an await using block, also while it connects", async () => {
    let outside: Client;
    {
      await using client = clientOf();
      outside = client;
      client.echo().catch(() => {});
    }
    await expect(outside.echo()).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
  });
});
