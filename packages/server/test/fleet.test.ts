import { Client } from "@drover/client";
import { Worker } from "@drover/worker";
import { afterEach, expect, test } from "vitest";
import { until } from "../../../test/peers/until.ts";
import type { FleetJson } from "../src/http/api.ts";
import { HttpServer } from "../src/http/index.ts";
import { JobServer } from "../src/index.ts";
import { FleetPeers } from "../src/peers/index.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {}, fatal() {} };
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

/** Waits for what follows from messages between servers. */
function sooner(what: string, holds: () => boolean): Promise<unknown> {
  return until(what, 10_000, holds);
}

interface Node {
  readonly server: JobServer;
  readonly peers: FleetPeers;
  readonly address: string;
}

async function start(
  name: string,
  port: number,
  list: readonly { name: string; address: string }[],
  maxForwarded = 1_000,
): Promise<Node> {
  let peers: FleetPeers | undefined;
  const server = await JobServer.start({
    listen: [`127.0.0.1:${port}`],
    log: silent as never,
    version: "test",
    handlePrefix: `H:${name}`,
    limits: { maxForwarded },
    onStarting: (starting) => {
      if (list.length > 0)
        peers = FleetPeers.join(starting, {
          name,
          peers: list,
          returnHoldMs: 100,
          connectGraceMs: 500,
        });
    },
  });
  return { server, peers: peers!, address: `127.0.0.1:${server.addresses[0]!.port}` };
}

async function stop({ server, peers }: Node): Promise<void> {
  peers.close();
  await server.stop(0);
}

/** Three servers that know each other. */
async function fleet(maxForwarded = 1_000): Promise<Map<string, Node>> {
  const names = ["a", "b", "c"];
  const probes = await Promise.all(names.map((name) => start(name, 0, [])));
  const list = probes.map(({ address }, i) => ({ name: names[i]!, address }));
  await Promise.all(probes.map(({ server }) => server.stop(0)));
  const nodes = new Map<string, Node>();
  for (const { name, address } of list) {
    const node = await start(name, Number(address.split(":")[1]), list, maxForwarded);
    nodes.set(name, node);
    cleanups.push(() => stop(nodes.get(name)!));
  }
  await sooner("all servers are up", () =>
    [...nodes.values()].every(({ peers }) => peers.fleet.members.every((one) => one.state === "up")),
  );
  return nodes;
}

function client(node: Node): Client {
  const made = new Client({ servers: node.address });
  cleanups.push(() => made.close());
  return made;
}

/** A worker of all servers that counts its runs, and lets each go on when told. */
function worker(nodes: ReadonlyMap<string, Node>) {
  const gate = { runs: 0, active: 0, most: 0, open: () => {} };
  const opened = new Promise<void>((resolve) => {
    gate.open = resolve;
  });
  const made = new Worker({ servers: [...nodes.values()].map(({ address }) => address), concurrency: 16 });
  made.handle("work", async (job) => {
    gate.runs++;
    gate.active++;
    gate.most = Math.max(gate.most, gate.active);
    job.data("first");
    await opened;
    gate.active--;
    return "done";
  });
  void made.run();
  cleanups.push(() => made.close());
  return gate;
}

/** A unique whose owner is `name`, and who follows. */
function uniqueOf({ peers }: Node, name: string): { readonly unique: string; readonly next: string } {
  for (let i = 0; ; i++) {
    const ranked = peers.fleet.rank("work", `u${i}`);
    if (ranked[0]!.name === name) return { unique: `u${i}`, next: ranked[1]!.name };
  }
}

test("submissions to three servers are one run, a late one is told everything, and each server gives its own handle", async () => {
  const nodes = await fleet();
  const gate = worker(nodes);
  const { unique } = uniqueOf(nodes.get("a")!, "b");
  const jobs = [...nodes.values()].map((node) => client(node).submit("work", "x", { unique }));
  const handles = await Promise.all(
    jobs.map(async (job) => {
      for await (const event of job) if (event.type === "created") return event.handle;
      return "";
    }),
  );
  expect(handles.map((handle) => handle.slice(0, 3))).toEqual(["H:a", "H:b", "H:c"]);
  await sooner("the job runs", () => gate.runs > 0);
  const late = client(nodes.get("c")!).submit("work", "x", { unique });
  const seen: string[] = [];
  for await (const event of late) {
    if (event.type === "data") {
      seen.push(Buffer.from(event.data).toString());
      gate.open();
    }
    if (event.type === "complete") seen.push(Buffer.from(event.data).toString());
  }
  expect(seen).toEqual(["first", "done"]);
  for (const job of jobs) expect(Buffer.from(await job.result()).toString()).toBe("done");
  expect(gate.runs).toBe(1);
  expect([...nodes.values()].map(({ server }) => server.core.state.jobs.size)).toEqual([0, 0, 0]);
});

