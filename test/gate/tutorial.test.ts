import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { checkConfigFolder } from "../../packages/gate/src/index.ts";
import { describeWith } from "../peers/needs.ts";
import { runPage } from "./page-run.ts";

/* Pages of commands, run as they stand: every command, in one shell, and what it says is printed. */

const ROOT = resolve(import.meta.dirname, "../..");

test("the tutorial of the gate does what it says", { timeout: 300_000 }, async () => {
  await runPage("docs/TUTORIAL-GATE.md", 11);
});

describeWith(["ansible", "bubblewrap"], "the example of Ansible", () => {
  test("does what it says", { timeout: 300_000 }, async () => {
    await runPage("examples/ansible/README.md", 6, { EXAMPLE: join(ROOT, "examples/ansible") });
  });
});

test("the configuration that GATING.md shows is read without a complaint", async () => {
  const [, text] = /^```yaml\n([\s\S]*?)^```/m.exec(readFileSync(join(ROOT, "docs/GATING.md"), "utf8"))!;
  const folder = mkdtempSync(join(tmpdir(), "drover-gating-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "zuul.yaml"), text!);
  expect(await checkConfigFolder(folder)).toMatchObject({ kind: "work tree", files: 1, problems: [] });
});
