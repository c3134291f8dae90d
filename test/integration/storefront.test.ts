import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { resolve } from "node:path";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Action, Figures } from "../../examples/storefront/storefront.ts";
import { describeWith } from "../peers/needs.ts";
import { findProgram } from "../peers/packages.ts";
import { until } from "../peers/until.ts";

const MAIN = resolve(import.meta.dirname, "../../examples/storefront/main.ts");
const START_MS = 60_000;
const AGAIN_MS = 60_000;

describeWith(["memcached", "postgresql"], "examples/storefront", () => {
  let main: ChildProcess;
  let output = "";
  let page: string;
  let product: string;

  beforeAll(async () => {
    const options = ["--processes", "4", "--customers", "100", "--down-ms", "1500"];
    main = spawn(process.execPath, [MAIN, ...options], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [main.stdout!, main.stderr!])
      stream.on("data", (chunk) => {
        output += chunk;
      });
    const address = (name: string) => new RegExp(`^${name}: +(http\\S+)$`, "m").exec(output)?.[1];
    page = await until("the storefront serves", START_MS, () => {
      if (main.exitCode !== null) throw new Error(output);
      return address("the page");
    });
    product = address("a product")!;
  });
  afterAll(async () => {
    if (main === undefined || main.exitCode !== null) return;
    const ended = once(main, "exit");
    main.kill("SIGTERM");
    expect((await ended)[0], output).toBe(0);
  });

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