test("a background submission is acknowledged by its owner, with a handle of the server that took it", async () => {
  const nodes = await fleet();
  const { unique } = uniqueOf(nodes.get("a")!, "b");
  const handle = await client(nodes.get("a")!).background("work", "x", { unique });
  expect(handle).toMatch(/^H:a:/);
  expect(nodes.get("b")!.server.core.state.jobs.size).toBe(1);
  expect(nodes.get("a")!.server.core.state.jobs.size).toBe(0);
  expect((await client(nodes.get("a")!).status(handle)).known).toBe(true);
});

test("the last one who leaves takes the forwarded submission along", async () => {
  const nodes = await fleet();
  const { unique } = uniqueOf(nodes.get("a")!, "b");
  const leaving = new AbortController();
  const job = client(nodes.get("a")!).submit("work", "x", { unique, signal: leaving.signal });
  const { state } = nodes.get("b")!.server.core;
  await sooner("the owner has the job", () => state.jobs.size === 1);
  leaving.abort(new Error("enough"));
  await expect(job.result()).rejects.toThrow("enough");
  await sooner("the owner has let it go", () => state.jobs.size === 0);
  expect(nodes.get("a")!.peers.fleet.size).toBe(0);
});

test.each([
  ["a unique", (key: string) => ["x", key] as const],
  // By which clients cannot ask a server for the job, as servers can.
  ["-, that joins by its workload", (key: string) => [key, "-"] as const],
])(
  "when the owner of %s is lost the next in rank has it, and what that runs is joined when the owner is back, also by clients that come then",
  async (_name, submission) => {
    const nodes = await fleet();
    const a = nodes.get("a")!;
    const { unique: key, next } = uniqueOf(a, "b");
    const [workload, unique] = submission(key);
    const b = nodes.get("b")!;
    const list = ["a", "b", "c"].map((name) => ({ name, address: nodes.get(name)!.address }));
    const early = client(a).submit("work", workload, { unique });
    await sooner("the owner has the job", () => b.server.core.state.jobs.size === 1);
    await stop(b);
    const fallback = nodes.get(next)!;
    await sooner("the fallback has the job", () => fallback.server.core.state.jobs.size >= 1);
    const gate = worker(new Map([[next, fallback]]));
    await sooner("the job runs", () => gate.runs === 1);
    nodes.set("b", await start("b", Number(b.address.split(":")[1]), list));
    await sooner("all servers are up", () =>
      [...nodes.values()].every(({ peers }) => peers.fleet.members.every((one) => one.state === "up")),
    );
    const returned = worker(new Map([["b", nodes.get("b")!]]));
    const late = client(nodes.get("b")!).submit("work", workload, { unique });
    const third = client(nodes.get(next === "c" ? "a" : "c")!).submit("work", workload, { unique });
    await sooner("the fallback is joined", () => fallback.server.core.state.counts.joins >= 1);
    gate.open();
    returned.open();
    for (const job of [early, late, third]) expect(Buffer.from(await job.result()).toString()).toBe("done");
    expect(gate.runs + returned.runs).toBe(1);
  },
);

test("answers of one connection leave in the order of its requests, whoever owns the keys", async () => {
  const nodes = await fleet();
  const a = nodes.get("a")!;
  const own = uniqueOf(a, "a").unique;
  const other = uniqueOf(a, "b").unique;
  const answered: string[] = [];
  const clients = client(a);
  await Promise.all(
    [other, own, other, own].map((unique, i) =>
      clients
        .background("work", "x", { unique: `${unique}`, priority: i % 2 === 0 ? "low" : "normal" })
        .then(() => {
          answered.push(String(i));
        }),
    ),
  );
  expect(answered).toEqual(["0", "1", "2", "3"]);
});

test("past maxForwarded a submission is refused, and others go on", async () => {
  const nodes = await fleet(1);
  const a = nodes.get("a")!;
  const { unique } = uniqueOf(a, "b");
  const first = client(a).submit("work", "x", { unique });
  await sooner("the owner has the job", () => nodes.get("b")!.server.core.state.jobs.size === 1);
  let refused = "";
  for (let i = 0; refused === ""; i++) {
    const another = `v${i}`;
    if (a.peers.fleet.rank("work", another)[0]!.name === "a") continue;
    refused = await client(a)
      .submit("work", "x", { unique: another })
      .result()
      .then(String, (error: Error) => error.message);
  }
  expect(refused).toContain("Too many submissions are being forwarded");
  const joined = client(a).submit("work", "x", { unique });
  const gate = worker(nodes);
  gate.open();
  for (const job of [first, joined]) expect(Buffer.from(await job.result()).toString()).toBe("done");
});

