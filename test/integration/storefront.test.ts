import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Action, Figures } from "../../examples/storefront/storefront.ts";
import { describeWith } from "../peers/needs.ts";
import { findProgram } from "../peers/packages.ts";
import { until } from "../peers/until.ts";

const MAIN = resolve(import.meta.dirname, "../../examples/storefront/main.ts");
const START_MS = 60_000;
const AGAIN_MS = 60_000;

interface Started {
  readonly main: ChildProcess;
  readonly page: string;
  readonly product: string;
  /** Where it has its own folder for temporary files. */
  readonly folder: string;
  output(): string;
}

async function start(...options: string[]): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), "drover-storefront-"));
  // PostgreSQL does not run as root, and has to get in.
  chmodSync(folder, 0o755);
  const main = spawn(process.execPath, [MAIN, ...options], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [main.stdout, main.stderr])
    stream.on("data", (chunk) => {
      output += chunk;
    });
  const address = (name: string) => new RegExp(`^${name}: +(http\\S+)$`, "m").exec(output)?.[1];
  const page = await until("the storefront serves", START_MS, () => {
    if (main.exitCode !== null) throw new Error(output);
    return address("the page");
  });
  return { main, page, product: address("a product")!, folder, output: () => output };
}

/** Processes that work in a folder or below, with their command lines. */
function processesIn(folder: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    try {
      if (!readlinkSync(`/proc/${name}/cwd`).startsWith(`${folder}/`)) continue;
      found.set(Number(name), readFileSync(`/proc/${name}/cmdline`, "latin1").replaceAll("\0", " "));
    } catch {
      // It has just ended.
    }
  }
  return found;
}

