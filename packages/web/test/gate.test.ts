import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { until } from "../../../test/peers/until.ts";
import { type Tab, Viewer } from "./browser.ts";
import { build, change, ended, item, job, pipeline, queue, running, status, subject } from "./gate-queues.ts";
import { GateStage } from "./gate-stage.ts";

const DEADLINE_MS = 20_000;
const EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>';

describeWith(["chromium"], "pages of the gate", () => {
  let viewer: Viewer;
  beforeAll(async () => {
    viewer = await Viewer.open();
  });
  afterAll(() => viewer?.[Symbol.asyncDispose]());

  const open = (told: Parameters<typeof GateStage.open>[1] = status([])) =>
    GateStage.open(viewer.folder, told);
  const row = (tab: Tab, name: RegExp) => tab.page.getByRole("treeitem", { name });
  /** Where the knot of a row is, in lanes. */
  const laneOf = async (tab: Tab, name: RegExp) => {
    const x = await row(tab, name).locator("circle").getAttribute("cx");
    return (Number(x) - 7) / 14;
  };

  test("are in the menu where there is a gate, and nowhere else", async () => {
    await using without = await open(null);
    await using lonely = await viewer.look(without.url);
    await lonely.page.getByText("No function is known yet").waitFor();
    await lonely.page.getByText("Live", { exact: true }).waitFor();
    expect(await lonely.page.getByRole("link", { name: "Gate" }).count()).toBe(0);
    await using stage = await open(status([pipeline("check", [])]));
    await using tab = await viewer.look(stage.url);
    await tab.page.getByRole("link", { name: "Gate" }).click();
    await tab.page.getByRole("treeitem", { name: "check" }).waitFor();
    expect(await tab.page.title()).toBe("Gate – Drover");
    expect(tab.faults).toEqual([]);
  });

  test("show a queue as it is, and each change of it as it happens", async () => {
    await using stage = await open(
      status([pipeline("gate", [queue("shop", [item(1, null), item(2, 1), item(3, 2)])])]),
    );
    await using tab = await viewer.look(`${stage.url}/#/gate`);
    const { page } = tab;
    await row(tab, /^1,1/).waitFor();
    for (const name of [/^1,1/, /^2,1/, /^3,1/]) expect(await laneOf(tab, name)).toBe(0);
    await until("the status is followed", DEADLINE_MS, () => stage.watching === 1);
    const jobs = [ended("lint", "SUCCESS", 4000), running("unit", 20_000, 60_000), job("deploy")];
    stage.tell(
      status([
        pipeline("gate", [
          queue("shop", [item(1, null, { jobs, remainingMs: 90_000 }), item(2, 1), item(4, 2)]),
        ]),
      ]),
    );
    await row(tab, /^4,1/).waitFor();
    expect(await row(tab, /^3,1/).count()).toBe(0);
    await row(tab, /1 of 3 jobs ended/).click();
    const panel = page.getByRole("region", { name: "The chosen item" });
    await panel.getByText("SUCCESS").waitFor();
    await panel.getByText(/^3\d s left$/).waitFor();
    expect(await panel.getByRole("link", { name: "unit" }).getAttribute("href")).toBe("#/gate/builds/b-unit");
    stage.tell(status([pipeline("gate", [queue("shop", [item(2, null), item(4, 2)])])]));
    await panel.getByText("It has left its queue").waitFor();
    expect(await page.getByText("3 of 8").count()).toBe(1);
    expect(tab.faults).toEqual([]);
  });

  test("draw what a failure does: those behind leave it for what is before it", async () => {
    const failing = { failing: true, reasons: ["unit failed"], jobs: [ended("unit", "FAILURE", 9000)] };
    await using stage = await open(
      status([pipeline("gate", [queue("shop", [item(1, null), item(2, 1), item(3, 2), item(4, 3)])])]),
    );
    await using tab = await viewer.look(`${stage.url}/#/gate`);
    await row(tab, /^4,1/).waitFor();
    await until("the status is followed", DEADLINE_MS, () => stage.watching === 1);
    const reset = { resets: 1, reasons: ["begun anew without 2, which is failing"] };
    stage.tell(
      status([
        pipeline("gate", [
          queue("shop", [item(1, null), item(2, 1, failing), item(3, 1, reset), item(4, 3, { resets: 2 })]),
        ]),
      ]),
    );
    await row(tab, /^2,1.*failing.*1 failed/).waitFor();
    expect(await laneOf(tab, /^1,1/)).toBe(0);
    expect(await laneOf(tab, /^2,1/)).toBe(1);
    expect(await laneOf(tab, /^3,1/)).toBe(0);
    expect(await laneOf(tab, /^4,1.*reset 2 times/)).toBe(0);
    await row(tab, /^3,1/).click();
    await tab.page.getByText("begun anew without 2, which is failing").waitFor();
    expect(tab.faults).toEqual([]);
  });

  test("show the window's edge, items that are not live, who waits elsewhere, a pause, what is frozen and problems", async () => {
    const items = [item(1, null, { live: false }), item(2, 1), item(3, 2, { active: false })];
    const waiting = [
      { subject: subject(9), pipeline: "gate", reason: "needs change 12 of lib, which is not approved" },
    ];
    await using stage = await open(
      status([pipeline("gate", [queue("shop", items, { window: 2 })], { waiting, isDisabled: true })], {
        isPaused: true,
        frozenBranches: [{ project: "shop", branch: "main", reason: EVIL, by: "root", sinceMs: 0 }],
        configProblems: 2,
      }),
    );
    const problem = { project: "shop", branch: "main", file: ".zuul.yaml", line: 7, message: EVIL };
    stage.problems = [problem, { ...problem, line: null, message: "no job is named unti" }];
    await using tab = await viewer.look(`${stage.url}/#/gate`);
    const { page } = tab;
    await page.getByText("window of 2").waitFor();
    await row(tab, /^1,1.*not live/).waitFor();
    await row(tab, /^3,1.*outside of the window/).waitFor();
    await page.getByText("The gate is paused").waitFor();
    await page.getByText(`Nothing is merged into main of shop: root has frozen it, ${EVIL}.`).waitFor();
    await page.getByText("Pipeline gate failed too often in a row").waitFor();
    await row(tab, /^9,1 waits/).click();
    await page.getByRole("region", { name: "The chosen item" }).getByText("needs change 12 of lib").waitFor();
    await page.getByRole("link", { name: "2 problems in the configuration" }).click();
    const table = page.getByRole("table", { name: "Problems of the configuration" });
    await table.getByText(".zuul.yaml:7").waitFor();
    await table.getByText(EVIL).waitFor();
    expect(tab.faults).toEqual([]);
  });

  test("have few rows in the document for 1,000 items, which the keyboard and the filter lead through", async () => {
    const jobs = Array.from({ length: 10 }, (_, i) => running(`job-${i}`, 1000 * i, 60_000));
    const many = (from: number) =>
      queue(
        "shop",
        Array.from({ length: 1000 }, (_, i) =>
          item(from + i, i === 0 ? null : from + i - 1, {
            active: i < 20,
            jobs,
            subject: subject(from + i, { title: i === 776 ? "A needle" : `Straw ${from + i}` }),
          }),
        ),
      );
    await using stage = await open(status([pipeline("gate", [many(1)])]));
    await using tab = await viewer.look(`${stage.url}/#/gate`);
    const { page } = tab;
    await row(tab, /^1,1/).waitFor();
    const nodes = () => page.evaluate<number>("document.querySelectorAll('*').length");
    expect(await nodes()).toBeLessThan(2500);
    await row(tab, /^1,1/).click();
    await page.keyboard.press("ArrowDown");
    await until("the second has the focus", DEADLINE_MS, async () => /^2,1/.test(await tab.focused()));
    await page.keyboard.press("End");
    await row(tab, /^1000,1/).waitFor();
    await until("the last has the focus", DEADLINE_MS, async () => /^1000,1/.test(await tab.focused()));
    expect(await page.evaluate<string>("getComputedStyle(document.activeElement).outlineStyle")).toBe(
      "solid",
    );
    // What has the focus keeps it while rows come and go.
    await until("the status is followed", DEADLINE_MS, () => stage.watching === 1);
    stage.tell(status([pipeline("gate", [many(2)])]));
    await row(tab, /^1001,1/).waitFor();
    expect(await tab.focused()).toMatch(/^1000,1/);
    await page.keyboard.press("ArrowLeft");
    await until("the item ahead has the focus", DEADLINE_MS, async () => /^999,1/.test(await tab.focused()));
    expect(await nodes()).toBeLessThan(2500);
    await page.keyboard.press("/");
    await page.keyboard.type("needle");
    await row(tab, /A needle/).waitFor();
    expect(await page.getByRole("treeitem", { name: /,1/ }).count()).toBe(1);
    stage.changes.set(778, change(778));
    await row(tab, /A needle/).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Change 778" }).waitFor();
    expect(tab.faults).toEqual([]);
  });

  test("are live again after the gate was away", async () => {
    const told = status([pipeline("gate", [queue("shop", [item(1, null)])])]);
    await using stage = await open(told);
    await using tab = await viewer.look(`${stage.url}/#/gate`);
    // Before the page follows the gate, the head tells of the server.
    await until("the status is followed", DEADLINE_MS, () => stage.watching === 1);
    await tab.page.getByText("Live", { exact: true }).waitFor();
    await tab.page.route("**/api/gate/events", (route) => route.abort());
    stage.cutWatchers();
    await tab.page.getByText("Reconnecting").waitFor();
    await row(tab, /^1,1/).waitFor();
    await tab.page.unroute("**/api/gate/events");
    await tab.page.getByText("Live", { exact: true }).waitFor();
    stage.tell(status([pipeline("gate", [queue("shop", [item(2, null)])])]));
    await row(tab, /^2,1/).waitFor();
  });

  test("tell all of a change, and what somebody does to it is done in that one's name", async () => {
    await using stage = await open();
    const needs = [
      { source: "git", change: 4, problem: null },
      { source: "https://elsewhere.example/7", change: null, problem: "no such host is configured" },
    ];
    const own = change(5, { needs, builds: [build("b1", { job: "unit", result: "SUCCESS" })] });
    stage.changes.set(5, own);
    stage.diffs.set(
      "5,1",
      "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+++ drei\n",
    );
    const decisions = [{ atMs: Date.now(), pipeline: "gate", text: "refused: it is not approved" }];
    const definition = { job: "base", project: "config", branch: "main", file: "zuul.d/jobs.yaml", line: 3 };
    const jobs = [
      {
        pipeline: "gate",
        job: "unit",
        runs: true,
        now: "waits: the gate is paused",
        reasons: ["It runs: unit in gate, as shop main zuul.yaml:9 says."],
        definitions: [definition],
        builds: [],
      },
    ];
    stage.explanations.set(5, { subject: own.subject, now: ["waits for an approval"], jobs, decisions });
    stage.onAct = ({ path, body }) => {
      const approvals = path.endsWith("/approve")
        ? [{ user: "ann", revision: 1, atMs: Date.now(), keptFrom: null }]
        : own.approvals;
      const said = body as { text?: string; vote?: number; file?: string; line?: number };
      const { text = "", vote = null, file = null, line = null } = said;
      const comments = path.endsWith("/comment")
        ? [{ atMs: Date.now(), author: "ann", revision: 1, vote, text, file, line }]
        : [];
      stage.changes.set(5, { ...own, approvals, isApproved: approvals.length > 0, comments });
    };
    await using tab = await viewer.look(`${stage.url}/#/gate/changes/5`);
    const { page } = tab;
    await page.getByText("Change number 5").first().waitFor();
    await page.getByText("no such host is configured").waitFor();
    await page.getByText("waits for an approval").waitFor();
    await page.getByText("refused: it is not approved").waitFor();
    await page.getByRole("cell", { name: "waits: the gate is paused" }).waitFor();
    await page.getByText("1 definition").click();
    await page.getByText("config main zuul.d/jobs.yaml:3").waitFor();
    await page.getByText("git fetch http://127.0.0.1:4780/git/shop refs/changes/5/1").waitFor();
    await page.getByRole("link", { name: "unit" }).waitFor();
    // A line that begins with ++ is no header.
    expect(await page.locator(".diff.added").textContent()).toBe("2+++ drei");

    await page.getByRole("button", { name: "Approve revision 1" }).click();
    await page.getByRole("textbox", { name: "Token" }).fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("The gate does not know the token").waitFor();
    await page.getByRole("textbox", { name: "Token" }).fill(GateStage.TOKEN);
    await page.keyboard.press("Enter");
    await page.getByText("approve: done").waitFor();
    await page.locator(".title .state", { hasText: "approved" }).waitFor();
    const [first, second] = stage.asked;
    expect(first!.authorization).toBe("Bearer wrong");
    expect(second).toEqual({
      path: "/api/gate/changes/5/approve",
      authorization: `Bearer ${GateStage.TOKEN}`,
      body: { revision: 1 },
    });
    await page.getByRole("button", { name: "2", exact: true }).click();
    await page.keyboard.type("three, not drei");
    await page.getByLabel("Vote").selectOption("-1");
    await page.getByRole("button", { name: "Send" }).click();
    // Where it is written says "Comment on a.txt:2" before.
    await page.getByText("a.txt:2", { exact: true }).waitFor();
    expect(stage.asked.at(-1)!.body).toEqual({ text: "three, not drei", vote: -1, file: "a.txt", line: 2 });
    await page.getByRole("button", { name: "Abandon" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    expect(stage.asked.length).toBe(3);
    expect(await page.evaluate<string[]>("Object.keys(localStorage)")).toEqual([]);
    expect(tab.faults).toEqual([]);
  });

  test("show whatever a change or a build says as the text that it is", async () => {
    const evil = subject(1, { title: EVIL, project: EVIL, branch: EVIL, owner: EVIL });
    const said = `${EVIL} (see https://gate.example/#/gate/builds/7), javascript:alert(5)`;
    const jobs = [ended(EVIL, EVIL, 1000, { reason: EVIL, build: "b/1?#" })];
    await using stage = await open(
      status([pipeline(EVIL, [queue(EVIL, [item(1, null, { subject: evil, jobs, reasons: [EVIL] })])])]),
    );
    stage.changes.set(
      1,
      change(1, {
        subject: evil,
        message: EVIL,
        fetchCommand: EVIL,
        comments: [{ atMs: 0, author: EVIL, revision: 1, vote: null, text: said, file: EVIL, line: 1 }],
      }),
    );
    stage.explanations.set(1, { subject: evil, now: [EVIL], jobs: [], decisions: [] });
    stage.diffs.set("1,1", `diff --git a/x b/${EVIL}\n+++ b/${EVIL}\n@@ -0,0 +1 @@\n+${EVIL}\n`);
    stage.builds = [build("b/1?#", { subject: evil, job: EVIL, artifacts: [{ name: EVIL, url: EVIL }] })];
    stage.print("b/1?#", `${EVIL}\n\u001b]8;;javascript:alert(4)\u0007link\u001b]8;;\u0007\n`);
    await using tab = await viewer.look(`${stage.url}/#/gate`);
    const { page } = tab;
    await row(tab, /^1,1/).click();
    await page.getByRole("list", { name: "Why" }).getByText(EVIL).waitFor();
    await page.getByRole("link", { name: EVIL }).click();
    await page.getByRole("heading", { name: "Build b/1?#" }).waitFor();
    await page.locator(".line", { hasText: EVIL }).waitFor();
    await page.locator(".line", { hasText: /^link$/ }).waitFor();
    await page.getByRole("link", { name: "1,1" }).first().click();
    await page.locator(".diff.added", { hasText: EVIL }).waitFor();
    const comments = page.getByRole("region", { name: "Comments" });
    await comments.getByText(EVIL).first().waitFor();
    const links = comments.getByRole("link");
    expect([await links.count(), await links.first().getAttribute("href")]).toEqual([
      1,
      "https://gate.example/#/gate/builds/7",
    ]);
    expect(await page.locator("img, main script").count()).toBe(0);
    expect(tab.faults).toEqual([]);
  });

  test("list builds by project, job and result, as far back as somebody goes", async () => {
    await using stage = await open();
    stage.builds = Array.from({ length: 120 }, (_, i) => {
      const number = 120 - i;
      const result = number % 3 === 0 ? "FAILURE" : "SUCCESS";
      const shared = number === 120 ? ({ how: "reused", build: "b7" } as const) : null;
      const more = { job: number % 2 === 0 ? "unit" : "lint", result, shared, endedMs: Date.now() };
      return build(`b${number}`, { ...more, subject: subject(number, { title: `Build of ${number}` }) });
    });
    await using tab = await viewer.look(`${stage.url}/#/gate/builds`);
    const { page } = tab;
    const rows = page.getByRole("table", { name: "Builds, newest first" }).locator("tbody tr");
    await rows.first().getByText("120,1").waitFor();
    expect(await rows.count()).toBe(50);
    const taken = rows.first().getByRole("link", { name: "reused" });
    expect(await taken.getAttribute("href")).toBe("#/gate/builds/b7");
    await page.setViewportSize({ width: 400, height: 800 });
    const past = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    expect(await page.evaluate(past)).toBe(0);
    await page.getByRole("button", { name: "Older ones" }).click();
    await until("there are more", DEADLINE_MS, async () => (await rows.count()) === 100);
    await page.getByLabel("Result").selectOption("FAILURE");
    await page.getByLabel("Job").fill("unit");
    await page.keyboard.press("Enter");
    await until("there are fewer", DEADLINE_MS, async () => (await rows.count()) === 20);
    expect(page.url()).toContain("#/gate/builds?job=unit&result=FAILURE");
    await page.reload();
    await until("the address tells the filter", DEADLINE_MS, async () => (await rows.count()) === 20);
    expect(tab.faults).toEqual([]);
  });

  test("list changes by project and state, and lead to each", async () => {
    await using stage = await open();
    for (let number = 1; number <= 6; number++)
      stage.changes.set(number, change(number, { state: number > 4 ? "open" : "merged" }));
    await using tab = await viewer.look(`${stage.url}/#/gate`);
    const { page } = tab;
    await page.getByRole("link", { name: "Changes" }).click();
    const rows = page.getByRole("table", { name: "Changes, newest first" }).locator("tbody tr");
    await rows.first().getByText("6,1").waitFor();
    expect(await rows.count()).toBe(6);
    await page.getByLabel("State").selectOption("merged");
    await until("there are fewer", DEADLINE_MS, async () => (await rows.count()) === 4);
    expect(page.url()).toContain("#/gate/changes?state=merged");
    await page.getByLabel("Project").fill("nobody's");
    await page.keyboard.press("Enter");
    await page.getByText("No change is like that").waitFor();
    await page.getByLabel("Project").fill("");
    await page.keyboard.press("Enter");
    await rows.first().getByRole("link", { name: "4,1" }).click();
    await page.getByRole("heading", { name: "Change 4", exact: true }).waitFor();
    expect(tab.faults).toEqual([]);
  });

  test("show when the builds of a buildset ran, one beside the other", async () => {
    await using stage = await open();
    const beganMs = Date.now() - 60_000;
    const at = (from: number, to: number) => ({
      buildset: 7,
      startedMs: beganMs + from * 1_000,
      endedMs: beganMs + to * 1_000,
    });
    stage.builds = [
      build("b3", { job: "package", result: "FAILURE", ...at(20, 40) }),
      build("b2", { job: "lint", result: "SUCCESS", ...at(0, 10) }),
      build("b1", { job: "unit", result: "SUCCESS", ...at(0, 20) }),
      build("b0", { job: "another", buildset: 6 }),
    ];
    await using tab = await viewer.look(`${stage.url}/#/gate/builds/b3`);
    const { page } = tab;
    await page.getByRole("link", { name: "when it ran" }).click();
    const rows = page.getByRole("list", { name: "Builds in the order in which they began" }).locator("li");
    await rows.first().waitFor();
    expect(await rows.locator(".gate-timeline-name").allTextContents()).toEqual(["unit", "lint", "package"]);
    const bars = await Promise.all(
      [0, 1, 2].map(async (row) => {
        const [line, bar] = [".gate-timeline-line", ".gate-timeline-line > i"].map((selector) =>
          rows.nth(row).locator(selector).boundingBox(),
        );
        const [whole, own] = [(await line!)!, (await bar!)!];
        return [(own.x - whole.x) / whole.width, own.width / whole.width].map((part) =>
          Math.round(part * 100),
        );
      }),
    );
    expect(bars).toEqual([
      [0, 50],
      [0, 25],
      [50, 50],
    ]);
    await page.goto(`${stage.url}/#/gate/buildsets/99`);
    await page.getByText("Nothing of it has run").waitFor();
    expect(tab.faults).toEqual([]);
  });

  test("list jobs with their ancestors and definitions, and flakes with each way in which they ended", async () => {
    await using stage = await open();
    const at = (line: number) => ({ job: "unit", project: "lib", branch: "main", file: "zuul.yaml", line });
    const base = {
      ...at(1),
      job: "base",
      project: "config",
      isFor: "any branch",
      parent: null,
      sets: ["timeout"],
    };
    stage.jobs = [
      { name: "base", description: null, ancestors: [], definitions: [base] },
      {
        name: "unit",
        description: "Tests parts.",
        ancestors: ["fast", "base"],
        definitions: [
          { ...at(3), isFor: "any branch", parent: "fast", sets: ["command", "required-projects"] },
          { ...at(9), isFor: "old", parent: null, sets: ["voting"] },
        ],
      },
    ];
    const ended = (id: string, result: string) => ({ build: id, result, detail: null, endedMs: Date.now() });
    stage.flakes = [
      {
        project: "lib",
        job: "unit",
        key: "k",
        firstMs: 0,
        lastMs: Date.now(),
        executions: [ended("b1", "FAILURE"), ended("b2", "SUCCESS")],
      },
    ];
    await using tab = await viewer.look(`${stage.url}/#/gate/jobs`);
    const { page } = tab;
    const unit = page.getByRole("table", { name: "Definitions of unit" });
    await unit.waitFor();
    expect(await unit.locator("tbody tr").allTextContents()).toEqual([
      "lib main zuul.yaml:3any branchfastcommand, required-projects",
      "lib main zuul.yaml:9old–voting",
    ]);
    await page.getByText("It begins with all of fast, and that with all of base.").waitFor();
    await page.getByLabel("Name or description").fill("parts");
    await until(
      "others are left out",
      DEADLINE_MS,
      async () => (await page.locator("main table").count()) === 1,
    );
    await page.getByRole("link", { name: "Flakes" }).click();
    const flakes = page.getByRole("table", { name: "Flakes, newest first" });
    await flakes.getByRole("link").first().waitFor();
    expect(await flakes.getByRole("link").allTextContents()).toEqual(["FAILURE", "SUCCESS"]);
    expect(tab.faults).toEqual([]);
  });

  test("list what is to be held, where it is held and until when, and take it back", async () => {
    await using stage = await open();
    const nowMs = Date.now();
    const other = { project: "lib", change: null, ref: "stable/", askedBy: "bob", count: 3, held: [] };
    const made = { holdMs: 7_200_000, madeMs: nowMs - 60_000 };
    stage.autoholds = [
      {
        ...{
          id: 1,
          project: "app",
          job: "unit",
          change: 12,
          ref: null,
          reason: EVIL,
          askedBy: "ann",
          count: 0,
        },
        ...made,
        held: [
          {
            ...{ build: "345", execution: "e-1", executor: "builder-2" },
            ...{ sinceMs: nowMs, untilMs: nowMs + 7_230_000 },
          },
        ],
      },
      { id: 2, job: "slow", reason: "hangs", ...other, ...made },
    ];
    await using tab = await viewer.look(`${stage.url}/#/gate`);
    const { page } = tab;
    await page.getByRole("link", { name: "Autoholds" }).click();
    const rows = page.getByRole("table", { name: "Requests to hold failing builds" }).locator("tbody tr");
    await rows.first().waitFor();
    expect(await rows.allTextContents()).toEqual([
      expect.stringMatching(/^unitapp 12<img .*ann, 1 .* ago0345 on builder-2, ends in 2 h.*Delete$/),
      expect.stringMatching(/^slowlib stable\/hangsbob, 1 .* ago3Delete$/),
    ]);
    expect(await rows.getByRole("link", { name: "345" }).getAttribute("href")).toBe("#/gate/builds/345");
    stage.onAct = () => {
      stage.autoholds = stage.autoholds.slice(1);
    };
    await page.getByRole("button", { name: "Delete autohold 1" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("textbox", { name: "Token" }).fill(GateStage.TOKEN);
    await page.keyboard.press("Enter");
    await until("its row is gone", DEADLINE_MS, async () => (await rows.count()) === 1);
    expect(stage.asked).toMatchObject([
      { path: "/api/gate/autoholds/1", authorization: `Bearer ${GateStage.TOKEN}` },
    ]);
    expect(tab.faults).toEqual([]);
  });

  test("are light or dark as the system is", async () => {
    const items = [item(1, null), item(2, null, { failing: true, jobs: [ended("unit", "FAILURE", 1)] })];
    await using stage = await open(status([pipeline("gate", [queue("shop", items)])]));
    for (const scheme of ["light", "dark"] as const) {
      await using tab = await viewer.look(`${stage.url}/#/gate`, scheme);
      await row(tab, /^2,1/).waitFor();
      const brightnessOf = async (selector: string, property: string) => {
        const colour = await tab.page.evaluate<string>(
          `getComputedStyle(document.querySelector("${selector}")).getPropertyValue("${property}")`,
        );
        return Math.max(...colour.match(/\d+/g)!.slice(0, 3).map(Number));
      };
      const paper = await brightnessOf(".gate-tree", "background-color");
      const ink = await brightnessOf(".gate-title", "color");
      expect(scheme === "dark" ? paper < 60 && ink > 200 : paper > 200 && ink < 60).toBe(true);
    }
  });
});
