import { Client, type ClientOptions, type JobEvent, type Notice, rankServers } from "@drover/client";
import { JobServer, type Log } from "@drover/server";
import { Worker, type WorkerJob } from "@drover/worker";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { freePort } from "../peers/ports.ts";
import { startDrover, startGearmand, type TestServer } from "../peers/servers.ts";
import { until } from "../peers/until.ts";
import { runProgram } from "./programs.ts";

/* Clients with several real servers, which go and come again. */

const quiet: Log = { error() {}, warn() {}, info() {}, debug() {}, trace() {} } as unknown as Log;
const quick = { backoff: { initialMs: 5, maxMs: 50 }, holdMs: 50 } satisfies ClientOptions;
const deadlineMs = 20_000;

let cleanups: (() => Promise<unknown>)[] = [];
beforeEach(() => {
  cleanups = [];
});
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

async function serverAt(port: number): Promise<JobServer> {
  const server = await JobServer.start({ listen: [`127.0.0.1:${port}`], log: quiet, version: "test" });
  cleanups.push(() => server.stop(0));
  return server;
}

function clientOf(servers: readonly string[], options: ClientOptions = {}) {
  const notices: Notice[] = [];
  const client = new Client({ servers, ...quick, onNotice: (notice) => notices.push(notice), ...options });
  cleanups.push(() => client.close());
  return { client, notices };
}

/** A worker whose jobs of `hold` end when `open` is called. */
async function holder(servers: readonly string[]) {
  const runs: WorkerJob[] = [];
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const worker = new Worker({ servers, concurrency: 64, backoff: quick.backoff });
  worker.handle("hold", async (job) => {
    runs.push(job as WorkerJob);
    await Promise.race([
      opened,
      new Promise((resolve) => job.signal.addEventListener("abort", resolve, { once: true })),
    ]);
    return job.server;
  });
  worker.handle("done", (job) => job.server);
  cleanups.push(() => worker.close());
  await worker.run();
  return { runs, open };
}

const text = async (result: Promise<Uint8Array>) => Buffer.from(await result).toString();
const ownerOf = (servers: readonly string[], unique: string, name = "hold") =>
  rankServers(
    servers.map((server) => ({ name: server, address: server })),
    name,
    unique,
  ).map(({ name }) => name);

