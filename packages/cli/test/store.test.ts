import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@drover/client";
import { Worker } from "@drover/worker";
import { describe, expect, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { freePort } from "../../../test/peers/ports.ts";
import { startPostgres } from "../../../test/peers/postgres.ts";
import { drover, run, stage, startDrover, startServe, until } from "./running.ts";

/* Background jobs that are kept in a file, by the real binary. */

const at = stage();
const { serve, serving } = at;

/** Submits background jobs with these workloads, and returns when all are acknowledged. */
async function submit(port: number, workloads: readonly string[]): Promise<string[]> {
  const client = new Client({ servers: `127.0.0.1:${port}` });
  const handles = await Promise.all(workloads.map((text) => client.background("f", text, { unique: text })));
  await client.close();
  return handles.map(String);
}

/** Does all jobs there are. @returns their workloads as they came. */
async function work(port: number, count: number): Promise<string[]> {
  const worker = new Worker({ servers: `127.0.0.1:${port}` });
  const got: string[] = [];
  worker.handle("f", (job) => {
    got.push(Buffer.from(job.workload as Uint8Array).toString());
    return "";
  });
  await worker.run();
  await until(`${count} jobs are done`, () => got.length >= count);
  await worker.close();
  return got;
}

const NAMES = Array.from({ length: 200 }, (_, i) => `job ${i}`);

describe("drover serve --store sqlite:FILE", () => {
  test("has every acknowledged job after a kill -9, and does each once", async () => {
    const store = `sqlite:${join(at.folder.path, "jobs.db")}`;
    const first = await serve("--store", store);
    const handles = await submit(first.port, NAMES);
    first.child.kill("SIGKILL");
    await first.ended;
    const second = await serve("--store", store);
    expect((await work(second.port, NAMES.length)).sort()).toEqual([...NAMES].sort());
    const later = await submit(second.port, ["one more"]);
    expect(handles).not.toContain(later[0]);
    await until("one job is left", async () => {
      const { stdout } = await drover(["admin", "-p", String(second.port), "--status"]);
      return /^f\s+1\s+0\s+0/m.test(stdout);
    });
    second.child.kill("SIGTERM");
    expect(await second.ended).toBe(0);
    // What was completed before the end is not done again.
    const third = await serve("--store", store);
    expect(await work(third.port, 1)).toEqual(["one more"]);
  });

  test("refuses a file that another server has, and says whose it is", async () => {
    const store = `sqlite:${join(at.folder.path, "jobs.db")}`;
    await serve("--store", store);
    const { code, stderr } = await drover(["serve", "-p", "0", "--store", store, "--warm-up-ms", "0"]);
    expect(code).toBe(2);
    expect(stderr).toContain("STORE_IN_USE");
    expect(stderr).toContain(join(at.folder.path, "jobs.db"));
  });

  test("refuses a folder that does not exist before it listens", async () => {
    const { code, stderr } = await drover(["serve", "-p", "0", "--store", "sqlite:/nowhere/jobs.db"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^drover: STORE_UNAVAILABLE: \/nowhere\/jobs\.db: /m);
  });

  test("refuses background jobs when the disk is full, goes on in the foreground, and takes them again later", async () => {
    const log = at.folder.file("log");
    const server = await serve("--store", `sqlite:${at.folder.file("jobs.db")}`, "--log-file", log);
    // A disk that takes no byte beyond this in any file is full in the same way, and needs no rights to be made.
    const limitFiles = (bytes: string) =>
      run(["prlimit", `--fsize=${bytes}:unlimited`, "--pid", String(server.child.pid)]);
    const client = new Client({ servers: `127.0.0.1:${server.port}` });
    const submit = (name: string) => client.background("f", `${name} ${"x".repeat(2000)}`, { unique: name });
    const acknowledged: string[] = [];
    const fill = async (prefix: string, most: number): Promise<boolean> => {
      for (let i = 0; i < most; i++) {
        try {
          await submit(`${prefix} ${i}`);
          acknowledged.push(`${prefix} ${i}`);
        } catch (error) {
          expect(error).toMatchObject({ code: "QUEUE_FULL" });
          return false;
        }
      }
      return true;
    };
    expect((await limitFiles("300000")).code).toBe(0);
    expect(await fill("before", 500)).toBe(false);
    const worker = new Worker({ servers: `127.0.0.1:${server.port}` });
    const got: string[] = [];
    worker.handle("now", () => "answered");
    worker.handle("f", (job) => {
      got.push(
        Buffer.from(job.workload as Uint8Array)
          .toString()
          .trimEnd()
          .replace(/ x+$/, ""),
      );
      return "";
    });
    await worker.run();
    expect(Buffer.from(await client.submit("now", "").result()).toString()).toBe("answered");
    const counts = await drover(["admin", "-p", String(server.port), "counts"]);
    expect(counts.stdout).toMatch(/store_fails\s+1/);
    await limitFiles("unlimited");
    await until("the store takes jobs again", () => fill("after", 3));
    await until("all jobs are done", () => acknowledged.every((name) => got.includes(name)));
    await worker.close();
    await client.close();
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);
    const codes = readFileSync(log, "utf8");
    expect(codes).toContain("STORE_UNAVAILABLE");
    expect(codes).toContain("STORE_RECOVERED");
  });

  test("refuses a folder that may not be written", async () => {
    const locked = at.folder.file("locked");
    mkdirSync(locked);
    chmodSync(locked, 0o555);
    // Root may write everywhere, so that there another thing stands in the way.
    const path = process.getuid?.() === 0 ? "/proc/jobs.db" : join(locked, "jobs.db");
    const { code, stderr } = await drover(["serve", "-p", "0", "--store", `sqlite:${path}`]);
    expect(code).toBe(2);
    expect(stderr).toContain(`STORE_UNAVAILABLE: ${path}: `);
  });

  test("refuses other stores by name", async () => {
    const { code, stderr } = await drover(["serve", "--store", "mysql://host/db", "--check-args"]);
    expect(code).toBe(1);
    expect(stderr).toContain("is no store");
  });
});

describe("drover up", () => {
  test("keeps background jobs in a file of its user's, one for each port", async () => {
    const port = String(await freePort());
    const up = () => {
      const server = startDrover(["up", "-p", port], { env: { XDG_STATE_HOME: at.folder.path } });
      serving.push({ ...server, port: Number(port), readyFile: "" });
      return until("the server says hello", () => server.stdout().includes("Ctrl-C stops it"));
    };
    await up();
    expect(serving[0]!.stdout()).toContain(
      `Background jobs are kept in sqlite:${at.folder.file(`drover/up-${port}.db`)}\n`,
    );
    await submit(Number(port), ["kept"]);
    serving[0]!.child.kill("SIGKILL");
    await serving[0]!.ended;
    expect(existsSync(at.folder.file(`drover/up-${port}.db`))).toBe(true);
    await up();
    expect(await work(Number(port), 1)).toEqual(["kept"]);
  });

  test("says what to do when it cannot have one", async () => {
    writeFileSync(at.folder.file("file"), "");
    const { code, stderr } = await drover(["up", "-p", "4999"], {
      env: { XDG_STATE_HOME: at.folder.file("file") },
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/FILE_NOT_WRITABLE: .*--store memory/);
  });
});

describeWith(["postgresql"], "drover serve --store postgres://…", () => {
  test("has every acknowledged job after its end, under its name, and shows no password", async () => {
    const postgres = await startPostgres();
    try {
      const store = postgres.url.replace("drover@", "drover:secret@");
      const options = ["--server-name", "one", "--log-file", join(at.folder.path, "log")];
      const environment = { env: { DROVER_STORE: store } };
      const first = await startServe(at.folder.path, options, environment);
      serving.push(first);
      await submit(first.port, NAMES);
      const refused = await drover(["serve", "-p", "0", "--server-name", "one"], environment);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain("STORE_IN_USE");
      const shown = await drover(["config", "show"], environment);
      expect(shown.stdout).toContain("postgres://drover@127.0.0.1");
      first.child.kill("SIGTERM");
      expect(await first.ended).toBe(0);
      const second = await startServe(at.folder.path, options, environment);
      serving.push(second);
      expect((await work(second.port, NAMES.length)).sort()).toEqual([...NAMES].sort());
      const all = readFileSync(join(at.folder.path, "log"), "utf8") + refused.stderr + shown.stdout;
      expect(all).not.toContain("secret");
    } finally {
      for (const server of serving) server.child.kill("SIGKILL");
      await postgres.remove();
    }
  });

  test("of three servers one is killed, and the others do its jobs, each once", async () => {
    const postgres = await startPostgres();
    try {
      const store = `${postgres.url}?lease=2`;
      const start = (name: string) => serve("--warm-up-ms", "0", "--store", store, "--server-name", name);
      const [one, two, three] = [await start("one"), await start("two"), await start("three")];
      const of = (name: string) => NAMES.map((job) => `${job} of ${name}`);
      await Promise.all([
        submit(one.port, of("one")),
        submit(two.port, of("two")),
        submit(three.port, of("three")),
      ]);
      one.child.kill("SIGKILL");
      const got: string[] = [];
      const worker = new Worker({ servers: [`127.0.0.1:${two.port}`, `127.0.0.1:${three.port}`] });
      worker.handle("f", (job) => {
        got.push(Buffer.from(job.workload as Uint8Array).toString());
        return "";
      });
      await worker.run();
      await until("all jobs are done", () => got.length >= 3 * NAMES.length);
      await worker.close();
      expect(got.sort()).toEqual([...of("one"), ...of("two"), ...of("three")].sort());
    } finally {
      for (const server of serving) server.child.kill("SIGKILL");
      await postgres.remove();
    }
  });

  test("a server whose jobs were taken over stops when it notices", async () => {
    const postgres = await startPostgres();
    try {
      const store = `${postgres.url}?lease=2`;
      const start = (name: string) => serve("--warm-up-ms", "0", "--store", store, "--server-name", name);
      const one = await start("one");
      await submit(one.port, ["job"]);
      // It cannot renew its lease while it sleeps, and does not know that when it wakes up.
      one.child.kill("SIGSTOP");
      const two = await start("two");
      expect(await work(two.port, 1)).toEqual(["job"]);
      // Somebody else has its name meanwhile.
      await start("one");
      one.child.kill("SIGCONT");
      expect(await one.ended).toBe(1);
      expect(one.stderr()).toContain("STORE_IN_USE");
    } finally {
      for (const server of serving) server.child.kill("SIGKILL");
      await postgres.remove();
    }
  });
});
