import { Client } from "@drover/client";
import { JobServer } from "@drover/server";
import { Worker } from "@drover/worker";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { until } from "../../../test/peers/until.ts";
import { BuildBus, type BuildFollower } from "../src/bus/build-bus.ts";
import { BUILD_FUNCTION_SETTINGS, BUILD_FUNCTIONS, encodeNews } from "../src/bus/build-messages.ts";
import { buildWorker } from "../src/bus/build-worker.ts";
import type { BuildRequest } from "../src/executor/build-request.ts";
import { Stage, script } from "./executor-stage.ts";

describeWith(["bubblewrap"], "builds over the job server", () => {
  const stage = new Stage();
  let server: JobServer;
  let address: string;
  let worker: Worker;
  let bus: BuildBus;
  let client: Client;

  beforeAll(async () => {
    server = await JobServer.start({
      listen: ["127.0.0.1:0"],
      functions: [{ glob: BUILD_FUNCTIONS, settings: BUILD_FUNCTION_SETTINGS }],
      log: { debug() {}, info() {}, warn() {}, error() {} },
      version: "0-test",
    });
    address = `127.0.0.1:${server.addresses[0]!.port}`;
    worker = buildWorker(stage.executor, { servers: address, zone: "here", slots: 2 });
    await worker.run();
    client = new Client({ servers: address });
    bus = new BuildBus(client);
  });
  afterAll(async () => {
    await client.close();
    await worker.close();
    await server.stop(0);
  });

  /** Follows a build, and tells what it wrote. */
  function follow(unique: string, request: BuildRequest, on = bus) {
    const seen = { execution: "", text: "", next: 0 };
    const follower: BuildFollower = {
      execution: (execution) => {
        seen.execution = execution;
      },
      output: ({ offset, bytes }) => {
        seen.text += Buffer.from(bytes).toString();
        seen.next = offset + bytes.length;
      },
    };
    return { seen, build: on.start(unique, request, "here", follower) };
  }

  test("of a build that will fail is told while it runs", async () => {
    const failing: string[] = [];
    const request = { ...stage.request("echo Oops; sleep 600"), failureOutput: ["Oops"] };
    const build = bus.start("failing", request, "here", { news: (news) => failing.push(news.failing!) });
    await until("it is told", 20_000, () => failing[0]);
    expect(failing).toEqual(['its output matched failure-output "Oops"']);
    build.cancel();
    expect(await build.ended).toBeUndefined();
  });

  test("a build is run, followed and answered", async () => {
    const { seen, build } = follow("a", { ...stage.request("echo hello"), postRun: [script("echo bye")] });
    const end = await build.ended;
    expect(end).toMatchObject({ result: { kind: "final", result: "SUCCESS" }, detail: null });
    expect(end!.outcome!.execution).toBe(seen.execution);
    expect(seen.text).toBe(await stage.wholeLogOf(seen.execution));
    expect(seen.next).toBe(end!.outcome!.outputBytes);
  });

  test("beyond those that may be paused the next build waits, and runs when one of them goes on", async () => {
    const pausing = buildWorker(stage.executor, { servers: address, zone: "pausing", slots: 1, paused: 1 });
    onTestFinished(() => pausing.close());
    await pausing.run();
    const request = stage.request(`echo '{"zuul": {"pause": true}}' > "$DROVER_RESULT"`);
    const builds = ["p1", "p2", "p3"].map((unique) => {
      const seen = { execution: "", isPaused: false };
      const build = bus.start(unique, request, "pausing", {
        execution: (execution) => {
          seen.execution = execution;
        },
        news: ({ paused }) => {
          seen.isPaused ||= paused !== undefined;
        },
      });
      return { seen, build };
    });
    const paused = () => builds.filter(({ seen }) => seen.isPaused);
    await until("two are paused", 60_000, () => paused().length === 2);
    const [last] = builds.filter(({ seen }) => !seen.isPaused);
    expect(last!.seen.execution).toBe("");
    const [first, second] = paused();
    first!.build.resume(first!.seen.execution);
    const success = { result: { kind: "final", result: "SUCCESS" } };
    expect(await first!.build.ended).toMatchObject(success);
    await until("the third is paused, too", 60_000, () => last!.seen.isPaused);
    for (const { build, seen } of [second!, last!]) build.resume(seen.execution);
    expect(await second!.build.ended).toMatchObject(success);
    expect(await last!.build.ended).toMatchObject(success);
  });

  test("the same unique joins what runs, and gets the result of what has ended", async () => {
    const request = stage.request("echo up; sleep 1");
    const first = follow("b", request);
    await until("it runs", 20_000, () => first.seen.text.includes("up\n"));
    await using other = new Client({ servers: address });
    const second = follow("b", request, new BuildBus(other));
    const [one, two] = await Promise.all([first.build.ended, second.build.ended]);
    expect(two!.outcome).toEqual(one!.outcome);
    expect((await follow("b", request).build.ended)!.outcome).toEqual(one!.outcome);
  });

  test("a build that is cancelled ends where it runs", async () => {
    const { seen, build } = follow("c", stage.request("echo up; sleep 1000"));
    await until("it runs", 20_000, () => seen.text.includes("up\n"));
    build.cancel();
    expect(await build.ended).toBeUndefined();
    await until("it has ended", 20_000, () => stage.executor.running === 0);
    expect(await stage.wholeLogOf(seen.execution)).toMatch(/drover: cancelled\n$/);
  });

  test("a build goes on when one of two who wait for it cancels", async () => {
    const request = stage.request("echo up; sleep 1");
    await using other = new Client({ servers: address });
    const [first, second] = [follow("d", request), follow("d", request, new BuildBus(other))];
    await until("it runs", 20_000, () => first.seen.text.includes("up\n"));
    first.build.cancel();
    expect((await second.build.ended)!.result).toEqual({ kind: "final", result: "SUCCESS" });
  });

  test("two of one gate are one build, which ends with the last of them, however much it has written", async () => {
    // More than a client keeps for late comers.
    const request = stage.request("head -c 6000000 /dev/zero | tr '\\0' x; echo; echo up; sleep 1000");
    const first = follow("i", request);
    await until("it runs", 20_000, () => first.seen.text.endsWith("up\n"));
    const second = follow("i", request);
    await until("the second knows which it is", 20_000, () => second.seen.execution !== "");
    expect(second.seen.execution).toBe(first.seen.execution);
    first.build.cancel();
    expect(await first.build.ended).toBeUndefined();
    expect(stage.executor.running).toBe(1);
    second.build.cancel();
    expect(await second.build.ended).toBeUndefined();
    await until("it has ended", 20_000, () => stage.executor.running === 0);
    expect(await stage.wholeLogOf(first.seen.execution)).toMatch(/drover: cancelled\n$/);
  });

  test("a gate that goes away leaves its builds running, and joins them when it is back", async () => {
    const request = stage.request("echo up; sleep 1; echo down");
    const leaving = new Client({ servers: address });
    const first = follow("e", request, new BuildBus(leaving));
    await until("it runs", 20_000, () => first.seen.text.includes("up\n"));
    await leaving.close();
    expect(await first.build.ended).toBeUndefined();
    const end = await follow("e", request).build.ended;
    expect(end!.outcome!.execution).toBe(first.seen.execution);
    expect(end!.result).toEqual({ kind: "final", result: "SUCCESS" });
  });

  test("a build whose executor goes away is lost, and its processes have ended", async () => {
    const going = buildWorker(stage.executor, { servers: address, zone: "there", slots: 1 });
    await going.run();
    const seen: string[] = [];
    const build = bus.start("f", stage.request("echo up; sleep 1000"), "there", {
      output: ({ bytes }) => seen.push(Buffer.from(bytes).toString()),
    });
    await until("it runs", 20_000, () => seen.join("").includes("up\n"));
    await going.close();
    expect(await build.ended).toMatchObject({ result: { kind: "lost" }, outcome: null });
    expect(stage.executor.running).toBe(0);
  });

  test("a request that makes no sense is an ERROR that says so", async () => {
    const end = await follow("g", { ...stage.request("true"), run: [] }).build.ended;
    expect(end!.result).toEqual({ kind: "final", result: "ERROR" });
    expect(end!.detail).toMatch(/BUILD_REQUEST_INVALID: run/);
    const nonsense = client.submit("gate:build:here", "{", { unique: "h" });
    await expect(nonsense.result()).rejects.toThrow(/BUILD_REQUEST_INVALID/);
  });

  test.each([
    ["no JSON", "nonsense"],
    ["nothing", "{}"],
    [
      "a result that there is not",
      JSON.stringify({ execution: "x", result: { kind: "final", result: "FINE" } }),
    ],
  ])("an executor that answers %s makes its build an ERROR, once", async (what, answer) => {
    const strange = new Worker({ servers: address, clientId: "strange" });
    onTestFinished(() => strange.close());
    let answers = 0;
    strange.handle(`gate:build:strange-${what}`, (job) => {
      answers++;
      // Neither is what it tells meanwhile.
      void job.data(encodeNews("e".repeat(36), { failing: 1, paused: {} } as never));
      return answer;
    });
    await strange.run();
    const news: unknown[] = [];
    const request = stage.request("true");
    const build = bus.start(`strange ${what}`, request, `strange-${what}`, { news: (one) => news.push(one) });
    const end = await build.ended;
    expect(end).toMatchObject({ result: { kind: "final", result: "ERROR" }, outcome: null });
    expect(end!.detail).toContain("is no result of a build");
    expect([answers, news]).toEqual([1, []]);
  });

  test("no more builds run at a time than there are slots", async () => {
    let most = 0;
    const looking = setInterval(() => {
      most = Math.max(most, stage.executor.running);
    }, 10);
    onTestFinished(() => clearInterval(looking));
    const builds = ["i", "j", "k", "l"].map((unique) => follow(unique, stage.request("sleep 0.2")).build);
    await Promise.all(builds.map(({ ended }) => ended));
    expect(most).toBe(2);
  });

  test("a cancel before it runs takes it out of the queue", async () => {
    const first = ["m", "n"].map((unique) => follow(unique, stage.request("sleep 0.5")).build);
    const waiting = follow("o", stage.request("echo never"));
    await until("two run", 20_000, () => stage.executor.running === 2);
    waiting.build.cancel();
    await Promise.all(first.map(({ ended }) => ended));
    expect([await waiting.build.ended, waiting.seen.execution]).toEqual([undefined, ""]);
  });
});
