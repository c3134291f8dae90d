import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { serverUnderTest, startServer, type TestServer } from "../peers/servers.ts";
import { listStatus, untilStatus } from "./admin.ts";
import { type Running, runProgram, startProgram } from "./programs.ts";

describeWith(["gearman-tools"], "gearadmin", () => {
  let server: TestServer;
  let waiting: Running;
  beforeAll(async () => {
    server = await startServer(serverUnderTest);
    const at = ["-h", server.host, "-p", String(server.port)];
    waiting = startProgram("gearman", [...at, "-f", "queued", "-u", "its-unique", "x"]);
    await untilStatus(server, "queued", "a job", (status) => status.total === 1);
    await runProgram("gearman", [...at, "-b", "-I", "-f", "urgent", "-u", "another", "x"]);
  });
  afterAll(async () => {
    await waiting?.kill();
    await server?.stop();
  });

  const gearadmin = (...args: string[]) =>
    runProgram("gearadmin", ["-h", server.host, "-p", String(server.port), ...args]);

  test("--status", async () => {
    const { code, lines } = await gearadmin("--status");
    expect(lines.sort()).toEqual([".", "queued\t1\t0\t0", "urgent\t1\t0\t0"]);
    expect(code).toBe(0);
  });

  test("--priority-status", async () => {
    const { lines } = await gearadmin("--priority-status");
    expect(lines.sort()).toEqual([".", "queued\t0\t1\t0\t0", "urgent\t1\t0\t0\t0"]);
  });

  test("--workers", async () => {
    const { lines } = await gearadmin("--workers");
    expect(lines.at(-1)).toBe(".");
    expect(lines.length).toBe(3);
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^\d+ 127\.0\.0\.1 - :/);
  });

  test("--show-jobs", async () => {
    const { lines } = await gearadmin("--show-jobs");
    expect(lines.at(-1)).toBe(".");
    expect(lines.length).toBe(3);
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^H:\S+:\d+\t0\t0\t[01]$/);
  });

  test("--show-unique-jobs", async () => {
    expect((await gearadmin("--show-unique-jobs")).lines.sort()).toEqual([".", "another", "its-unique"]);
  });

  test("--getpid", async () => {
    expect((await gearadmin("--getpid")).lines).toEqual([String(server.pid)]);
  });

  test("--server-version", async () => {
    const { code, lines } = await gearadmin("--server-version");
    expect(code).toBe(0);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(serverUnderTest === "drover" ? /^2\.0\.0-drover-\d+\.\d+\.\d+/ : /^1\.1\.20/);
  });

  test("--server-verbose", async () => {
    expect((await gearadmin("--server-verbose")).lines).toEqual([
      serverUnderTest === "drover" ? "INFO" : "ERROR",
    ]);
  });

  test("--create-function and --drop-function", async () => {
    expect((await gearadmin("--create-function", "made")).code).toBe(0);
    expect((await listStatus(server)).get("made")).toEqual({ total: 0, running: 0, workers: 0 });
    expect((await gearadmin("--drop-function", "made")).code).toBe(0);
    expect((await listStatus(server)).has("made")).toBe(false);
    expect((await gearadmin("--drop-function", "made")).stderr).toContain("function not found");
  });

  test("--cancel-job", async () => {
    const { lines } = await gearadmin("--show-jobs");
    const before = (await listStatus(server)).get("queued");
    expect(before?.total).toBe(1);
    for (const line of lines.slice(0, -1)) {
      expect((await gearadmin("--cancel-job", line.split("\t")[0]!)).code).toBe(0);
    }
    expect((await waiting.ended).code).toBe(1);
    expect((await gearadmin("--cancel-job", "H:nowhere:1")).stderr).toContain("UNKNOWN_JOB");
  });
});
