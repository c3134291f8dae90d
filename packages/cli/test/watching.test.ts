import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@drover/client";
import { createToken, Identities, JobServer } from "@drover/server";
import { HttpServer } from "@drover/server/http";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { FunctionRow } from "../src/admin/listings.ts";
import { percentiles } from "../src/demo/herd-report.ts";
import { ratedRows, type Sample } from "../src/top/rates.ts";
import { nextSortKey, plainLines, screenLines, type ViewState } from "../src/top/view.ts";
import { VERSION } from "../src/version.ts";
import { drover, startDrover, until } from "./running.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function row(name: string, numbers: Partial<FunctionRow> = {}): FunctionRow {
  return {
    ...{ name, queued: 0, delayed: 0, running: 0, workers: 0, submissions: 0, joins: 0 },
    ...{ runs: 0, completed: 0, failed: 0, lost: 0, paused: false, ...numbers },
  };
}

function sample(atMs: number, rows: FunctionRow[], counts: Record<string, number> = {}): Sample {
  return { atMs, version: "1", rows, counts: new Map(Object.entries({ peers: 1, ...counts })) };
}

function view(state: Partial<ViewState> = {}): ViewState {
  const before = sample(1000, [row("a", { submissions: 100, runs: 10 }), row("b")], {
    submissions: 100,
    runs: 10,
  });
  const now = sample(
    3000,
    [
      row("a", { submissions: 300, runs: 12, queued: 1 }),
      row("b", { queued: 5 }),
      row("new", { submissions: 4 }),
    ],
    { submissions: 304, runs: 12 },
  );
  return { server: "s:1", before, now, sortBy: "queued", reverse: false, scroll: 0, paused: false, ...state };
}

