import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { folderOf, run, shyaml } from "./running.ts";

const COMMAND = `${process.execPath} ${resolve(import.meta.dirname, "../bin/shyaml.js")} git-diff`;

/** Git with no settings but those of the repository. */
async function git(cwd: string, ...args: string[]): Promise<string> {
  const env = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1", HOME: cwd };
  const { code, out, err } = await run(
    "git",
    ["-c", "user.name=t", "-c", "user.email=t@example.org", ...args],
    { cwd, env },
  );
  if (code !== 0) throw new Error(`git ${args.join(" ")}: ${err}`);
  return out;
}

describe("git's driver", () => {
  test("compares what git shows, and what is no YAML as text", async () => {
    using folder = folderOf({
      "a.yaml": "a: 1\nb: 2\n",
      "same.yaml": "a: 1\n",
      "template.yaml": "a: {{ x }\n",
      "gone.yaml": "x: 1\n",
      "old.yaml": "a: 1\n",
    });
    const { path } = folder;
    await git(path, "init", "-q");
    await git(path, "add", ".");
    await git(path, "commit", "-qm", "one");
    const install = await shyaml(["install-git-driver", "--command", COMMAND], { cwd: path });
    expect(install).toMatchObject({ code: 0, err: "" });
    expect(install.out).toContain(".git/info/attributes: *.yaml diff=shyaml, *.yml diff=shyaml");
    writeFileSync(join(path, "a.yaml"), "b: 2\na: 3\n");
    writeFileSync(join(path, "same.yaml"), "{a: 1}\n");
    writeFileSync(join(path, "template.yaml"), "a: {{ y }\n");
    writeFileSync(join(path, "new.yaml"), "new: 1\n");
    await git(path, "rm", "-q", "gone.yaml");
    await git(path, "mv", "old.yaml", "renamed.yaml");
    await git(path, "add", ".");
    const out = await git(path, "diff", "--cached", "-M");
    expect(out).toContain("a.yaml  a.yaml:1 → a.yaml:1\n  a  changed  1 → 2\n    - 1\n    + 3\n");
    expect(out).toContain("same.yaml: the same values, written in another way\n");
    expect(out).toMatch(/shyaml: template\.yaml:\d+:\d+: YAML_INVALID: .*; as text:\n/);
    expect(out).toContain("-a: {{ x }\n+a: {{ y }\n");
    expect(out).toContain("new.yaml added  new.yaml:1\n    + new: 1\n");
    expect(out).toContain("gone.yaml removed  gone.yaml:1\n    - x: 1\n");
    expect(out).toContain("renamed old.yaml to renamed.yaml\n");
    expect(out).not.toContain("renamed.yaml: the same");
    expect(await git(path, "log", "-p", "--ext-diff", "-1")).toContain("a.yaml added");
  });

  test("is installed once, and taken away without a trace", async () => {
    using folder = folderOf({});
    const { path } = folder;
    await git(path, "init", "-q");
    const config = await git(path, "config", "--local", "--list");
    const options = { cwd: path };
    await shyaml(["install-git-driver", "--shared"], options);
    const again = await shyaml(["install-git-driver", "--shared"], options);
    expect(again.out).toContain("has the patterns already");
    expect(await git(path, "config", "diff.shyaml.command")).toBe("shyaml git-diff\n");
    expect(await git(path, "check-attr", "diff", "x.yml")).toBe("x.yml: diff: shyaml\n");
    await shyaml(["install-git-driver", "--shared", "--remove"], options);
    expect(await git(path, "config", "--local", "--list")).toBe(config);
    expect(await git(path, "check-attr", "diff", "x.yml")).toBe("x.yml: diff: unspecified\n");
  });

  test("outside of a repository, or without git's arguments, says so", async () => {
    using folder = folderOf({});
    expect(await shyaml(["install-git-driver"], { cwd: folder.path })).toMatchObject({
      code: 2,
      err: expect.stringContaining("GIT_REFUSED: git rev-parse"),
    });
    expect(await shyaml(["git-diff", "a", "b"])).toMatchObject({
      code: 2,
      err: "shyaml: SETTING_INVALID: git gives seven arguments, and here are 2\n",
    });
    expect((await shyaml(["git-diff", "conflict.yaml"])).out).toBe("conflict.yaml is not merged\n");
  });

  test("run by hand has the exit code of diff", async () => {
    using folder = folderOf({ "a.yaml": "a: 1\n", "b.yaml": "a: 2\n" });
    const [a, b] = [join(folder.path, "a.yaml"), join(folder.path, "b.yaml")];
    expect((await shyaml(["git-diff", "x.yaml", a, "0", "100644", b, "0", "100644"])).code).toBe(1);
    expect((await shyaml(["git-diff", "x.yaml", a, "0", "100644", a, "0", "100644"])).code).toBe(0);
  });
});
