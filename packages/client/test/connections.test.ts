import { describe, expect, it } from "vitest";
import { type Client, JobLost, NoServer } from "../src/index.ts";
import { settled } from "./scripted-server.ts";
import { Stage, text, wordsOf } from "./stage.ts";

const stage = new Stage();

describe("a lost connection", () => {
  it("makes a keyed job begin again on the next server, told as restarted", async () => {
    stage.servers.listen("gm1");
    stage.servers.listen("gm2");
    const client = stage.clientOf({ servers: ["gm1", "gm2"], routing: "failover" });
    const job = client.submit("f", "w", { unique: "u" });
    const words: string[] = [];
    const reading = wordsOf(job, words);
    const one = await stage.servers.accepted();
    await one.next();
    one.send("JOB_CREATED", ["H:1"]);
    one.send("WORK_DATA", ["H:1"], "void");
    await settled();
    one.sever();
    const two = await stage.servers.accepted();
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
    expect(stage.servers.dialled).toEqual(["gm1", "gm2"]);
    // Who reads only now does not see what is void.
    expect((await wordsOf(job))[0]).toBe("restarted connection lost");
  });

  it("loses a job without a unique, unless it asked to be submitted again", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    const lost = client.submit("f", "lost");
    const again = client.submit("f", "again", { rejoin: true });
    const never = client.submit("f", "never", { unique: "u", rejoin: false });
    const one = await stage.servers.accepted();
    for (let i = 0; i < 3; i++) await one.next();
    one.send("JOB_CREATED", ["H:1"]);
    await lost.created();
    one.sever();
    await expect(lost.result()).rejects.toThrow(JobLost);
    await expect(lost.result()).rejects.toThrow(/before it ended/);
    await expect(never.result()).rejects.toThrow(/before it was acknowledged/);
    const two = await stage.servers.accepted();
    expect(await two.next()).toBe("SUBMIT_JOB f  again");
    two.send("JOB_CREATED", ["H:1"]);
    two.send("WORK_COMPLETE", ["H:1"], "r");
    expect(await text(again.result())).toBe("r");
  });

  it("never lets what the old connection says reach the new submission", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    const job = client.submit("f", "w", { unique: "u" });
    const one = await stage.servers.accepted();
    await one.next();
    one.send("JOB_CREATED", ["H:1"]);
    await job.created();
    // The end of a half packet, as from a server that dies while it writes.
    one.sendRaw("\0RES\0\0\0\x0d\0\0\0\x20H:1\0half");
    one.end();
    const two = await stage.servers.accepted();
    await two.next();
    // The same handle again, as after a restart of gearmand.
    two.send("JOB_CREATED", ["H:1"]);
    two.send("WORK_COMPLETE", ["H:1"], "whole");
    expect(await text(job.result())).toBe("whole");
  });

  it("gives a job up that is lost again and again", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf({ maxRejoins: 2 });
    const job = client.submit("f", "w", { unique: "u" });
    const result = job.result().catch((error: unknown) => error);
    for (let i = 0; i < 3; i++) {
      const peer = await stage.servers.accepted();
      await peer.next();
      peer.sever();
    }
    expect(await result).toMatchObject({
      code: "JOB_LOST",
      message: expect.stringContaining("3 times") as string,
    });
  });

  it("is noticed when the server breaks the protocol, and a fresh one is used", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    for (const break_ of [
      (peer: { sendRaw(text: string): void }) => peer.sendRaw("HTTP/1.1 400 Bad Request\r\n"),
      (peer: { sendRaw(text: string): void }) => peer.sendRaw("\0XYZ........"),
      (peer: { sendRaw(text: string): void }) => peer.sendRaw("\0RES\0\0\0\x08\xff\xff\xff\xff"),
      (peer: { sendRaw(text: string): void }) => peer.sendRaw("\0RES\0\0\0\x06\0\0\0\0"),
    ]) {
      const echo = client.echo("still there?").catch((error: unknown) => error);
      const peer = await stage.servers.accepted();
      await echo;
      break_(peer);
      await peer.closed();
    }
    const codes = stage.notices.flatMap((notice) =>
      notice.type === "disconnected" ? [(notice.error as unknown as { code: string }).code] : [],
    );
    expect(codes).toEqual(["UNEXPECTED_PACKET", "BAD_MAGIC", "BODY_TOO_LARGE", "UNEXPECTED_PACKET"]);
  });

  it("is noticed by the heartbeat when the server falls silent", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf({ heartbeatMs: 10 });
    const job = client.submit("f", "w", { unique: "u" });
    const one = await stage.servers.accepted();
    await one.next();
    one.freeze();
    const two = await stage.servers.accepted();
    expect(await two.next()).toBe("SUBMIT_JOB f u w");
    two.send("JOB_CREATED", ["H:1"]);
    two.send("WORK_COMPLETE", ["H:1"], "r");
    expect(await text(job.result())).toBe("r");
  });
});

