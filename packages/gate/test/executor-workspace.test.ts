import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { BuildRequest } from "../src/executor/build-request.ts";
import { git } from "../src/git/git.ts";
import { Stage, script, TestRepository } from "./executor-stage.ts";

const stage = new Stage();
let lib: TestRepository;
let libTip: string;
let libOld: string;
beforeAll(async () => {
  lib = await TestRepository.create(join(stage.folder, "state", "lib.git"));
  libOld = await lib.commit({ "lib.txt": "old\n" });
  libTip = await lib.commit(
    {
      "lib.txt": "speculative\n",
      "tools/hello.sh": { program: "#!/bin/sh\necho hello from $0\n. $(dirname $0)/part" },
      "tools/part": "echo part\n",
    },
    libOld,
  );
  await git(["tag", "-a", "v1", "-m", "one", libOld], {
    gitDir: lib.path,
    env: { GIT_COMMITTER_NAME: "A", GIT_COMMITTER_EMAIL: "a@example.org" },
  });
});

function withLib(
  request: BuildRequest,
  more: Partial<BuildRequest["repositories"][number]> = {},
): BuildRequest {
  const second = {
    project: "org/lib",
    repository: lib.path,
    branches: { main: libTip, "stable/1.x": libOld },
    checkout: "main",
    required: true,
    ...more,
  };
  return { ...request, repositories: [...request.repositories, second] };
}

test("a build is in the change's project, with every project beside it at its speculative tip", async () => {
  const { outcome, log } = await stage.run(
    withLib(
      stage.request("pwd; ./check.sh; cat ../lib/lib.txt; cd ../lib; git status --short --branch; git fsck"),
    ),
  );
  expect(log).toBe("/build/src/org/app\nnew\nspeculative\n## main\n");
  expect(outcome.detail).toBeNull();
});

test("all branches and tags are there, and origin/X..X is the change under test", async () => {
  const { log } = await stage.run(
    withLib(
      stage.request(
        "git log --format=%H origin/main..main; git log --format=%H origin/main",
        "cd ../lib; git for-each-ref --format='%(refname) %(objectname)'; git rev-parse v1^{commit}",
      ),
    ),
  );
  expect(log.split("\n")).toEqual([
    stage.tip,
    stage.base,
    `refs/heads/main ${libTip}`,
    `refs/heads/stable/1.x ${libOld}`,
    `refs/remotes/origin/main ${libTip}`,
    `refs/remotes/origin/stable/1.x ${libOld}`,
    expect.stringMatching(/^refs\/tags\/v1 [0-9a-f]{40}$/),
    libOld,
    "",
  ]);
});

test("origin leads nowhere", async () => {
  const { log } = await stage.run(stage.request("git remote get-url origin; git fetch || echo no"));
  expect(log).toMatch(/^file:\/\/\/dev\/null\n(?:.*\n)*no\n$/);
});

test("a build may commit, switch branches and write its objects, and the gate's repository has none of it", async () => {
  const before = await git(["count-objects", "-v"], { gitDir: stage.app.path });
  const { outcome, log } = await stage.run(
    withLib(
      stage.request(
        "echo x > x; git add x; git commit -qm x; git log -1 --format=%an; cd ../lib; git checkout -q stable/1.x; cat lib.txt",
      ),
    ),
  );
  expect([outcome.detail, log]).toEqual([null, "Drover\nold\n"]);
  expect(await git(["count-objects", "-v"], { gitDir: stage.app.path })).toEqual(before);
});

test.each([
  ["another branch", "stable/1.x", "stable/1.x"],
  ["a tag", "v1", ""],
  ["a commit", () => libOld, ""],
] as const)("a project is checked out at %s when it is asked for", async (_what, wanted, branch) => {
  const checkout = typeof wanted === "function" ? wanted() : wanted;
  const { log } = await stage.run(
    withLib(stage.request("cd ../lib; cat lib.txt; git symbolic-ref --short -q HEAD; true"), { checkout }),
  );
  expect(log).toBe(`old\n${branch}${branch === "" ? "" : "\n"}`);
});