describe("several Drovers", () => {
  it("share the uniques, and clients that list them in any order join each other", async () => {
    const started = await Promise.all([0, 0, 0].map(serverAt));
    const servers = started.map((server) => `127.0.0.1:${server.addresses[0]!.port}`);
    const { runs, open } = await holder(servers);
    const clients = [servers, servers.toReversed()].map((list) => clientOf(list).client);
    const uniques = Array.from({ length: 30 }, (_, i) => `u${i}`);
    const jobs = uniques.flatMap((unique) => clients.map((client) => client.submit("hold", "", { unique })));
    await Promise.all(jobs.map((job) => job.created()));
    await until("all run", deadlineMs, () => runs.length === uniques.length);
    open();
    for (const [i, unique] of uniques.entries()) {
      expect(await text(jobs[2 * i]!.result())).toBe(ownerOf(servers, unique)[0]);
      expect(await text(jobs[2 * i + 1]!.result())).toBe(ownerOf(servers, unique)[0]);
    }
    expect(runs).toHaveLength(uniques.length);
  });

  it("that go lose their jobs to the next in rank; back again they have their uniques, without a second run", async () => {
    const started = await Promise.all([0, 0, 0].map(serverAt));
    const servers = started.map((server) => `127.0.0.1:${server.addresses[0]!.port}`);
    const { runs, open } = await holder(servers);
    const [owner, next] = ownerOf(servers, "u") as [string, string];
    const [one, two] = [clientOf(servers), clientOf(servers)];
    const job = one.client.submit("hold", "", { unique: "u" });
    const other = two.client.submit("hold", "", { unique: "u" });
    await Promise.all([job.created(), other.created()]);
    await until("it runs", deadlineMs, () => runs.length === 1);
    const events: JobEvent[] = [];
    const reading = (async () => {
      for await (const event of job) events.push(event);
    })();
    await started[servers.indexOf(owner)]!.stop(0);
    await until("it runs on the next", deadlineMs, () => runs.length === 2);
    expect(runs[1]!.server).toBe(next);
    // The owner is back, and trusted again by a client that had nothing to do with the key meanwhile.
    await serverAt(Number(owner.split(":")[1]));
    const late = clientOf(servers);
    await until(
      "the second client is connected again",
      deadlineMs,
      () => two.notices.filter(({ type, server }) => type === "connected" && server === owner).length === 2,
    );
    const third = two.client.submit("hold", "", { unique: "u" });
    await third.created();
    open();
    for (const result of [job, other, third]) expect(await text(result.result())).toBe(next);
    await reading;
    expect(events.map(({ type }) => type)).toEqual(["created", "restarted", "created", "complete"]);
    expect(runs).toHaveLength(2);
    // All have ended, so it is the owner's.
    await until("it goes home", deadlineMs, async () => {
      return (await text(two.client.submit("hold", "", { unique: "u" }).result())) === owner;
    });
    expect(await text(late.client.submit("hold", "", { unique: "u" }).result())).toBe(owner);
  });

  it("that came back are asked about: a key whose job is with the fallback still is joined there", async () => {
    const started = await Promise.all([0, 0].map(serverAt));
    const servers = started.map((server) => `127.0.0.1:${server.addresses[0]!.port}`);
    const { runs, open } = await holder(servers);
    const [owner, next] = ownerOf(servers, "u") as [string, string];
    const [holding, asking] = [clientOf(servers), clientOf(servers)];
    const whereDone = async (unique: string) => text(asking.client.submit("done", "", { unique }).result());
    const own = Array.from({ length: 100 }, (_, i) => `d${i}`).find(
      (unique) => ownerOf(servers, unique, "done")[0] === owner,
    )!;
    expect(await whereDone(own)).toBe(owner);
    await started[servers.indexOf(owner)]!.stop(0);
    const job = holding.client.submit("hold", "", { unique: "u" });
    await until("it runs on the next", deadlineMs, () => runs.length === 1);
    expect(runs[0]!.server).toBe(next);
    await serverAt(Number(owner.split(":")[1]));
    // Another unique shows that this client has gone home.
    await until("the owner is trusted again", deadlineMs, async () => (await whereDone(own)) === owner);
    const joined = asking.client.submit("hold", "", { unique: "u" });
    await joined.created();
    open();
    expect(await text(joined.result())).toBe(next);
    expect(await text(job.result())).toBe(next);
    expect(runs).toHaveLength(1);
  });

  it("are all worked for when a list changes, and jobs under way on one that leaves end there", async () => {
    const started = await Promise.all([0, 0].map(serverAt));
    const servers = started.map((server) => `127.0.0.1:${server.addresses[0]!.port}`);
    let list = [servers[0]!];
    const opened = Promise.withResolvers<void>();
    const began: string[] = [];
    const worker = new Worker({ servers: async () => list, refreshMs: 10, concurrency: 4 });
    worker.handle("hold", async (job) => {
      began.push(job.server);
      await opened.promise;
      return job.server;
    });
    cleanups.push(() => worker.close());
    await worker.run();
    const [one, two] = servers.map((server) => clientOf([server]).client);
    const first = one!.submit("hold", "", { unique: "u" });
    await until("it runs", deadlineMs, () => began.length === 1);
    list = [servers[1]!];
    const second = two!.submit("hold", "", { unique: "u" });
    await until("the other server's runs", deadlineMs, () => began.length === 2);
    opened.resolve();
    expect(await text(first.result())).toBe(servers[0]);
    expect(await text(second.result())).toBe(servers[1]);
  });
});

