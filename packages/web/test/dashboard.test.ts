import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { until } from "../../../test/peers/until.ts";
import { Stage } from "../../server/test/view-stage.ts";
import { Viewer } from "./browser.ts";

const DEADLINE_MS = 20_000;

describeWith(["chromium"], "the dashboard", () => {
  let viewer: Viewer;
  beforeAll(async () => {
    viewer = await Viewer.open();
  });
  afterAll(() => viewer?.[Symbol.asyncDispose]());

  const open = (options: Parameters<typeof Stage.open>[0] = {}) =>
    Stage.open(options, { dashboard: viewer.folder });

  test("says what to do while there is nothing", async () => {
    await using stage = await open();
    await using tab = await viewer.look(stage.url);
    await tab.page.getByText("No function is known yet").waitFor();
    expect(await tab.page.locator("pre").first().textContent()).toContain(`${stage.url}/v1/functions/`);
    expect(tab.faults).toEqual([]);
  });

  test("tells of functions and their jobs as they come", async () => {
    await using stage = await open();
    await using tab = await viewer.look(stage.url);
    await tab.page.getByText("No function is known yet").waitFor();
    await stage.submit("draw", "a cat");
    const row = tab.page.getByRole("row", { name: "draw" });
    await row.waitFor();
    expect(await row.getByRole("cell").first().textContent()).toBe("1");
    await stage.submit("draw", "a dog");
    await until("the second job is shown", DEADLINE_MS, async () => {
      return (await row.getByRole("cell").first().textContent()) === "2";
    });
    await stage.worker({ draw: () => "done" });
    await until("both are done", DEADLINE_MS, async () => {
      return (await row.getByRole("cell").first().textContent()) === "0";
    });
    expect(tab.faults).toEqual([]);
  });

  test("follows a job: its stream from the start, who waits, and its end", async () => {
    await using stage = await open();
    let finish!: () => void;
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    await stage.worker({
      draw: async (job) => {
        await job.data("first line");
        job.status(1, 4);
        await finished;
        await job.data("second line");
        return "the picture";
      },
    });
    const handle = await stage.submit("draw", "a cat");
    await using tab = await viewer.look(`${stage.url}/#/jobs/${encodeURIComponent(handle)}`);
    const { page } = tab;
    const reports = page.getByRole("list", { name: "Reports of the job" });
    await reports.getByText("first line").waitFor();
    await page.getByText("1 of 4").waitFor();
    await page.getByRole("table", { name: "Who waits for it" }).getByText("127.0.0.1").waitFor();
    await page.getByText("started attempt 1").waitFor();
    expect(await reports.getByText("second line").count()).toBe(0);
    finish();
    await reports.getByText("second line").waitFor();
    await reports.getByText("the picture").waitFor();
    await page.locator(".title .state", { hasText: "done" }).waitFor();
    expect(tab.faults).toEqual([]);
  });

  test("requeues and deletes dead letters once that is confirmed", async () => {
    const backoff = { initialMs: 1, maxMs: 1, factor: 1, jitter: 0 };
    const rule = { glob: "*", settings: { retry: { maxAttempts: 1, backoff } } };
    await using stage = await open({ functions: [rule] });
    const worker = await stage.worker({
      draw: () => {
        throw new Error("no paint");
      },
    });
    const first = await stage.submit("draw", "a cat");
    const second = await stage.submit("draw", "a dog");
    const { deadLetters } = stage.server.core.state;
    await until("both are dead", DEADLINE_MS, () => deadLetters.size === 2);
    await worker.close();
    await using tab = await viewer.look(`${stage.url}/#/dead-letters`);
    const { page } = tab;
    await page.getByRole("button", { name: `Requeue ${first}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    expect(deadLetters.size).toBe(2);
    await page.getByRole("button", { name: `Requeue ${first}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Requeue" }).click();
    await page.getByText(`${first} is queued again`).waitFor();
    expect(stage.server.core.state.functions.get("draw")!.queued).toBe(1);
    await page.getByRole("button", { name: `Delete ${second}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("No dead letters").waitFor();
    expect(deadLetters.size).toBe(0);
    expect(tab.faults).toEqual([]);
  });

  test("is used with the keyboard alone", async () => {
    await using stage = await open();
    for (const name of ["draw", "print", "fold"]) await stage.submit(name);
    await using tab = await viewer.look(stage.url);
    const { page } = tab;
    const { keyboard } = page;
    await page.getByRole("row", { name: "print" }).waitFor();
    await keyboard.press("Tab");
    expect(await tab.focused()).toContain("Skip to the content");
    const skip = page.getByRole("button", { name: "Skip to the content" });
    expect((await skip.boundingBox())!.y).toBeGreaterThanOrEqual(0);
    await keyboard.press("Enter");
    expect(await page.evaluate<string>("document.activeElement.tagName")).toBe("MAIN");
    await keyboard.press("Tab");
    expect(await tab.focused()).toContain("Queued");
    await keyboard.press("ArrowDown");
    await keyboard.press("ArrowDown");
    // By queue length, then by name.
    expect(await tab.focused()).toBe("fold");
    expect(await page.evaluate<string>("getComputedStyle(document.activeElement).outlineStyle")).toBe(
      "solid",
    );
    await keyboard.press("Enter");
    await page.getByRole("heading", { name: "fold", level: 1 }).waitFor();
    await until("the heading has the focus", DEADLINE_MS, async () => (await tab.focused()) === "fold");
    await keyboard.press("/");
    expect(await tab.focused()).toContain("Filter functions");
    await keyboard.type("a dog");
    await stage.submit("draw", "a dog");
    await keyboard.press("Enter");
    await page.getByRole("heading", { name: "Jobs of this unique" }).waitFor();
    expect(tab.faults).toEqual([]);
  });

  test("shows names as the text that they are", async () => {
    await using stage = await open();
    const name = '<img src=x onerror="alert(1)">';
    const handle = await stage.submit(name, "<script>alert(2)</script>");
    await using tab = await viewer.look(stage.url);
    const { page } = tab;
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { name, level: 1 }).waitFor();
    await page.getByText("<script>alert(2)</script>").waitFor();
    await page.getByRole("link", { name: handle }).click();
    await page.getByRole("heading", { name: handle }).waitFor();
    await page.getByText(name).first().waitFor();
    expect(await page.locator("img").count()).toBe(0);
    expect(tab.faults).toEqual([]);
  });

  test("has few rows in the document for 10,000 functions, and leads to the last one", async () => {
    await using stage = await open();
    stage.server.inTurn((state) => {
      for (let i = 0; i < 10_000; i++) state.functionOf(`fn${String(i).padStart(5, "0")}`);
    });
    await using tab = await viewer.look(stage.url);
    const { page } = tab;
    await page.getByRole("link", { name: "fn00000" }).waitFor();
    const nodes = () => page.evaluate<number>("document.querySelectorAll('*').length");
    expect(await nodes()).toBeLessThan(1500);
    await page.locator(".functions").evaluate((box) => box.scrollTo(0, box.scrollHeight));
    await page.getByRole("link", { name: "fn09999" }).waitFor();
    expect(await nodes()).toBeLessThan(1500);
    await page.locator(".functions").focus();
    await page.keyboard.press("Home");
    await until("the first has the focus", DEADLINE_MS, async () => (await tab.focused()) === "fn00000");
    await page.keyboard.press("End");
    await until("the last has the focus", DEADLINE_MS, async () => (await tab.focused()) === "fn09999");
    await page.keyboard.press("/");
    await page.keyboard.type("fn0777");
    await page.getByRole("link", { name: "fn07770" }).waitFor();
    expect(await page.getByRole("link", { name: /^fn/ }).count()).toBe(10);
    expect(tab.faults).toEqual([]);
  });

  test("is light or dark as the system is, or as the switch says", async () => {
    await using stage = await open();
    await using tab = await viewer.look(stage.url, "dark");
    const { page } = tab;
    const brightness = async () => {
      const shown = await page.evaluate<string>("getComputedStyle(document.documentElement).backgroundColor");
      return Math.max(...shown.match(/\d+/g)!.slice(0, 3).map(Number));
    };
    await page.getByLabel("Colours").waitFor();
    expect(await brightness()).toBeLessThan(60);
    await page.getByLabel("Colours").selectOption("light");
    expect(await brightness()).toBeGreaterThan(200);
    await page.reload();
    await page.getByLabel("Colours").waitFor();
    expect(await brightness()).toBeGreaterThan(200);
  });

  test("asks for a token where the server wants one, and says who may not act", async () => {
    await using stage = await open();
    await stage.submit("draw");
    await using tab = await viewer.look(`${stage.url}/assets/`);
    const { page } = tab;
    await page.route("**/v1/**", async (route) => {
      const request = route.request();
      if (request.headers().authorization !== "Bearer looker")
        return route.fulfill({ status: 401, json: { detail: "who are you?" } });
      if (request.method() !== "GET")
        return route.fulfill({ status: 403, json: { detail: "the role admin is needed" } });
      return route.continue();
    });
    await page.goto(`${stage.url}/#/functions/draw`);
    await page.getByRole("textbox", { name: "Token" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Give a token" }).click();
    await page.getByRole("textbox", { name: "Token" }).fill("looker");
    await page.keyboard.press("Enter");
    await page.getByText("No worker can do it").waitFor();
    await until("it is live", DEADLINE_MS, () => page.getByText("Live", { exact: true }).isVisible());
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("the role admin is needed").waitFor();
    expect(await page.getByRole("button", { name: "Pause" }).isDisabled()).toBe(true);
    expect(await page.evaluate<string[]>("Object.keys(localStorage)")).toEqual([]);
  });
});
