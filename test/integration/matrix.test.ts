import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { serverUnderTest, startServer, type TestServer } from "../peers/servers.ts";
import { untilStatus } from "./admin.ts";
import { Gate } from "./gate.ts";
import { type Language, languages, peerOf, runClient, startWorker, type TestWorker } from "./programs.ts";

/** Of what a client of each language is told, all but the handle, which only some tell. */
const told = (lines: string[]) => lines.filter((line) => !line.startsWith("created "));

/** Perl's worker adds WORK_FAIL to each exception and leaves out an empty result's NUL: gearmand loses it over both. */
const perlWorkerSurvives = serverUnderTest === "drover";

for (const worked of languages) {
  for (const asked of languages) {
    describeWith([peerOf[worked], peerOf[asked]], `a ${asked} client and a ${worked} worker`, () => {
      pair(asked, worked);
    });
  }
}

function pair(asked: Language, worked: Language): void {
  let server: TestServer;
  let worker: TestWorker;
  beforeAll(async () => {
    server = await startServer(serverUnderTest);
    worker = await startWorker(
      worked,
      server,
      "worker",
      "reverse",
      "stream",
      "fail",
      "throw",
      "hold",
      "empty",
    );
  });
  afterAll(async () => {
    await worker?.kill("SIGTERM");
    await server?.stop();
  });
  const client = (...words: string[]) => runClient(asked, server, ...words);
  const frail = worked === "perl" && !perlWorkerSurvives;

  test.for(["normal", "high", "low"])("do a job of %s priority", async (priority) => {
    expect(told(await client("run", priority, "reverse", "workload"))).toEqual(["complete daolkrow"]);
  });

  test.for(["normal", "high", "low"])("do a job of %s priority by the plain call", async (priority) => {
    expect(await client("do", priority, "reverse", "workload")).toEqual(["complete daolkrow"]);
  });

  test("pass on all that a job reports, in its order", async () => {
    expect(told(await client("run", "normal", "stream", "x"))).toEqual([
      "status 1 2",
      "data one",
      "warning careful",
      "data two",
      "status 2 2",
      "complete whole",
    ]);
  });

  test("tell a failure", async () => {
    expect(told(await client("run", "normal", "fail", "x"))).toEqual(["fail"]);
  });

  test("do many jobs at once", async () => {
    expect(await client("many", "30", "reverse", "abc")).toEqual(["completed 30 wrong 0"]);
  });

  test("do a job in the background, and its status can be asked for", async () => {
    const gate = new Gate();
    const [line] = await client("background", "normal", "hold", gate.folder, "a-unique");
    const handle = /^handle (\S+)$/.exec(line!)![1]!;
    expect(await gate.started()).toBe("worker");
    expect(await client("status", handle)).toEqual(["status 1 1 0 0"]);
    gate.open();
    await untilStatus(server, "hold", "no job", (status) => status.total === 0);
    expect(await client("status", handle)).toEqual(["status 0 0 0 0"]);
  });

  describe.skipIf(frail)("where the server bears with Perl's worker", () => {
    test("tell an exception, and the worker goes on", async () => {
      const [line, ...rest] = told(await client("run", "normal", "throw", "bomb"));
      expect(line).toMatch(/^exception/);
      expect([line, ...rest].join("\n")).toContain("exploded: bomb");
      expect(rest).not.toContain("fail");
      expect(told(await client("run", "normal", "reverse", "next"))).toEqual(["complete txen"]);
      expect(worker.hasEnded()).toBe(false);
    });

    test("pass on an empty result", async () => {
      expect(told(await client("run", "normal", "empty", "x"))).toEqual(["complete "]);
    });
  });
}