describe("three processes", () => {
  it("keep every submission through kill -9 and restart", async () => {
    const ports = await Promise.all([0, 0, 0].map(() => freePort()));
    const servers = ports.map((port) => `127.0.0.1:${port}`);
    const running = new Map<string, TestServer>();
    const start = async (server: string) => {
      running.set(server, await startDrover("--port", server.split(":")[1]!));
    };
    cleanups.push(() => Promise.all([...running.values()].map((server) => server.stop("SIGKILL"))));
    await Promise.all(servers.map(start));
    const worker = new Worker({ servers, concurrency: 16, backoff: quick.backoff });
    worker.handle("work", (job) => job.unique);
    cleanups.push(() => worker.close());
    await worker.run();
    const { client } = clientOf(servers);
    const results: Promise<string>[] = [];
    const submitSome = () => {
      for (let i = 0; i < 50; i++) {
        results.push(text(client.submit("work", "", { unique: `u${results.length}` }).result()));
      }
    };
    for (const server of servers) {
      submitSome();
      await running.get(server)!.stop("SIGKILL");
      submitSome();
      await start(server);
      submitSome();
    }
    for (const [i, result] of (await Promise.all(results)).entries()) expect(result).toBe(`u${i}`);
  });
});

describeWith(["gearmand"], "gearmand as one of several", () => {
  it("takes its share, and loses it to the next when it is killed", async () => {
    const [one, two] = await Promise.all([startGearmand(), startGearmand()]);
    cleanups.push(() => Promise.all([one.stop("SIGKILL"), two.stop("SIGKILL")]));
    const servers = [one.address, two.address];
    const { runs, open } = await holder(servers);
    const { client } = clientOf(servers);
    const uniques = Array.from({ length: 12 }, (_, i) => `u${i}`);
    const jobs = uniques.map((unique) => client.submit("hold", "", { unique }));
    await until("all run", deadlineMs, () => runs.length === uniques.length);
    await one.stop("SIGKILL");
    const moved = uniques.filter((unique) => ownerOf(servers, unique)[0] === one.address);
    await until(
      "those of the first run again",
      deadlineMs,
      () => runs.length === uniques.length + moved.length,
    );
    open();
    for (const job of jobs) expect(await text(job.result())).toBe(two.address);
  });
});

describeWith(["perl-gearman"], "Perl's Gearman::Client", () => {
  it("submits each unique to the server that mode perl-crc32 ranks first", async () => {
    const started = await Promise.all([0, 0, 0].map(serverAt));
    const servers = started.map((server) => `127.0.0.1:${server.addresses[0]!.port}`);
    const uniques = [...Array.from({ length: 40 }, (_, i) => `user:${i}`), "foo", "something", "größe"];
    const script = `use strict; use warnings; use Gearman::Client;
      my ($servers, @uniques) = @ARGV;
      my $client = Gearman::Client->new(job_servers => [split /,/, $servers]);
      $client->dispatch_background("never", "", { uniq => $_ }) or die "not submitted" for @uniques;`;
    const ended = await runProgram("perl", ["-e", script, servers.join(","), ...uniques]);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const list = servers.map((name) => ({ name, address: name }));
    for (const unique of uniques) {
      const where: string[] = [];
      for (const server of servers) {
        const { state } = await clientOf([server]).client.outcome("never", unique);
        if (state !== "unknown") where.push(server);
      }
      expect([unique, where]).toEqual([unique, [rankServers(list, "never", unique, "perl-crc32")[0]!.name]]);
    }
    // A client in that mode joins what Perl has submitted.
    const { client } = clientOf(servers, { routing: "perl-crc32" });
    await Promise.all(uniques.map((unique) => client.background("never", "", { unique })));
    let queued = 0;
    for (const { client: one } of servers.map((server) => clientOf([server]))) {
      for (const unique of uniques) {
        if ((await one.outcome("never", unique)).state === "queued") queued++;
      }
    }
    expect(queued).toBe(uniques.length);
  });
});