describe("servers", () => {
  it("are tried in order; the first that answers is used, also by later calls", async () => {
    stage.servers.listen("gm2");
    const client = stage.clientOf({ servers: ["gm1", "gm2", "gm3"], routing: "failover" });
    await client.echo();
    await client.echo();
    expect(stage.servers.dialled).toEqual(["gm1", "gm2"]);
    expect(stage.notices.map(({ type, server }) => `${type} ${server}`)).toEqual([
      "unreachable gm1",
      "connected gm2",
    ]);
  });

  it("that do not answer in time are passed over", async () => {
    stage.servers.listen("gm1", "mute");
    stage.servers.listen("gm2");
    const client = stage.clientOf({ servers: ["gm1", "gm2"], connectTimeoutMs: 20, routing: "failover" });
    await client.echo();
    expect(stage.servers.dialled).toEqual(["gm1", "gm2"]);
  });

  it("of a failover are left alone while the one in use answers", async () => {
    stage.servers.listen("gm2");
    const client = stage.clientOf({ servers: ["gm1", "gm2"], routing: "failover" });
    await client.echo();
    for (let i = 0; i < 20; i++) {
      await settled();
      await client.echo();
    }
    expect(stage.servers.dialled).toEqual(["gm1", "gm2"]);
    stage.servers.listen("gm1");
    await stage.servers.stopListening("gm2");
    (await stage.servers.accepted()).sever();
    await settled();
    await client.echo();
    expect(stage.servers.dialled).toContain("gm1");
    expect(stage.servers.dialled.length).toBeGreaterThan(2);
  });

  it("that know no options work too", async () => {
    stage.servers.listen("gm1", "no options");
    const client = stage.clientOf();
    const job = client.submit("f", "w");
    const peer = await stage.servers.accepted();
    expect(await peer.next()).toBe("SUBMIT_JOB f  w");
    peer.send("JOB_CREATED", ["H:1"]);
    peer.send("WORK_COMPLETE", ["H:1"], "r");
    expect(await text(job.result())).toBe("r");
    expect(stage.notices).toMatchObject([{ type: "connected", drover: false }]);
  });

  it("that are all away fail a call after the time it may wait, and not before one comes back in time", async () => {
    const client = stage.clientOf({ servers: ["gm1", "gm2"], unreachableMs: 30 });
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
    const patient = stage.clientOf({ unreachableMs: 60_000 });
    const echo = patient.echo("hello");
    await settled();
    stage.servers.listen("gm1");
    expect(await text(echo)).toBe("hello");
  });
});

describe("close", () => {
  it("sends what was submitted, then fails everything that waits", async () => {
    stage.servers.listen("gm1");
    const client = stage.clientOf();
    await client.echo();
    const peer = await stage.servers.accepted();
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
      await using client = stage.clientOf();
      outside = client;
      client.echo().catch(() => {});
    }
    await expect(outside.echo()).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
  });
});
