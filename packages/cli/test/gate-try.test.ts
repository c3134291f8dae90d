import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { drover, type Ran, run, temporaryFolder } from "./running.ts";

/* `drover gate try`: what a gate would test of clones, and why, without a gate. */

const at = temporaryFolder();
afterAll(() => at.remove());

const GIT_ENV = {
  HOME: at.path,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "Ann",
  GIT_AUTHOR_EMAIL: "ann@example.org",
  GIT_COMMITTER_NAME: "Ann",
  GIT_COMMITTER_EMAIL: "ann@example.org",
};

async function git(cwd: string, ...args: string[]): Promise<void> {
  const said = await run(["git", ...args], { cwd, env: GIT_ENV });
  if (said.code !== 0) throw new Error(`git ${args.join(" ")}: ${said.stderr}`);
}

async function commit(clone: string, title: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) writeFileSync(at.file(`${clone}/${name}`), text);
  await git(at.file(clone), "add", "--all");
  await git(at.file(clone), "commit", "--quiet", "-m", title);
}

/** A clone of a project whose branch has these files. */
async function project(name: string, files: Readonly<Record<string, string>>): Promise<void> {
  mkdirSync(at.file(`git/${name}.git`), { recursive: true });
  await git(at.file(`git/${name}.git`), "init", "--quiet", "--bare", "--initial-branch=main");
  await git(at.path, "clone", "--quiet", `git/${name}.git`, name);
  await git(at.file(name), "checkout", "--quiet", "-B", "main");
  await commit(name, "Begin", files);
  await git(at.file(name), "push", "--quiet", "--set-upstream", "origin", "main");
}

const scratch = at.file("scratch");
mkdirSync(scratch);

const tried = (...args: string[]): Promise<Ran> => {
  const env = { HOME: at.path, TMPDIR: scratch };
  return drover(["gate", "try", ...args], { cwd: at.path, env, deadlineMs: 120_000 });
};

test("tells the chain, each job with why it runs or does not, and runs them when it is asked to", {
  timeout: 300_000,
}, async () => {
  await project("lib", {
    "hi.sh": "echo hi\n",
    "zuul.yaml": `- job: {name: unit, command: [sh, hi.sh]}
- job: {name: docs, files: ^docs/, command: ["true"]}
- project: {check: {jobs: [unit, docs]}}
`,
  });
  await project("app", {
    "zuul.yaml": `- job:
    name: works
    required-projects: [lib]
    command: [sh, -c, 'sh ../lib/hi.sh; test "$(sh ../lib/hi.sh)" = hello']
- project: {check: {jobs: [works]}}
`,
  });
  await commit("lib", "Say hello", { "hi.sh": "echo hello\n" });
  await commit("app", "Need hello", { need: "1\n" });
  writeFileSync(at.file("app/more"), "not committed\n");

  const alone = await tried("lib");
  expect(alone).toMatchObject({ code: 0, stderr: "" });
  expect(alone.stdout).toMatch(/^note: no clone defines pipelines/);
  expect(alone.stdout).toMatch(/^ {2}lib main [0-9a-f]{10} Say hello\nlib main would become [0-9a-f]{40}$/m);
  expect(alone.stdout).toMatch(
    /^Job unit in check would run\.\n {2}It runs: unit in check, as lib main zuul\.yaml:3 says\.$/m,
  );
  expect(alone.stdout).toMatch(
    /^ {4}base +config main zuul\.d\/jobs\.yaml:\d+\n {4}unit +lib main zuul\.yaml:1$/m,
  );
  expect(alone.stdout).toContain(
    "Job docs in check does not run.\n  None of the change's files is one of its files",
  );

  const both = await tried("lib", "app", "--run", "--json");
  expect(both).toMatchObject({ code: 0, stderr: "" });
  const answer = JSON.parse(both.stdout);
  expect(answer.chain.map((one: { title: string }) => one.title)).toEqual(["Say hello", "Need hello"]);
  expect(answer).toMatchObject({ hasPassed: true, ran: [{ job: "works", result: "SUCCESS" }] });

  // Without what it needs it fails, and its log says why.
  await git(at.file("lib"), "reset", "--quiet", "--hard", "origin/main");
  const failed = await tried("lib", "app", "--run");
  expect(failed.code).toBe(1);
  expect(failed.stdout).toContain("app has work that no commit has, which is not tried");
  expect(failed.stdout).toMatch(/^works FAILURE in .*\n(?: {2}.*\n)* {2}hi\n/m);
  expect(failed.stdout).toMatch(/^It failed: .*works/m);
  expect(readdirSync(scratch)).toEqual([]);
});

test("takes the pipelines of a config-project's clone, and says what does not merge or cannot be tried", {
  timeout: 300_000,
}, async () => {
  await project("rules", {
    "zuul.yaml": `- pipeline:
    name: tests
    manager: independent
    trigger: {local: [{event: change-created}]}
    success: {local: {vote: 1}}
- job: {name: base, parent: null}
- project: {name: ^.*$, tests: {jobs: [noop]}}
`,
  });
  await project("tool", { a: "1\n" });
  const nothing = await tried("rules", "tool");
  expect(nothing.stderr).toContain("TRIAL_REFUSED: no clone has a commit that its branch does not have");
  expect(nothing.code).not.toBe(0);
  await commit("tool", "Two", { a: "2\n" });
  const one = await tried("rules", "other/name=tool");
  expect(one.stdout).toMatch(
    /^Merged in this order, of which the last is tried in tests:\n {2}other\/name main /,
  );
  expect(one.stdout).toContain("Job noop in tests would run.");
  // Meanwhile somebody else changed the same line.
  await git(at.path, "clone", "--quiet", "git/tool.git", "another");
  await commit("another", "Three", { a: "3\n" });
  await git(at.file("another"), "push", "--quiet", "origin", "HEAD:main");
  await git(at.file("tool"), "fetch", "--quiet");
  const conflict = await tried("rules", "tool");
  expect(conflict.code).toBe(1);
  expect(conflict.stdout).toMatch(/tool main does not become anything:\n(?: {2}.*\n)*.*does not merge/);
  const missing = await tried(join(at.path, "git"));
  expect(missing.stderr).toMatch(/CLONE_UNUSABLE: .*git is no work tree of git/);
  const pipeline = await tried("rules", "tool", "--pipeline", "gate");
  expect(pipeline.stderr).toContain("there is no pipeline gate; there are tests: name one by --pipeline");
});
