import { afterAll, describe, expect, test } from "vitest";
import { drover, temporaryFolder } from "./running.ts";

const folder = temporaryFolder();
afterAll(() => folder.remove());

describe("drover yaml", () => {
  test("has shyaml's commands, flags behind what is compared and its exit codes", async () => {
    const [a, b] = [folder.write("a.yaml", "a: 1\n"), folder.write("b.yaml", "a: 2\n")];
    const differs = await drover(["yaml", "diff", a, b, "-o=json"]);
    expect(differs).toMatchObject({ code: 1, stderr: "" });
    expect(JSON.parse(differs.stdout).summary.differences).toBe(1);
    // As kubectl calls it.
    expect(await drover([a, b, "yaml", "diff", "-o=json"])).toEqual(differs);
    expect(await drover(["yaml", "diff", a, a])).toMatchObject({ code: 0, stdout: "" });
    expect((await drover(["yaml", "json", "--compact", a])).stdout).toBe('{"a":1}\n');
  });

  test("tells trouble as Drover does, with exit code 2", async () => {
    const bad = folder.write("bad.yaml", "a: 1\na: 2\n");
    expect(await drover(["yaml", "json", bad])).toMatchObject({
      code: 2,
      stderr: `drover: ${bad}:2:1: KEY_DUPLICATE: key "a" stands here again, first at line 1, column 1\n`,
    });
    expect((await drover(["yaml", "diff", bad])).code).toBe(2);
    expect((await drover(["yaml", "dif"])).stderr).toContain("unknown command 'dif'; did you mean diff?");
  });
});
