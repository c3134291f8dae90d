import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { until } from "../../../test/peers/until.ts";
import { Viewer } from "./browser.ts";
import { build, status } from "./gate-queues.ts";
import { GateStage } from "./gate-stage.ts";

const DEADLINE_MS = 20_000;

describeWith(["chromium"], "the page of a build", () => {
  let viewer: Viewer;
  beforeAll(async () => {
    viewer = await Viewer.open();
  });
  afterAll(() => viewer?.[Symbol.asyncDispose]());

  const open = () => GateStage.open(viewer.folder, status([]));

  test("follow a console from where it is, through a cut, to its end", async () => {
    await using stage = await open();
    stage.builds = [
      build("b7", {
        chain: [
          { project: "lib", number: 3, revision: 2 },
          { project: "shop", number: 5, revision: 1 },
        ],
        artifacts: [
          { name: "report", url: "/api/gate/builds/b7/artifacts/report.html" },
          { name: "trap", url: "javascript:alert(3)" },
        ],
      }),
    ];
    const begun = "\u001b[31mred\u001b[0m and \u001b]0;title\u0007plain\r\nüber\n";
    const printed = `${begun}10 %\r20 %`;
    stage.print("b7", begun);
    await using tab = await viewer.look(`${stage.url}/#/gate/builds/b7`);
    const { page } = tab;
    const lines = page.getByRole("region", { name: "Console" }).last().locator(".line");
    await lines.getByText("über").waitFor();
    expect(await lines.first().textContent()).toBe("red and plain");
    expect(await lines.first().locator(".ansi-red").textContent()).toBe("red");
    await page
      .getByRole("list", { name: /Changes that were merged/ })
      .getByText("3,2")
      .waitFor();
    expect(await page.getByRole("link", { name: "report" }).count()).toBe(1);
    expect(await page.getByRole("link", { name: "trap" }).count()).toBe(0);
    stage.print("b7", "10 %\r20 %");
    await lines.getByText("20 %", { exact: true }).waitFor();
    stage.cutConsoles();
    await until("it is followed again", DEADLINE_MS, () => stage.followedFrom.length === 2);
    expect(stage.followedFrom).toEqual([
      0,
      Buffer.byteLength("\u001b[31mred\u001b[0m and \u001b]0;title\u0007plain\r\nüber\n10 %\r20 %"),
    ]);
    stage.print("b7", "\r100 %\ndone\n");
    await lines.getByText("done").waitFor();
    expect(await lines.allTextContents()).toEqual(["red and plain", "über", "100 %", "done"]);
    stage.endConsole("b7");
    await page.getByText("ended", { exact: true }).waitFor();
    const saving = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save all of it" }).click();
    const saved = await saving;
    expect(saved.suggestedFilename()).toBe("build-b7.log");
    expect(readFileSync((await saved.path())!, "utf8")).toBe(`${printed}\r100 %\ndone\n`);
    expect(tab.faults).toEqual([]);
  });

  test("stay usable with a console of 50 MB, of which they keep the end", async () => {
    await using stage = await open();
    stage.builds = [build("big")];
    const lines = 500_000;
    const text = Array.from({ length: lines }, (_, i) => `${"x".repeat(90)} line ${i}\n`).join("");
    stage.print("big", text);
    await using tab = await viewer.look(`${stage.url}/#/gate/builds/big`);
    const { page } = tab;
    await page.getByText(`line ${lines - 1}`).waitFor();
    expect(stage.followedFrom[0]).toBe(Buffer.byteLength(text) - 8 * 1024 * 1024);
    await page.getByText("before it are not shown").waitFor();
    const nodes = () => page.evaluate<number>("document.querySelectorAll('*').length");
    expect(await nodes()).toBeLessThan(1000);
    // It goes on much faster than it can be read, and is kept short.
    for (let i = 0; i < 10; i++) stage.print("big", `${"y".repeat(100)}\n`.repeat(20_000));
    stage.print("big", "the last one\n");
    await page.getByText("the last one").waitFor();
    const heightPx = await page.locator(".lines").evaluate((box) => box.scrollHeight);
    expect(heightPx).toBeLessThanOrEqual(100_000 * 20);
    expect(await nodes()).toBeLessThan(1000);
    stage.print("big", `${"z".repeat(3_000_000)}\nafter it\n`);
    await page.getByText("after it").waitFor();
    await page.getByLabel("Find in the console").fill("THE LAST ONE");
    await page.keyboard.press("Enter");
    await page.locator(".line.found", { hasText: "the last one" }).waitFor();
    await page.getByRole("button", { name: "To the end" }).click();
    await page.getByText("after it").waitFor();
    expect(tab.faults).toEqual([]);
  });
});
