import { createSocket } from "node:dgram";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { until } from "../../../../test/peers/until.ts";
import { rankServers, type ServerList, serversFromDns, serversFromSrv } from "../../src/index.ts";
import type { ScriptedPeer } from "../scripted-server.ts";
import { Stage, text, wordsOf } from "../stage.ts";

const stage = new Stage();
const names = ["gm1", "gm2", "gm3"];
const rankOf = (unique: string) =>
  rankServers(
    names.map((name) => ({ name, address: name })),
    "f",
    unique,
  ).map(({ name }) => name);
/** A unique with this owner, other than those before. */
const ownedBy = (name: string, nth = 0) =>
  Array.from({ length: 1_000 }, (_, i) => `u${i}`).filter((unique) => rankOf(unique)[0] === name)[nth]!;

async function complete(peer: ScriptedPeer, handle: string, submission: string): Promise<void> {
  expect(await peer.next()).toBe(submission);
  peer.send("JOB_CREATED", [handle]);
  peer.send("WORK_COMPLETE", [handle], `by ${handle}`);
}

describe("several servers", () => {
  it("each get the uniques they own, on one connection that is opened for the first of them", async () => {
    for (const name of names) stage.servers.listen(name);
    const client = stage.clientOf({ servers: names });
    for (const name of ["gm3", "gm1"]) {
      const jobs = [ownedBy(name), ownedBy(name, 1)].map((unique) => client.submit("f", "w", { unique }));
      const peer = await stage.servers.accepted();
      await complete(peer, `${name}:1`, `SUBMIT_JOB f ${ownedBy(name)} w`);
      await complete(peer, `${name}:2`, `SUBMIT_JOB f ${ownedBy(name, 1)} w`);
      expect(await text(jobs[0]!.result())).toBe(`by ${name}:1`);
      expect(await text(jobs[1]!.result())).toBe(`by ${name}:2`);
    }
    expect(stage.servers.dialled).toEqual(["gm3", "gm1"]);
  });

  it("are asked in turn about a handle, until one knows it", async () => {
    for (const name of names) stage.servers.listen(name);
    const client = stage.clientOf({ servers: names });
    const status = client.status("gm9:1");
    for (const known of ["0", "1"]) {
      const peer = await stage.servers.accepted();
      expect(await peer.next()).toBe("GET_STATUS gm9:1");
      peer.send("STATUS_RES", ["gm9:1", known, known, "3", "4"]);
    }
    expect(await status).toMatchObject({ known: true, numerator: 3 });
    expect(stage.servers.dialled).toHaveLength(2);
  });

  it("lose a job to the next in rank, told as restarted, and get its key back when its owner has none", async () => {
    for (const name of names) stage.servers.listen(name);
    const client = stage.clientOf({ servers: names, holdMs: 0 });
    const unique = ownedBy("gm2");
    const [owner, next] = rankOf(unique) as [string, string];
    const job = client.submit("f", "w", { unique });
    const words: string[] = [];
    const reading = wordsOf(job, words);
    const one = await stage.servers.accepted();
    await one.next();
    one.send("JOB_CREATED", ["one:1"]);
    await job.created();
    one.sever();
    const two = await stage.servers.accepted();
    // The first one is tried again meanwhile, and answers.
    const back = await stage.servers.accepted();
    await complete(two, "two:1", `SUBMIT_JOB f ${unique} w`);
    await reading;
    expect(words).toEqual([
      "created one:1",
      "restarted connection lost",
      "created two:1",
      "complete by two:1",
    ]);
    // Its job is still with the fallback, says that: it is joined there.
    await until("the owner is connected", 5_000, () =>
      stage.notices.some((notice, i) => notice.type === "connected" && i > 1 && notice.server === owner),
    );
    const joined = client.submit("f", "w", { unique });
    expect(await two.next()).toBe(`GET_STATUS_UNIQUE ${unique}`);
    two.send("STATUS_RES_UNIQUE", [unique, "1", "1", "0", "0", "1"]);
    await complete(two, "two:2", `SUBMIT_JOB f ${unique} w`);
    expect(await text(joined.result())).toBe("by two:2");
    // It has none any more, so that the owner has the key again, and is not asked about again.
    const home = client.submit("f", "w", { unique });
    expect(await two.next()).toBe(`GET_STATUS_UNIQUE ${unique}`);
    two.send("STATUS_RES_UNIQUE", [unique, "0", "0", "0", "0", "0"]);
    await complete(back, "back:1", `SUBMIT_JOB f ${unique} w`);
    expect(await text(home.result())).toBe("by back:1");
    const again = client.submit("f", "w", { unique });
    await complete(back, "back:2", `SUBMIT_JOB f ${unique} w`);
    expect(await text(again.result())).toBe("by back:2");
    expect(stage.servers.dialled).toEqual([owner, next, owner]);
  });

  it("of a Drover ask about function and unique", async () => {
    for (const name of names) stage.servers.listen(name, "drover");
    const client = stage.clientOf({ servers: names, holdMs: 0 });
    const unique = ownedBy("gm1");
    const first = client.submit("f", "w", { unique });
    const one = await stage.servers.accepted();
    await one.next();
    one.sever();
    const two = await stage.servers.accepted();
    await stage.servers.accepted();
    await complete(two, "two:1", `SUBMIT_JOB f ${unique} w`);
    await first.result();
    await until(
      "the owner is connected",
      5_000,
      () => stage.notices.filter(({ type }) => type === "connected").length === 3,
    );
    const joined = client.submit("f", "w", { unique });
    expect(await two.next()).toBe(`GET_OUTCOME f ${unique}`);
    two.send("OUTCOME_RES", ["f", unique, "two:9", "running", "0", "0", "1", "0"]);
    await complete(two, "two:9", `SUBMIT_JOB f ${unique} w`);
    expect(await text(joined.result())).toBe("by two:9");
  });

  it("that cannot be used are refused", () => {
    expect(() => stage.clientOf({ servers: ["gm1", "gm1"] })).toThrow(/two servers have the name gm1/);
    expect(() => stage.clientOf({ servers: [{ address: "a", weight: 0 }, "b"] })).toThrow(/weight 0/);
    expect(() => stage.clientOf({ servers: Array.from({ length: 1_001 }, (_, i) => `gm${i}`) })).toThrow(
      /more than 1000/,
    );
    expect(() => stage.clientOf({ servers: [] })).toThrow(/servers is empty/);
  });
});