test.each([
  ["golang", "src/org/app src/org/lib"],
  ["flat", "src/app src/lib"],
  ["unique", "src/org%2Fapp src/org%2Flib"],
] as const)("workspace scheme %s", async (workspaceScheme, folders) => {
  const { log } = await stage.run({
    ...withLib(
      stage.request("cd $DROVER_WORKSPACE; find src -name .git | sed s,/.git,, | sort | xargs echo"),
    ),
    workspaceScheme,
  });
  expect(log).toBe(`${folders}\n`);
});

test("an executable is the one of its project and commit, with the files beside it, in the change's project", async () => {
  const entry = { project: "org/lib", commit: libTip, path: "tools/hello.sh" };
  const request = withLib(stage.request("echo echo changed > ../lib/tools/hello.sh; pwd"));
  const { log } = await stage.run({ ...request, run: [...request.run, entry] });
  expect(log).toBe("/build/src/org/app\nhello from /build/executables/0/tools/hello.sh\npart\n");
});

test("executables cannot be changed by a build", async () => {
  const entry = { project: "org/lib", commit: libTip, path: "tools/hello.sh" };
  const request = withLib(stage.request("echo x > /build/executables/0/tools/hello.sh"));
  const { outcome, log } = await stage.run({ ...request, postRun: [entry] });
  expect(outcome.result).toEqual({ kind: "final", result: "FAILURE" });
  expect(log).toContain("hello from");
});

test.each<[string, (request: BuildRequest) => BuildRequest, RegExp]>([
  [
    "an executable that is not there",
    (request) => withEntry(request, "no.sh"),
    /no.sh of org\/lib at .* is not there/,
  ],
  ["a file that is no executable", (request) => withEntry(request, "lib.txt"), /is no executable file/],
  [
    "a checkout that is not there",
    (request) => withLib(request, { checkout: "gone" }),
    /neither a branch nor a tag "gone"/,
  ],
  [
    "a commit that is not there",
    (request) => withLib(request, { branches: { main: "a".repeat(40) } }),
    /does not have the commit a/,
  ],
  [
    "a repository that is not there",
    (request) => withLib(request, { repository: "/nonexistent/x.git" }),
    /is not there/,
  ],
  [
    "projects in one folder",
    (request) => ({ ...withLib(request, { project: "other/app" }), workspaceScheme: "flat" }),
    /two projects/,
  ],
])("%s is an ERROR that says so", async (_what, change, reason) => {
  const { outcome } = await stage.run(change(stage.request("true")));
  expect(outcome.result).toEqual({ kind: "final", result: "ERROR" });
  expect(outcome.detail).toMatch(reason);
  expect(await stage.wholeLogOf(outcome.execution)).toMatch(reason);
});

function withEntry(request: BuildRequest, path: string): BuildRequest {
  return { ...withLib(request), run: [{ project: "org/lib", commit: libTip, path }] };
}

test("variables are in drover.json and the environment, and vars of the job beside zuul", async () => {
  const request = withLib(stage.request("cat $DROVER_VARIABLES"));
  const { log } = await stage.run({ ...request, vars: { answer: 42 }, attempt: 2 });
  expect(JSON.parse(log)).toEqual({
    answer: 42,
    zuul: expect.objectContaining({
      build: "build-1",
      job: "test",
      change: 7,
      attempts: 2,
      max_attempts: 3,
      project: expect.objectContaining({ name: "org/app", short_name: "app", src_dir: "src/org/app" }),
      projects: {
        "org/app": expect.objectContaining({ checkout: "main", commit: stage.tip, required: false }),
        "org/lib": expect.objectContaining({ checkout: "main", commit: libTip, required: true }),
      },
      executor: expect.objectContaining({ work_root: "/build", src_root: "/build/src" }),
    }),
  });
  const { log: said } = await stage.run({
    ...stage.request(
      "echo $DROVER_BUILD $DROVER_JOB $DROVER_CHANGE,$DROVER_REVISION $DROVER_BRANCH $DROVER_PIPELINE",
    ),
    postRun: [script("echo $DROVER_PHASE $DROVER_PROJECT")],
  });
  expect(said).toBe("build-1 test 7,2 main gate\npost-run org/app\n");
});
