import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { serverUnderTest, startServer, type TestServer } from "../peers/servers.ts";
import { untilWaiting } from "./admin.ts";
import { Gate } from "./gate.ts";
import {
  type Language,
  languages,
  type Running,
  startClient,
  startWorker,
  type TestWorker,
} from "./programs.ts";
import { Peer } from "./wire/peer.ts";

/** A raw connection that submits and tells its events as the client programs do. */
async function joinRaw(server: TestServer, name: string, unique: string, workload: string): Promise<Peer> {
  const peer = await Peer.connect("raw", server.port, server.host);
  peer.send("SUBMIT_JOB", name, unique, workload);
  await peer.sees((received) => received.kind === "packet" && received.type === "JOB_CREATED", 30_000);
  return peer;
}

async function result(peer: Peer): Promise<string | undefined> {
  await peer.sees((received) => received.kind === "packet" && received.type === "WORK_COMPLETE", 30_000);
  const last = peer.takeReceived().received.at(-1);
  peer.close();
  return last?.kind === "packet" ? last.body.toString("latin1").split("\0")[1] : undefined;
}

/** The result a client program told, whatever else it told. */
const complete = (lines: readonly string[]) => lines.filter((line) => line.startsWith("complete "));

describeWith(["libgearman", "perl-gearman", "php-gearman"], "a herd of clients of every language", () => {
  let server: TestServer;
  let started: Running[];
  beforeEach(async () => {
    server = await startServer(serverUnderTest);
    started = [];
  });
  afterEach(async () => {
    await Promise.all(started.map((one) => one.kill()));
    await server.stop();
  });

  async function work(language: Language, name: string): Promise<TestWorker> {
    const worker = await startWorker(language, server, name, "hold", "stream");
    started.push(worker);
    return worker;
  }
  async function submit(language: Language, ...words: string[]): Promise<Running> {
    const client = await startClient(language, server, "run", ...words);
    started.push(client);
    return client;
  }

  test.for(languages)("shares one run by a %s worker, and all see its result", async (language) => {
    const gate = new Gate();
    await work(language, "first");
    await work(language, "second");
    const clients: Running[] = [];
    for (const asked of languages) clients.push(await submit(asked, "normal", "hold", gate.folder, "key"));
    const raw = await joinRaw(server, "hold", "key", gate.folder);
    await untilWaiting(server, "key", languages.length + 1);
    const worker = await gate.started();
    gate.open();
    for (const client of clients)
      expect(complete((await client.ended).lines)).toEqual([`complete held by ${worker}`]);
    expect(await result(raw)).toBe(`held by ${worker}`);
    expect(gate.starts()).toHaveLength(1);
  });

  test("queued before any worker came, hears the same stream in the same order", async () => {
    const clients: Running[] = [];
    for (const asked of languages) clients.push(await submit(asked, "normal", "stream", "x", "key"));
    await untilWaiting(server, "key", languages.length);
    await work("perl", "streamer");
    const told = await Promise.all(
      clients.map(async (client) =>
        (await client.ended).lines.filter((line) => !line.startsWith("created ")),
      ),
    );
    for (const lines of told) {
      expect(lines).toEqual([
        "status 1 2",
        "data one",
        "warning careful",
        "data two",
        "status 2 2",
        "complete whole",
      ]);
    }
  });

  test("of fifty submissions of one unique is one run", async () => {
    const gate = new Gate();
    await work("c", "first");
    await work("perl", "second");
    const peers: Peer[] = [];
    for (let number = 0; number < 50; number++) peers.push(await joinRaw(server, "hold", "key", gate.folder));
    await untilWaiting(server, "key", 50);
    await gate.started();
    gate.open();
    const results = await Promise.all(peers.map(result));
    expect(new Set(results).size).toBe(1);
    expect(results[0]).toMatch(/^held by /);
    expect(gate.starts()).toHaveLength(1);
  });

  test("keeps what others wait for when one of it is killed", async () => {
    const gate = new Gate();
    await work("c", "worker");
    const doomed = await submit("perl", "normal", "hold", gate.folder, "key");
    await gate.started();
    const patient = await submit("php", "normal", "hold", gate.folder, "key");
    await untilWaiting(server, "key", 2);
    await doomed.kill("SIGKILL");
    await untilWaiting(server, "key", 1);
    gate.open();
    expect(complete((await patient.ended).lines)).toEqual(["complete held by worker"]);
    expect(gate.starts()).toHaveLength(1);
  });
});