describeWith(["memcached", "postgresql"], "examples/storefront", () => {
  let started: Started;
  let page: string;
  let product: string;

  beforeAll(async () => {
    started = await start("--processes", "4", "--customers", "100", "--down-ms", "1500");
    ({ page, product } = started);
  });
  afterAll(async () => {
    if (started === undefined || started.main.exitCode !== null) return;
    const ended = once(started.main, "exit");
    started.main.kill("SIGTERM");
    expect((await ended)[0], started.output()).toBe(0);
    await untilNothingIsLeft(started);
  });
  const untilNothingIsLeft = async ({ folder }: Started) => {
    await until("its processes have ended", AGAIN_MS, () => processesIn(folder).size === 0);
    await until("its files are gone", AGAIN_MS, () => {
      return !readdirSync(folder).some((name) => name.startsWith("drover-shop-"));
    });
    rmSync(folder, { recursive: true });
  };

  const figures = async () => (await (await fetch(`${page}figures`)).json()) as Figures;
  const press = async (action: Action) => {
    const response = await fetch(`${page}actions/${action}`, { method: "POST" });
    return { status: response.status, ...((await response.json()) as { done?: string; error?: string }) };
  };
  const isUp = ({ services }: Figures, name: string) => services.find((one) => one.name === name)!.isUp;
  /** Until this many more are answered. */
  const answered = async (more: number) => {
    const { requests } = await figures();
    await until(`${more} more are answered`, AGAIN_MS, async () => {
      return (await figures()).requests >= requests + more;
    });
  };
  const boughtWith = async () =>
    ((await (await fetch(product)).json()) as { boughtWith: unknown }).boughtWith;

  test("every button is survived: all answers right, one computation for many requests", async () => {
    const right = await boughtWith();
    await answered(500);
    expect(await press("flush-cache")).toMatchObject({ status: 200 });
    await answered(500);
    const kills = [
      ["kill-memcached", "memcached"],
      ["kill-worker", "worker"],
      ["kill-server", "job server 1"],
      ["kill-server", "job server 2"],
    ] as const;
    for (const [action, name] of kills) {
      expect(await press(action)).toEqual({ status: 200, done: `killed ${name}` });
      // What is cached would hide whether anybody computes.
      if (name !== "memcached") expect(await press("flush-cache")).toMatchObject({ status: 200 });
      expect(await boughtWith()).toEqual(right);
      await until(`${name} is up again`, AGAIN_MS, async () => isUp(await figures(), name));
      await answered(500);
    }
    const { requests, computations, wrong, failed, lastFailure } = await figures();
    expect({ wrong, failed, lastFailure }).toEqual({ wrong: 0, failed: 0, lastFailure: "" });
    expect(computations).toBeGreaterThan(0);
    expect(computations * 5).toBeLessThan(requests);
  });

  test("what is down cannot be killed, and what there is not is not done", async () => {
    expect(await press("kill-memcached")).toMatchObject({ status: 200 });
    expect(await press("kill-memcached")).toEqual({ status: 409, error: "memcached is down already" });
    expect(await press("flush-cache")).toEqual({ status: 409, error: "memcached is down" });
    expect(await press("kill-everybody" as Action)).toMatchObject({ status: 404 });
    expect((await fetch(product.replace(/1$/, "0"))).status).toBe(404);
    await until("memcached is up again", AGAIN_MS, async () => isUp(await figures(), "memcached"));
  });

  test("a shop that crashes is started again, and what it did stays counted", async () => {
    const isShop = ([, command]: [number, string]) => command.includes("storefront/shop.ts");
    const shopsNow = () => [...processesIn(started.folder)].filter(isShop).map(([pid]) => pid);
    await until("all serve", AGAIN_MS, async () => (await figures()).processes === 4);
    const before = await figures();
    const victims = shopsNow().slice(0, 2);
    for (const pid of victims) process.kill(pid, "SIGKILL");
    await until("both were missed", AGAIN_MS, async () => (await figures()).crashes === 2);
    await until("all serve again", AGAIN_MS, async () => (await figures()).processes === 4);
    expect(shopsNow()).toHaveLength(4);
    const after = await figures();
    expect(after.shops.hits).toBeGreaterThanOrEqual(before.shops.hits);
    expect(after.wrong).toBe(0);
    await answered(200);
  });

  test("killed itself, leaves no process and no file", async () => {
    const doomed = await start("--processes", "2", "--customers", "10");
    // All kinds of them are there: shops, worker, job servers, memcached, PostgreSQL.
    expect(processesIn(doomed.folder).size).toBeGreaterThan(7);
    doomed.main.kill("SIGKILL");
    await untilNothingIsLeft(doomed);
  });

  test.each([
    ["another site", { "sec-fetch-site": "cross-site" }],
    ["another name", { host: "storefront.example" }],
  ])("the buttons are not pressed from %s", async (_name, headers) => {
    const post = request(`${page}actions/kill-worker`, { method: "POST", headers }).end();
    const [response] = await once(post, "response");
    response.resume();
    expect(response.statusCode).toBe(403);
  });

  describeWith(["chromium"], "its page in Chromium", () => {
    test("shows the figures, and what the buttons do", async () => {
      const browser = await chromium.launch({
        executablePath: findProgram("chromium")!,
        // Root cannot have its sandbox.
        args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
      });
      try {
        const tab = await browser.newPage();
        tab.setDefaultTimeout(AGAIN_MS);
        const errors: string[] = [];
        tab.on("pageerror", (error) => errors.push(error.message));
        await tab.goto(page);
        const log = tab.getByRole("log");
        const services = tab.getByRole("list", { name: "Services" });
        for (const [button, name] of [
          ["Flush the cache", undefined],
          ["Kill memcached", "memcached"],
          ["Kill the worker", "worker"],
          ["Kill a job server", "job server 1"],
        ] as const) {
          await tab.getByRole("button", { name: button }).click();
          await log.getByText(name === undefined ? "flushed the cache" : `killed ${name}`).waitFor();
          if (name !== undefined) await services.getByText(`${name}: up`).waitFor();
        }
        const count = async (id: string) => Number((await tab.locator(id).innerText()).replaceAll(",", ""));
        const shown = await count("#requests");
        await until("the page counts on", AGAIN_MS, async () => (await count("#requests")) > shown);
        expect(await count("#ratio")).toBeGreaterThan(5);
        expect(await count("#wrong")).toBe(0);
        await tab.locator("#requests-line[points*=' ']").waitFor({ state: "attached" });
        expect(errors).toEqual([]);
      } finally {
        await browser.close();
      }
    });
  });
});