/** Without colours and the like. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken away
const plain = (line: string) => line.replace(/\x1b\[[0-9;]*m/g, "");

describe("top's view", () => {
  test("rates are per second between two looks; what is new made all of it since", () => {
    const rows = ratedRows(view().before, view().now);
    expect(rows.map(({ submissionsPerSecond }) => submissionsPerSecond)).toEqual([100, 0, 2]);
    expect(rows[0]).toMatchObject({ runsPerSecond: 1, joinRatio: 25 });
    expect(rows[1]!.joinRatio).toBeNull();
  });

  test("a server that was started anew has no negative rates", () => {
    const rows = ratedRows(
      sample(0, [row("a", { submissions: 50 })]),
      sample(1000, [row("a", { submissions: 3 })]),
    );
    expect(rows[0]!.submissionsPerSecond).toBe(0);
  });

  test.each([
    [80, 24],
    [40, 8],
    [200, 60],
  ])("fills a screen of %i by %i and not more", (width, height) => {
    const lines = screenLines(view(), width, height, "12:00:00");
    expect(lines).toHaveLength(height);
    for (const line of lines) expect(plain(line).length).toBeLessThanOrEqual(width);
  });

  test("sorts by the column chosen, largest first, and turned round", () => {
    const names = (state: Partial<ViewState>) =>
      plainLines(view(state), 100, "")
        .slice(4)
        .map((line) => line.split(" ")[0]);
    expect(names({ sortBy: "queued" })).toEqual(["b", "a", "new"]);
    expect(names({ sortBy: "submissions" })).toEqual(["a", "new", "b"]);
    expect(names({ sortBy: "name" })).toEqual(["a", "b", "new"]);
    expect(names({ sortBy: "name", reverse: true })).toEqual(["new", "b", "a"]);
  });

  test("left and right go round the columns that are shown", () => {
    expect(nextSortKey("name", 1, 80)).toBe("queued");
    expect(nextSortKey("queued", -1, 80)).toBe("name");
    expect(nextSortKey("name", -1, 80)).toBe("failed");
    expect(nextSortKey("name", -1, 200)).toBe("lost");
    // The column is not there any more in a narrow terminal.
    expect(nextSortKey("lost", 1, 80)).toBe("queued");
  });

  test("scrolls through more rows than fit, and says which are shown", () => {
    const rows = Array.from({ length: 50 }, (_, i) => row(`f${String(i).padStart(2, "0")}`));
    const lines = screenLines(view({ now: sample(3000, rows), scroll: 45, sortBy: "name" }), 80, 24, "");
    expect(plain(lines[4]!)).toMatch(/^f31 /);
    expect(plain(lines.at(-1)!)).toMatch(/rows 32-50 of 50/);
  });

  test("a server that does not answer is told in place of the totals", () => {
    expect(screenLines(view({ problem: "gone" }), 80, 24, "")[1]).toBe("gone");
  });
});

describe("against a server", () => {
  let server: JobServer;
  let client: Client;
  let port = "";
  let web: HttpServer;
  let http = "";
  beforeAll(async () => {
    server = await JobServer.start({ listen: ["127.0.0.1:0"], log: quiet, version: VERSION });
    port = String(server.addresses[0]!.port);
    web = await HttpServer.start({ server, log: quiet, listen: ["127.0.0.1:0"] });
    http = `http://${web.addresses[0]}`;
    client = new Client({ servers: `127.0.0.1:${port}` });
    for (let i = 0; i < 3; i++) await client.background("counted", "", { unique: "u" });
  });
  afterAll(async () => {
    await client.close();
    await web.close();
    await server.stop(0);
  });

  test("top --once prints one table and ends", async () => {
    const { code, stdout } = await drover(["top", "-p", port, "--once", "--interval", "100ms"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^drover top {2}localhost:\d+/);
    expect(stdout).toMatch(/^FUNCTION +QUEUED RUNNING/m);
    expect(stdout).toMatch(/^counted +1 +0 +0 +0\.0 +0\.0 +- +- +0 +0 +3 +0$/m);
  });

  test("top --http tells more: rates of the last seconds, who waits, the age of the oldest job", async () => {
    const { code, stdout } = await drover(["top", "--http", http, "--once", "--interval", "100ms"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^drover top {2}http:\/\/127\.0\.0\.1:\d+/);
    expect(stdout).toMatch(/submissions \d+\.\d\/s .* waiting 0 {2}dead letters 0$/m);
    expect(stdout).toMatch(/^counted +1 +0 +0 +0\.0 +0\.0 +- +\d+(\.\d)? m?s +0 +0 +3 +0$/m);
  });

  test.each([
    ["nonsense://x/y", 2, "OPTION_INVALID"],
    ["127.0.0.1:1", 1, "SERVER_SILENT"],
  ])("top --http %s ends with %i", async (address, status, error) => {
    const { code, stderr } = await drover(["top", "--http", address, "--once"]);
    expect([code, stderr]).toMatchObject([status, expect.stringContaining(`drover: ${error}: `)]);
  });

  test("top shows HTTP its token, and says when that is not taken", async () => {
    const folder = mkdtempSync(join(tmpdir(), "drover-top-"));
    const tokenFile = join(folder, "tokens");
    const { text: token } = createToken(tokenFile, { identity: "watcher" }, new Date());
    const rights = { submit: [], work: [], status: true, admin: false };
    const identities = new Identities({ rules: [{ name: "watcher", rights }], tokenFile }, quiet);
    const own = await JobServer.start({ listen: ["127.0.0.1:0"], log: quiet, version: VERSION, identities });
    const ownWeb = await HttpServer.start({ server: own, log: quiet, listen: ["127.0.0.1:0"] });
    onTestFinished(async () => {
      await ownWeb.close();
      await own.stop(0);
      identities.close();
      rmSync(folder, { recursive: true });
    });
    const args = ["top", "--http", String(ownWeb.addresses[0]), "--once", "--interval", "100ms"];
    const refused = await drover(args);
    expect([refused.code, refused.stderr]).toMatchObject([1, expect.stringContaining("UNAUTHENTICATED")]);
    expect((await drover(args, { env: { DROVER_TOKEN: token } })).code).toBe(0);
  });

  test("top prints a table again and again where there is no terminal", async () => {
    const top = startDrover(["top", "-p", port, "--interval", "100ms"]);
    await until("three tables are there", () => top.stdout().split("drover top").length > 3);
    top.child.kill("SIGTERM");
    await top.ended;
    expect(top.stdout()).not.toContain("\x1b");
  });

  test("no server is told at once", async () => {
    for (const command of ["top", "status"]) {
      const { code, stderr } = await drover([command, "-h", "unix:/nonexistent"]);
      expect([code, stderr]).toMatchObject([2, expect.stringMatching(/^drover: CONNECTION_REFUSED: /)]);
    }
  });

  test("a server that takes connections and says nothing, or hangs up, does not hang status", async () => {
    const { createServer } = await import("node:net");
    const rude = createServer((socket) => socket.end("")).listen(0, "127.0.0.1");
    const at = await until("it listens", () => (rude.address() as { port: number } | null)?.port);
    const { code, stderr } = await drover(["status", "-p", String(at), "-h", "127.0.0.1"]);
    rude.close();
    expect([code, stderr]).toMatchObject([
      1,
      expect.stringMatching(/^drover: SERVER_SILENT: .*closed the connection/),
    ]);
  });
});

describe("drover demo herd", () => {
  test("small: one execution for each unique, every stream whole and equal", async () => {
    const args = ["--clients", "60", "--uniques", "3", "--workers", "2", "--duration", "200ms", "--json"];
    const { code, stdout, stderr } = await drover(["demo", "herd", ...args]);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ submissions: 60, uniques: 3, executions: 3, joins: 57, rightStreams: 60, lost: 0, lateClients: 0 },
      ...{ problems: [], right: true },
    });
    expect(code).toBe(0);
  });

  test("a worker that dies and clients that come late change nothing in the streams", async () => {
    const args = ["--clients", "40", "--uniques", "4", "--workers", "2", "--duration", "200ms"];
    const { code, stdout } = await drover(["demo", "herd", "--late", "--kill-worker", "--json", ...args]);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ lateClients: 20, rightStreams: 40, joins: 36, problems: [], right: true });
    expect(report.lost).toBeGreaterThan(0);
    expect(report.executions).toBe(4 + report.lost);
    expect(code).toBe(0);
  });

  test("one that is ended leaves no server behind", async () => {
    const demo = startDrover(["demo", "herd", "--clients", "10", "--duration", "60s"]);
    const address = await until(
      "it has connected",
      () => /server +(\S+) .*\nconnected/.exec(demo.stdout())?.[1],
    );
    demo.child.kill("SIGTERM");
    expect(await demo.ended).toBe(1);
    await until("nobody listens", async () => (await drover(["status", "-h", address])).code === 2);
  });

  test("more connections than files are refused with the number to ask for", async () => {
    const { code, stderr } = await drover(["demo", "herd", "--clients", "900000000"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/900,000,000 connections need .* open files, .*ulimit -n 900000068/);
  });

  test("percentiles are by nearest rank, and pass over what is missing", () => {
    const values = [5, Number.NaN, 1, 4, 2, 3, 10, 9, 8, 7, 6];
    expect(percentiles(values)).toEqual({ p50: 5, p90: 9, p99: 10, max: 10 });
    expect(percentiles([])).toEqual({ p50: Number.NaN, p90: Number.NaN, p99: Number.NaN, max: Number.NaN });
  });
});

describe("drover up", () => {
  test("prints addresses and commands that work", async () => {
    const up = startDrover(["up", "-p", "0", "--config", "/dev/null"]);
    const port = await until("it is up", () => /127\.0\.0\.1:(\d+)/.exec(up.stdout())?.[1]);
    await until("all is said", () => up.stdout().includes("Ctrl-C stops it."));
    const commands = [...up.stdout().matchAll(/^ +npx drover (.*)$/gm)].map(([, line]) => line!);
    expect(commands).toHaveLength(4);
    expect(commands[0]).toBe(`demo herd --server localhost:${port}`);
    const words = (line: string) => line.replaceAll('"', "").split(" ");
    const working = startDrover(
      [...words(commands[1]!), "-c", "1"].filter((word) => word !== "-c" && word !== "1"),
    );
    const submitted = await drover(words(commands[2]!));
    expect(submitted.stdout).toBe("HELLODROVER");
    working.child.kill("SIGTERM");
    expect(await working.ended).toBe(0);

    const taken = await drover(["up", "-L", `127.0.0.1:${port}`]);
    expect(taken.code).toBe(2);
    expect(taken.stderr).toMatch(/PORT_TAKEN: .* is taken/);
    expect(taken.stderr).toMatch(/drover status/);
    up.child.kill("SIGINT");
    expect(await up.ended).toBe(0);
    expect(up.stderr()).toBe("");
  });
});
