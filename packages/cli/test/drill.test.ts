import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { drover, stage, startServe } from "./running.ts";

const at = stage();

describe("drover drill", () => {
  test.each(["worker-loss", "server-kill", "store-full", "backup-restore", "slow-reader", "retry-storm"])(
    "%s holds, and says what it will do, what it saw and how long it took",
    async (name) => {
      const { code, stdout, stderr } = await drover(["drill", name], { cwd: at.folder.path });
      expect(stderr).toBe("");
      expect(stdout).toMatch(/what will happen\n {2}- .*\nwhat should hold\n {2}- /s);
      expect(stdout).toMatch(new RegExp(`\n${name}: all held, in [\\d.]+ s\n`));
      expect(code).toBe(0);
      const report = readFileSync(at.folder.file(`drover-drill-${name}.md`), "utf8");
      expect(report).toContain(`# Drill ${name}: `);
      expect(report).toMatch(/\*\*all held, in [\d.]+ s\*\*/);
      expect(report).not.toContain("**no**");
    },
  );

  test("lists the drills without a name, and suggests one for a slip", async () => {
    const list = await drover(["drill"]);
    expect(list.stdout).toContain("drover drill slow-reader");
    const slip = await drover(["drill", "slow-raeder"], { cwd: at.folder.path });
    expect(slip).toMatchObject({ code: 2 });
    expect(slip.stderr).toContain("did you mean slow-reader?");
  });

  test("plays on a target only when it is named twice, and only what does it no harm", async () => {
    const server = await startServe(at.folder.path);
    try {
      const target = `127.0.0.1:${server.port}`;
      const once = await drover(["drill", "worker-loss", "--target", target], { cwd: at.folder.path });
      expect(once).toMatchObject({ code: 2 });
      expect(once.stderr).toContain(`--confirm ${target}`);
      const harm = await drover(["drill", "server-kill", "--target", target, "--confirm", target], {
        cwd: at.folder.path,
      });
      expect(harm).toMatchObject({ code: 2 });
      expect(existsSync(at.folder.file("drover-drill-server-kill.md"))).toBe(false);
      const report = at.folder.file("report.md");
      const words = ["drill", "slow-reader", "--target", target, "--confirm", target, "--report", report];
      expect(await drover(words, { cwd: at.folder.path })).toMatchObject({ code: 0 });
      expect(readFileSync(report, "utf8")).toContain(`on ${target}`);
    } finally {
      server.child.kill("SIGKILL");
    }
  });
});
