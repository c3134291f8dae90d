import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { Client } from "@drover/client";
import { describe, expect, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { startPostgres } from "../../../test/peers/postgres.ts";
import { startGearmand } from "../../../test/peers/servers.ts";
import { drover, run, type Serving, stage } from "./running.ts";

/* Copies of stores, made while their servers run. */

const at = stage();
const { serving } = at;
const serve = (...args: string[]): Promise<Serving> => at.serve("--warm-up-ms", "0", ...args);

async function submit({ port }: Serving, count: number): Promise<string[]> {
  const client = new Client({ servers: `127.0.0.1:${port}` });
  const jobs = Array.from({ length: count }, (_, i) =>
    client.background("f", `job ${i}`, { unique: `u${i}` }),
  );
  const handles = await Promise.all(jobs);
  await client.close();
  return handles.map(String).sort();
}

/** Handles of the jobs that a server has. */
async function handlesOf({ port }: Serving): Promise<string[]> {
  const { stdout } = await drover(["admin", "-p", String(port), "jobs", "--json"]);
  return (JSON.parse(stdout) as { handle: string }[]).map(({ handle }) => handle).sort();
}

describe("drover backup", () => {
  test("copies a store under load, and the copy is whole and can be restored", async () => {
    const store = `sqlite:${at.folder.file("jobs.db")}`;
    const server = await serve("--store", store);
    const handles = await submit(server, 300);
    const client = new Client({ servers: `127.0.0.1:${server.port}` });
    let isLoaded = true;
    const load = (async () => {
      for (let i = 0; isLoaded; i++) await client.background("other", "", { unique: `more ${i}` });
    })();
    const copy = at.folder.file("copy.db");
    const made = await drover(["backup", copy, "--store", store]);
    isLoaded = false;
    await load;
    await client.close();
    expect(made).toMatchObject({ code: 0, stderr: "" });
    const verified = await drover(["backup", "verify", copy]);
    expect(verified.stdout).toMatch(/copy\.db: whole; \d+ jobs, 0 dead letters\n$/);
    const target = `sqlite:${at.folder.file("restored.db")}`;
    const restored = await drover(["restore", copy, "--store", target]);
    expect(restored).toMatchObject({ code: 0, stderr: "" });
    expect(existsSync(at.folder.file("restored.db.part"))).toBe(false);
    const after = await serve("--store", target);
    expect(await handlesOf(after)).toEqual(expect.arrayContaining(handles));
    // What was known under a handle stays so, and a new job has another.
    const newcomer = new Client({ servers: `127.0.0.1:${after.port}` });
    expect(handles).not.toContain(String(await newcomer.background("f", "", { unique: "new" })));
    await newcomer.close();
  });

  test("does not write over a file", async () => {
    const store = `sqlite:${at.folder.file("jobs.db")}`;
    await serve("--store", store);
    const copy = at.folder.file("copy.db");
    writeFileSync(copy, "precious");
    const { code, stderr } = await drover(["backup", copy, "--store", store]);
    expect(code).toBe(2);
    expect(stderr).toContain("is there already");
    expect(readFileSync(copy, "utf8")).toBe("precious");
  });

  test("needs a store, and one that exists", async () => {
    const none = await drover(["backup", at.folder.file("copy.db")]);
    expect(none).toMatchObject({ code: 2 });
    expect(none.stderr).toContain("name the store");
    const absent = await drover([
      "backup",
      at.folder.file("copy.db"),
      "--store",
      `sqlite:${at.folder.file("no.db")}`,
    ]);
    expect(absent).toMatchObject({ code: 2 });
    expect(absent.stderr).toContain("does not exist");
    expect(existsSync(at.folder.file("copy.db"))).toBe(false);
  });

  test("verify finds a damaged file, and one that is none", async () => {
    const store = `sqlite:${at.folder.file("jobs.db")}`;
    await submit(await serve("--store", store), 500);
    const copy = at.folder.file("copy.db");
    await drover(["backup", copy, "--store", store]);
    truncateSync(copy, Math.floor(statSync(copy).size / 8192) * 4096);
    expect(await drover(["backup", "verify", copy])).toMatchObject({ code: 1 });
    writeFileSync(copy, "no database at all, but long enough to be one".repeat(50));
    const none = await drover(["backup", "verify", copy]);
    expect(none.code).toBe(1);
    expect(none.stderr).toContain("STORE_DAMAGED");
  });

  test("a store with jobs is not restored into", async () => {
    const store = `sqlite:${at.folder.file("jobs.db")}`;
    const server = await serve("--store", store);
    await submit(server, 1);
    const copy = at.folder.file("copy.db");
    await drover(["backup", copy, "--store", store]);
    const running = await drover(["restore", copy, "--store", store]);
    expect(running.stderr).toContain("STORE_IN_USE");
    server.child.kill("SIGTERM");
    await server.ended;
    const full = await drover(["restore", copy, "--store", store]);
    expect(full.code).toBe(2);
    expect(full.stderr).toContain("has jobs");
  });
});

describeWith(["postgresql"], "drover backup with PostgreSQL", () => {
  test("copies a database to a file and back", async () => {
    const postgres = await startPostgres();
    try {
      const server = await serve("--store", postgres.url, "--server-name", "one");
      const handles = await submit(server, 100);
      const copy = at.folder.file("copy.db");
      const made = await drover(["backup", copy, "--store", postgres.url, "--server-name", "one"]);
      expect(made.stdout).toContain("100 jobs");
      const to = ["--store", postgres.url, "--server-name", "two"];
      expect(await drover(["restore", copy, ...to])).toMatchObject({
        code: 0,
        stdout: "100 jobs restored\n",
      });
      const decimals = (list: readonly string[]) => list.map((handle) => handle.split(":").at(-1)).sort();
      expect(decimals(await handlesOf(await serve(...to)))).toEqual(decimals(handles));
    } finally {
      for (const { child } of serving) child.kill("SIGKILL");
      await postgres.remove();
    }
  });
});

describeWith(["gearmand", "gearman-tools"], "drover import gearmand-sqlite", () => {
  test("takes over what gearmand kept", async () => {
    const file = at.folder.file("gearmand.db");
    const gearmand = await startGearmand("-q", "libsqlite3", `--libsqlite3-db=${file}`);
    const gearman = (...args: string[]) => run(["gearman", "-p", String(gearmand.port), "-b", ...args]);
    await gearman("-f", "resize", "-u", "u1", "hello");
    await gearman("-f", "mail", "-u", "u2", "-I", "urgent");
    await gearman("-f", "mail", "-u", "u3", "-L", "slow");
    await gearmand.stop();
    const taken = await drover(["serve", "-p", "0", "-q", "libsqlite3", "--libsqlite3-db", file]);
    expect(taken).toMatchObject({ code: 2 });
    expect(taken.stderr).toContain("drover import gearmand-sqlite");
    const store = `sqlite:${at.folder.file("jobs.db")}`;
    expect(await drover(["import", "gearmand-sqlite", file, "--store", store])).toMatchObject({
      code: 0,
      stdout: "3 jobs imported\n",
    });
    const server = await serve("--store", store);
    const { stdout } = await drover(["admin", "-p", String(server.port), "jobs", "--json"]);
    const jobs = JSON.parse(stdout) as Record<string, unknown>[];
    expect(jobs.map(({ fn, function: name, unique, priority }) => [fn ?? name, unique, priority])).toEqual([
      ["resize", "u1", "normal"],
      ["mail", "u2", "high"],
      ["mail", "u3", "low"],
    ]);
  });
});
