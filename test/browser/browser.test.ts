import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@drover/client";
import { createToken, Identities } from "@drover/server";
import type { WorkerJob } from "@drover/worker";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { until } from "../peers/until.ts";
import { BrowserStage, inPage, type Site, site } from "./stage.ts";

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

function clientOf(port: number, token?: string): Client {
  const client = new Client({ servers: `127.0.0.1:${port}`, token });
  onTestFinished(() => client.close());
  return client;
}

/** A handler that goes on when the test says so. */
function gated() {
  const gate = Promise.withResolvers<void>();
  return {
    open: () => gate.resolve(),
    handler: async (job: WorkerJob) => {
      await job.data(`first of ${text(job.workload)}`);
      await gate.promise;
      await job.data("second");
      return "done";
    },
  };
}

async function watched(client: Client, name: string, workload: string, unique?: string): Promise<string[]> {
  const events: string[] = [];
  for await (const event of client.submit(name, workload, { unique })) {
    events.push("data" in event ? `${event.type} ${text(event.data)}` : event.type);
  }
  return events;
}

describeWith(["chromium"], "in Chromium", () => {
  let browser: BrowserStage;
  beforeAll(async () => {
    browser = await BrowserStage.open();
  });
  afterAll(() => browser?.[Symbol.asyncDispose]());

  describe.each([
    ["a WebSocket", "ws"],
    ["requests", "http"],
  ])("by %s", (_name, scheme) => {
    const open = async (given?: Site): Promise<Site & { page: Page; servers: string }> => {
      const at = given ?? (await site(browser));
      const page = await browser.show(`http://${at.host}`, "blank.html");
      return { ...at, page, servers: `${scheme}://${at.host}` };
    };

    it("a page that traces has spans of what it submits and of what it does", async () => {
      const { page, servers, worker } = await open();
      worker({ told: (job) => job.traceparent ?? "none" });
      await inPage(page, "client", { servers, traced: true });
      await inPage(page, "submit", "traced", "told", "");
      expect(await inPage(page, "result", "traced")).toBe(`00-${"1".repeat(32)}-${"2".repeat(16)}-01`);
      expect(await inPage(page, "spans")).toEqual(["submit told"]);
      await inPage(page, "work", { servers, traced: true }, ["done"]);
      await inPage(page, "submit", "done", "done", "x");
      await inPage(page, "whole", "done");
      expect(await inPage(page, "spans")).toEqual(["submit told", "process done", "submit done"]);
    });

    it("a page submits and is told everything, in order and whole", async () => {
      const { page, servers, worker } = await open();
      worker({
        report: async (job) => {
          await job.data("Ä part");
          await job.warning("careful");
          job.status(1, 2);
          return job.workload;
        },
        bytes: (job) => job.workload,
        typed: (job) => job.workload,
        fail: () => {
          throw new Error("no wish to");
        },
      });
      await inPage(page, "client", { servers });
      await inPage(page, "submit", "a", "report", "grüße");
      expect(await inPage(page, "whole", "a")).toEqual([
        "created",
        "data Ä part",
        "warning careful",
        "status",
        "complete grüße",
      ]);
      expect(await inPage(page, "result", "a")).toBe("grüße");
      const numbers = Array.from({ length: 256 }, (_, i) => i);
      expect(await inPage(page, "bytes", "bytes", numbers)).toEqual(numbers);
      expect(await inPage(page, "typed", "typed", { n: [1, "ü"] })).toEqual({ n: [1, "ü"] });
      await inPage(page, "submit", "b", "fail", "");
      expect(await inPage(page, "result", "b")).toMatchObject({
        error: "JOB_EXCEPTION",
        message: expect.stringContaining("no wish to"),
      });
    });

    it("a page joins what a program began, and is told all of it though it comes late", async () => {
      const { page, servers, worker, port, server } = await open();
      const { open: goOn, handler } = gated();
      worker({ draw: handler });
      const early = watched(clientOf(port), "draw", "cat", "u");
      await until("it runs", 5_000, () => server.core.state.running === 1);
      await inPage(page, "client", { servers });
      await inPage(page, "submit", "late", "draw", "cat", { unique: "u" });
      await until("the first part is there", 5_000, async () => {
        return (await inPage<string[]>(page, "events", "late")).includes("data first of cat");
      });
      goOn();
      expect(await inPage(page, "whole", "late")).toEqual(await early);
      expect(await early).toEqual(["created", "data first of cat", "data second", "complete done"]);
    });

    it("a page that is cut off comes back, and misses nothing", async () => {
      const { page, servers, worker, proxy } = await open();
      const { open: goOn, handler } = gated();
      let runs = 0;
      worker({
        draw: (job) => {
          runs++;
          return handler(job);
        },
      });
      await inPage(page, "client", { servers });
      await inPage(page, "submit", "a", "draw", "cat", { unique: "u" });
      await until("the first part is there", 5_000, async () => {
        return (await inPage<string[]>(page, "events", "a")).includes("data first of cat");
      });
      proxy.isDown = true;
      proxy.cut();
      goOn();
      proxy.isDown = false;
      const events = await inPage<string[]>(page, "whole", "a");
      expect(events.slice(-2)).toEqual(["data second", "complete done"]);
      expect(runs).toBeLessThanOrEqual(2);
    });

    it("a stream goes on after a cut, in the middle of a run", async () => {
      const { page, servers, worker, proxy, server } = await open();
      const { open: goOn, handler } = gated();
      worker({ draw: handler });
      await inPage(page, "client", { servers });
      await inPage(page, "submit", "a", "draw", "cat", { unique: "u" });
      await until("the first part is there", 5_000, async () => {
        return (await inPage<string[]>(page, "events", "a")).includes("data first of cat");
      });
      const waiting = () => server.core.viewUnique("draw", "u")?.waiting;
      proxy.isDown = true;
      proxy.cut();
      await until("the server has heard of it", 5_000, () => waiting() === 0);
      proxy.isDown = false;
      await until("the page waits again", 10_000, () => waiting() === 1);
      goOn();
      const resumed = ["created", "data first of cat", "data second", "complete done"];
      // A WebSocket has to begin anew, requests go on after the last event that was seen.
      const rejoined = ["created", "data first of cat", "restarted", ...resumed];
      expect(await inPage(page, "whole", "a")).toEqual(scheme === "ws" ? rejoined : resumed);
    });

    it("a page works for a program, and its reports arrive as the jobs end", async () => {
      const { page, servers, port } = await open();
      await inPage(page, "work", { servers, clientId: "tab", concurrency: 2 }, ["f", "g"]);
      const client = clientOf(port);
      expect(await watched(client, "f", "x", "u")).toEqual([
        "created",
        "status",
        "warning careful",
        "data a part of x",
        "complete f did x, attempt 1, unique u",
      ]);
      expect(await watched(client, "f", "fail")).toEqual(["created", "fail"]);
      expect(await watched(client, "g", "throw")).toEqual(["created", "exception no wish to"]);
      const many = Array.from({ length: 50 }, (_, i) => client.submit(i % 2 === 0 ? "f" : "g", `${i}`));
      const results = await Promise.all(many.map(async (job) => text(await job.result())));
      expect(results[49]).toBe("g did 49, attempt 1, unique ");
    });

    it("a page that works and is cut off loses its job to a new run, and works again", async () => {
      const { page, servers, port, proxy, server } = await open();
      await inPage(page, "work", { servers }, ["f"]);
      const client = clientOf(port);
      const job = client.submit("f", "gate", { unique: "u" });
      await until("its handler waits", 5_000, () => inPage(page, "isWaiting", 1));
      proxy.cut();
      await until("it runs again", 10_000, () => server.core.viewUnique("f", "u")?.attempts === 2);
      await until("its handler waits again", 5_000, () => inPage(page, "isWaiting", 2));
      await inPage(page, "open");
      expect(text(await job.result())).toMatch(/^f did gate, attempt 2/);
      expect(text(await client.submit("f", "x").result())).toMatch(/^f did x/);
    });

    it("functions come and go while a page works, and a drain finishes what runs", async () => {
      const { page, servers, port, server } = await open();
      await inPage(page, "work", { servers, concurrency: 2 }, ["f"]);
      const client = clientOf(port);
      const running = client.submit("f", "gate");
      await until("its handler waits", 5_000, () => inPage(page, "isWaiting", 1));
      await inPage(page, "handle", "g");
      await inPage(page, "unhandle", "f");
      await until("f is done by nobody", 5_000, () => !server.core.hasWorker("f"));
      const later = client.submit("g", "x");
      await inPage(page, "open");
      expect(text(await running.result())).toMatch(/^f did gate/);
      expect(text(await later.result())).toMatch(/^g did x/);
      await inPage(page, "drain");
      await until("nobody works", 5_000, () => !server.core.hasWorker("g"));
    });

    it("a page that gives a job up takes it back", async () => {
      const { page, servers, server } = await open();
      await inPage(page, "client", { servers });
      await inPage(page, "submit", "a", "nobody", "x", { unique: "u" });
      await inPage(page, "created", "a");
      expect(server.core.viewUnique("nobody", "u")?.waiting).toBe(1);
      await inPage(page, "abort", "a");
      expect(await inPage(page, "result", "a")).toMatchObject({ error: expect.anything() });
      await until("the job is gone", 5_000, () => server.core.viewUnique("nobody", "u") === null);
    });

    it("a page leaves jobs in the background, and asks what became of them", async () => {
      const { page, servers, worker } = await open();
      await inPage(page, "client", { servers });
      const handle = await inPage<string>(page, "ask", "background", "f", "x", {
        unique: "ü",
        priority: "low",
      });
      expect(handle).toMatch(/^H:/);
      expect(await inPage(page, "ask", "status", handle)).toMatchObject({ known: true, running: false });
      expect(await inPage(page, "ask", "outcome", "f", "ü")).toMatchObject({
        state: "queued",
        handle,
        unique: "ü",
      });
      worker({ f: () => "y" });
      await until("it is done", 5_000, async () => {
        const { state } = await inPage<{ state: string }>(page, "ask", "outcomeOfHandle", handle);
        return state === "done";
      });
      expect(await inPage(page, "ask", "status", "H:none:1")).toMatchObject({ known: false });
      expect(await inPage(page, "echo", "anyone?")).toBe("anyone?");
    });

    it("what comes with a job goes from a page to a page: its reducer and where it stands in traces", async () => {
      const { page, servers } = await open();
      await inPage(page, "work", { servers }, []);
      await inPage(page, "handleContext", "f");
      await inPage(page, "client", { servers });
      const trace = { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, tracestate: "vendor=1" };
      const asked = { plain: {}, reduced: { reducer: "zähle" }, traced: { reducer: "g", ...trace } };
      for (const [name, options] of Object.entries(asked)) {
        await inPage(page, "submit", name, "f", "", options);
        expect([name, JSON.parse(await inPage(page, "result", name))]).toEqual([
          name,
          { reducer: "", ...options },
        ]);
      }
      expect(await inPage(page, "ask", "background", "f", "", { reducer: "g" })).toMatch(/^H:/);
    });

    it("a page can want a run that has not begun, and asks for a unique whatever its function", async () => {
      const { page, servers, worker, server } = await open();
      const { open: goOn, handler } = gated();
      let runs = 0;
      worker({
        f: (job) => {
          runs++;
          return handler(job);
        },
      });
      await inPage(page, "client", { servers });
      expect(await inPage(page, "ask", "statusOfUnique", "ü")).toMatchObject({ known: false });
      await inPage(page, "submit", "a", "f", "x", { unique: "ü" });
      await until("it runs", 5_000, () => server.core.state.running === 1);
      expect(await inPage(page, "ask", "statusOfUnique", "ü")).toMatchObject({
        known: true,
        running: true,
        waiting: 1,
      });
      const wish = { unique: "ü", rerunIfActive: true };
      expect(await inPage(page, "ask", "background", "f", "x", wish)).toMatch(/^H:/);
      goOn();
      expect(await inPage(page, "result", "a")).toBe("done");
      await until("it has run again", 5_000, () => runs === 2);
    });

    it("twenty jobs at once are done in the page that wants them", async () => {
      const { page, servers } = await open();
      await inPage(page, "work", { servers, concurrency: 3 }, ["f"]);
      await inPage(page, "client", { servers });
      const names = Array.from({ length: 20 }, (_, i) => `n${i}`);
      for (const name of names) await inPage(page, "submit", name, "f", name);
      for (const name of names) expect(await inPage(page, "result", name)).toContain(`did ${name}`);
    });

    it("a token lets a page in, and one that is not known is told so at once", async () => {
      const folder = mkdtempSync(join(tmpdir(), "drover-tokens-"));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      const tokenFile = join(folder, "tokens");
      const { text: token } = createToken(tokenFile, { identity: "page" }, new Date());
      const rights = { submit: ["f"], work: ["f"], status: false, admin: false };
      const log = { debug() {}, info() {}, warn() {}, error() {} } as never;
      const identities = new Identities({ rules: [{ name: "page", rights }], tokenFile }, log);
      const { page, servers } = await open(await site(browser, { identities }));
      await inPage(page, "work", { servers, token }, ["f"]);
      await inPage(page, "client", { servers, token });
      await inPage(page, "submit", "a", "f", "x");
      expect(await inPage(page, "result", "a")).toContain("f did x");
      await inPage(page, "submit", "b", "g", "x");
      expect(await inPage(page, "result", "b")).toMatchObject({
        error: "SERVER_REFUSED",
        message: expect.stringContaining("FORBIDDEN"),
      });
      for (const wrong of ["drover_no_token", undefined]) {
        await inPage(page, "client", { servers, token: wrong });
        await inPage(page, "submit", "c", "f", "x");
        expect(await inPage(page, "result", "c")).toMatchObject({ error: "UNAUTHENTICATED" });
      }
    });

    it("a page of another origin is served where its origin is expected", async () => {
      const home = await site(browser);
      const page = await browser.show(`http://${home.host}`, "blank.html", { bypassCSP: true });
      const other = await site(browser, {}, [`http://${home.host}`]);
      other.worker({ f: () => "y" });
      await inPage(page, "client", { servers: `${scheme}://${other.host}` });
      await inPage(page, "submit", "a", "f", "x", { unique: "u" });
      expect(await inPage(page, "result", "a")).toBe("y");
    });
  });

  it("a page goes on by requests where there are no WebSockets", async () => {
    const { host, worker } = await site(browser);
    worker({ f: () => "y" });
    const page = await browser.show(`http://${host}`, "blank.html");
    await page.evaluate("globalThis.WebSocket = class { constructor() { throw new Error('not here'); } }");
    await inPage(page, "client", { servers: [`ws://${host}`, `http://${host}`], routing: "failover" });
    await inPage(page, "submit", "a", "f", "x");
    expect(await inPage(page, "result", "a")).toBe("y");
    expect(await inPage(page, "notices")).toEqual(["unreachable", "connected"]);
  });

  it("the example shouts, in two pages that share the work", async () => {
    const { host } = await site(browser);
    const pages = [
      await browser.show(`http://${host}`, "index.html"),
      await browser.show(`http://${host}`, "index.html"),
    ];
    for (const page of pages) {
      await page.fill("input", "one two three");
      await page.click("text=Shout");
    }
    for (const page of pages) {
      await page.waitForFunction("document.querySelector('output').value === 'ONE TWO THREE (3 words)'");
      expect(await page.evaluate("document.querySelector('progress').value")).toBe(1);
    }
  });
});