describe("a list that is read", () => {
  it("is read again, and calls go to its servers; one that is empty, wrong or fails changes nothing and is told", async () => {
    for (const name of names) stage.servers.listen(name);
    let list: () => Promise<ServerList> = async () => ["gm1"];
    const client = stage.clientOf({ servers: () => list(), refreshMs: 5 });
    await client.echo();
    for (const bad of [
      async () => [],
      async () => Promise.reject(new Error("no list today")),
      async () => ["gm2", "gm2"],
    ]) {
      const told = stage.notices.length;
      list = bad;
      await until("it is told", 5_000, () =>
        stage.notices.slice(told).some(({ type, server }) => type === "servers kept" && server === "gm1"),
      );
      await client.echo();
    }
    expect(stage.servers.dialled).toEqual(["gm1"]);
    list = async () => [{ name: "gm1", address: "gm3" }];
    await until(
      "it is read",
      5_000,
      () => stage.notices.filter(({ type }) => type === "servers read").length === 2,
    );
    await client.echo();
    expect(stage.servers.dialled).toEqual(["gm1", "gm3"]);
  });

  it("lets what is under way end on a server that leaves", async () => {
    for (const name of names) stage.servers.listen(name);
    let list = ["gm1"];
    const client = stage.clientOf({ servers: async () => list, refreshMs: 5 });
    const job = client.submit("f", "w", { unique: "u" });
    const one = await stage.servers.accepted();
    await one.next();
    one.send("JOB_CREATED", ["one:1"]);
    await job.created();
    list = ["gm2"];
    await until("it is read", 5_000, () =>
      stage.notices.some(({ type, server }) => type === "servers read" && server === "gm2"),
    );
    const other = client.submit("f", "w", { unique: "v" });
    await complete(await stage.servers.accepted(), "two:1", "SUBMIT_JOB f v w");
    await other.result();
    expect(one.over).toBe(false);
    one.send("WORK_COMPLETE", ["one:1"], "r");
    expect(await text(job.result())).toBe("r");
    await one.closed();
  });

  it("fails calls that wait for it for too long, with the reason", async () => {
    const client = stage.clientOf({
      servers: () => Promise.reject(new Error("no list today")),
      unreachableMs: 20,
    });
    await expect(client.echo()).rejects.toMatchObject({
      code: "NO_SERVER",
      cause: expect.objectContaining({ message: "no list today" }) as Error,
    });
  });
});

/** A name server that knows these records, by type. */
async function nameServer(records: Readonly<Record<number, readonly Buffer[]>>): Promise<string> {
  const socket = createSocket("udp4");
  onTestFinished(() => void socket.close());
  socket.on("message", (query, from) => {
    const end = query.indexOf(0, 12) + 5;
    const type = query.readUInt16BE(end - 4);
    const answers = records[type] ?? [];
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(answers.length, 6);
    head.writeUInt32BE(0, 8);
    const rows = answers.map((data) => {
      const row = Buffer.alloc(12);
      row.writeUInt16BE(0xc00c, 0);
      row.writeUInt16BE(type, 2);
      row.writeUInt16BE(1, 4);
      row.writeUInt16BE(data.length, 10);
      return Buffer.concat([row, data]);
    });
    socket.send(Buffer.concat([head, query.subarray(12, end), ...rows]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(socket.address() as AddressInfo).port}`;
}

function srv(priority: number, weight: number, port: number, host: string): Buffer {
  const head = Buffer.alloc(6);
  for (const [i, part] of [priority, weight, port].entries()) head.writeUInt16BE(part, i * 2);
  const labels = host.split(".").map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
  return Buffer.concat([head, ...labels, Buffer.from([0])]);
}

describe("DNS", () => {
  it("gives a list of all addresses of a name", async () => {
    const dns = await nameServer({
      1: [Buffer.from([10, 0, 0, 2]), Buffer.from([10, 0, 0, 1])],
      28: [Buffer.from("00000000000000000000000000000001", "hex")],
    });
    const read = serversFromDns("gearman.example:4730", { nameServers: [dns] });
    expect(await read()).toEqual(["10.0.0.1:4730", "10.0.0.2:4730", "[::1]:4730"]);
  });

  it("gives the targets of SRV records with ports and weights, of the first priority", async () => {
    const dns = await nameServer({
      33: [srv(20, 9, 4730, "spare.example"), srv(10, 3, 4731, "b.example"), srv(10, 0, 4730, "a.example")],
    });
    const read = serversFromSrv("_gearman._tcp.example", { nameServers: [dns] });
    expect(await read()).toEqual([
      { address: "a.example:4730", weight: 1 },
      { address: "b.example:4731", weight: 3 },
    ]);
  });

  it("fails where there is nothing, so that the last list stays", async () => {
    const dns = await nameServer({});
    await expect(serversFromDns("x.example:1", { nameServers: [dns] })()).rejects.toThrow();
    await expect(serversFromSrv("_x._tcp.example", { nameServers: [dns] })()).rejects.toThrow();
    expect(() => serversFromDns("x.example")).toThrow(/not host:port/);
  });
});
