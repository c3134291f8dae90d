import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";

const MAIN = join(resolve(import.meta.dirname, "../.."), "examples/kubediff/main.ts");

describeWith(["kubectl"], "the example of a gate that says what a change does to the cluster", () => {
  test("its job's report is a comment on the change, without what Secrets hold", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN]);
    expect(stdout).toContain("**4 differences in 3 of 3 documents**");
    expect(stdout).toContain("| Deployment default/web | 2 | 2 modified |");
    expect(stdout).toContain("- registry.example.org/web:1.4\n+ registry.example.org/web:1.5\n");
    expect(stdout).toContain("| ConfigMap default/web-settings | 1 | added |");
    expect(stdout).toContain("compared with what a dry run on the server gives, 1 object not in the cluster");
    expect(stdout).toContain("1 difference ignored (Deployment spec.replicas): the autoscaler sets it");
    expect(stdout).toMatch(/\n---\n\nBuild succeeded\.\n\n- kubediff SUCCESS/);
    for (const secret of ["as-it-was", "as-it-will-be"]) {
      expect(stdout).not.toContain(secret);
      expect(stdout).not.toContain(Buffer.from(secret).toString("base64"));
    }
  });
});