test("any server answers for the owner what a job does, and one that waits there is not shown as running", async () => {
  const nodes = await fleet();
  const [a, c] = [client(nodes.get("a")!), client(nodes.get("c")!)];
  const { unique } = uniqueOf(nodes.get("a")!, "b");
  const job = a.submit("work", "x", { unique });
  const handle = await job.created();
  await sooner("the owner has the job", () => nodes.get("b")!.server.core.state.jobs.size === 1);
  expect(await a.status(handle)).toMatchObject({ known: true, running: false });
  for (const one of [a, c]) {
    expect(await one.statusOfUnique(unique)).toMatchObject({ known: true, running: false, waiting: 1 });
    expect(await one.outcome("work", unique)).toMatchObject({ state: "queued" });
  }
  expect(await a.outcomeOfHandle(handle)).toMatchObject({ state: "queued", handle });
  const gate = worker(nodes);
  await sooner("the job runs", () => gate.runs > 0);
  expect(await a.status(handle)).toMatchObject({ known: true, running: true });
  for (const one of [a, c]) {
    expect(await one.statusOfUnique(unique)).toMatchObject({ known: true, running: true });
    expect(await one.outcome("work", unique)).toMatchObject({ state: "running" });
  }
  expect((await a.outcomeOfHandle(handle)).state).toBe("running");
  gate.open();
  await job.result();
  expect(await c.statusOfUnique(unique)).toMatchObject({ known: false });
  const given = await a.background("work", "x", { unique });
  await until(
    "it is known how it ended",
    10_000,
    async () => (await a.outcomeOfHandle(given)).state === "done",
  );
  expect((await c.outcome("work", unique)).state).toBe("done");
  expect((await c.outcome("work", "never")).state).toBe("unknown");
});

test("over HTTP the fleet is shown, and where a key goes", async () => {
  const nodes = await fleet();
  const { server, peers } = nodes.get("a")!;
  const http = await HttpServer.start({ server, log: silent as never, listen: ["127.0.0.1:0"] });
  cleanups.push(() => http.close());
  const get = async (query: string) => {
    const response = await fetch(`http://${http.addresses[0]}/v1/fleet${query}`);
    return { status: response.status, ...((await response.json()) as Partial<FleetJson>) };
  };
  const shown = await get("");
  expect(shown).toMatchObject({ status: 200, key: null });
  expect(shown.members!.map(({ name, state }) => `${name} ${state}`)).toEqual(["a self", "b up", "c up"]);
  expect(shown.members!.find(({ name }) => name === "b")!.address).toBe(nodes.get("b")!.address);
  const { unique, next } = uniqueOf(nodes.get("a")!, "b");
  const query = `?function=work&unique=${unique}`;
  const ranked = peers.fleet.rank("work", unique).map(({ name }) => name);
  expect((await get(query)).key).toEqual({ function: "work", unique, ranked, owner: "b" });
  await stop(nodes.get("b")!);
  await sooner("the owner is known to be lost", () =>
    peers.fleet.members.some(({ state }) => state === "down"),
  );
  const after = await get(query);
  expect(after.key).toEqual({ function: "work", unique, ranked, owner: next });
  expect(after.members!.find(({ name }) => name === "b")).toMatchObject({ state: "down" });
  expect((await get("?function=work")).status).toBe(400);
});

test("only a peer may mark a submission as forwarded", async () => {
  const nodes = await fleet();
  const { connect } = await import("node:net");
  const { encodePacket, PacketType, REQ } = await import("@drover/protocol");
  const [host, port] = nodes.get("a")!.address.split(":");
  const socket = connect(Number(port), host);
  cleanups.push(async () => socket.destroy());
  let answers = "";
  socket.on("data", (chunk) => {
    answers += chunk.toString("latin1");
  });
  socket.write(encodePacket(REQ, PacketType.OPTION_REQ, ["drover.1"]));
  socket.write(encodePacket(REQ, PacketType.SUBMIT_JOB_EXT, ["work", "u", "forwarded=1"], new Uint8Array(1)));
  await sooner("it is refused", () => answers.includes("FORBIDDEN"));
});
