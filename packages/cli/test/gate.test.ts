import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type {
  AutoholdView,
  BuildView,
  ChangeSummaryView,
  ConfigProblem,
  DoneView,
  ExplanationView,
  SemaphoreView,
  StatusView,
} from "@drover/gate/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { drover, type Ran, run, type Started, startDrover, temporaryFolder, until } from "./running.ts";

/* `drover gate` as a person uses it: a gate that `init` made and `up` runs, git, and every command. */

const at = temporaryFolder();
const folder = at.file("gate");
const xdg = { XDG_CONFIG_HOME: at.file("config"), XDG_STATE_HOME: at.file("state") };
const GIT_ENV = {
  ...xdg,
  HOME: at.path,
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
  GIT_AUTHOR_NAME: "Ann",
  GIT_AUTHOR_EMAIL: "ann@example.org",
  GIT_COMMITTER_NAME: "Ann",
  GIT_COMMITTER_EMAIL: "ann@example.org",
};

let up: Started;
let url = "";
let made: { token: string; tokenFile: string };
let clone: string;

const reviewer = at.file("reviewer.token");
const user = at.file("user.token");

function gate(...args: string[]): Promise<Ran> {
  return drover(["gate", ...args], { cwd: at.path, env: { ...xdg, DROVER_GATE: url } });
}

/** @throws when it fails */
async function json<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await gate(...args, "--json");
  if (code !== 0) throw new Error(`drover gate ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

async function git(cwd: string, ...args: string[]): Promise<string> {
  const said = await run(["git", ...args], { cwd, env: GIT_ENV });
  if (said.code !== 0) throw new Error(`git ${args[0]}: ${said.stderr}`);
  return said.stdout + said.stderr;
}

/** @returns the number of the new change */
async function propose(message: string, files: Readonly<Record<string, string>>): Promise<string> {
  await git(clone, "fetch", "--quiet");
  await git(clone, "checkout", "--quiet", "--detach", "origin/main");
  for (const [path, text] of Object.entries(files)) writeFileSync(join(clone, path), text);
  await git(clone, "add", "--all");
  await git(clone, "commit", "--quiet", "-m", message);
  const said = await git(clone, "push", "origin", "HEAD:refs/for/main");
  return /Change (\d+) is new/.exec(said)![1]!;
}

async function landed(number: string): Promise<void> {
  await until(`change ${number} has merged`, async () => {
    const changes = await json<ChangeSummaryView[]>("changes", "--state", "merged");
    return changes.some(({ subject }) => String(subject.number) === number);
  });
}

beforeAll(async () => {
  const { code, stdout, stderr } = await drover(
    ["gate", "init", folder, "--user", "ann", "--tenant", "mine", "--json"],
    { env: xdg },
  );
  expect(stderr).toBe("");
  expect(code).toBe(0);
  made = JSON.parse(stdout);
  const readyFile = at.file("ready");
  const listen = ["--port", "0", "--http", "127.0.0.1:0", "--store", "memory"];
  up = startDrover(["gate", "up", folder, ...listen, "--slots", "4", "--ready-file", readyFile], {
    env: xdg,
    cwd: at.path,
    deadlineMs: 900_000,
  });
  await until("the gate is up", () => {
    if (up.hasEnded()) throw new Error(up.stderr());
    return existsSync(readyFile);
  });
  const { http } = JSON.parse(readFileSync(readyFile, "utf8")) as { http: readonly string[] };
  url = `http://${http[0]}`;
  for (const [name, file, ...more] of [
    ["reviewer", reviewer, "--operator"],
    ["guest", user],
  ] as const) {
    const added = await gate("user", "add", name, ...more);
    expect(added.code, added.stderr).toBe(0);
    writeFileSync(file, added.stdout, { mode: 0o600 });
  }
  const remote = `${url.replace("//", `//ann:${made.token}@`)}/git/sample.git`;
  await git(at.path, "clone", "--quiet", remote, "sample");
  clone = at.file("sample");
});

afterAll(async () => {
  up?.child.kill("SIGTERM");
  await up?.ended;
  at.remove();
});

test("encrypt prints a secret that zuul.yaml takes, from a file or the standard input, and says whose key there is not", async () => {
  writeFileSync(at.file("password"), "  hidden text\n");
  const { code, stdout } = await gate(
    ...["encrypt", "--project", "sample", "--secret-name", "upload", "--field-name", "password"],
    at.file("password"),
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^- secret:\n {4}name: upload\n {4}data:\n {6}password: !encrypted\/pkcs1-oaep\n {8}- \|-\n/,
  );
  expect(stdout).not.toContain("hidden");
  const work = at.file("with-secret");
  mkdirSync(work);
  writeFileSync(join(work, "zuul.yaml"), stdout);
  expect(await gate("config", "check", work)).toMatchObject({ code: 0 });
  const unknown = await gate("encrypt", "--project", "none", at.file("password"));
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining("there is no project none") });
  writeFileSync(at.file("empty"), "\n");
  expect(await gate("encrypt", "--project", "sample", at.file("empty"))).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("there is nothing to encrypt"),
  });
});

describe("making and finding a gate", () => {
  test("init keeps the token for its user alone, and makes no gate twice", async () => {
    expect(readFileSync(made.tokenFile, "utf8").trim()).toBe(made.token);
    expect(statSync(made.tokenFile).mode & 0o777).toBe(0o600);
    const again = await drover(["gate", "init", folder], { env: xdg });
    expect(again.code).toBe(2);
    expect(again.stderr).toContain("GATE_FOLDER_INVALID");
    const elsewhere = await drover(["gate", "up", at.file("nothing"), "--port", "0"], { env: xdg });
    expect(elsewhere.code).toBe(2);
    expect(elsewhere.stderr).toContain("drover gate init");
  });

  test("up says where it is and what to do with it", () => {
    expect(up.stdout()).toContain(`The gate of ${folder} has 2 projects: config, sample`);
    expect(up.stdout()).not.toContain(made.token);
  });

  test("a gate that is not there, a server without one, and a wrong token are told apart", async () => {
    const nobody = await gate("status", "--server", "localhost:1");
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining("SERVER_SILENT")]);
    expect(nobody.stderr).toContain("drover gate up DIR");
    writeFileSync(at.file("wrong"), "drover_nothing\n");
    const wrong = await gate("approve", "1", "--token-file", at.file("wrong"));
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("UNAUTHENTICATED")]);
    const guest = await gate("pause", "--token-file", user);
    expect([guest.code, guest.stderr]).toEqual([1, expect.stringContaining("guest is no operator")]);
  });

  test.each([
    [["approve", "one"], "is no number of a change"],
    [["status", "--server", "http://x/path"], "is no address"],
    [["comment", "1", "hm", "--vote", "3"], "neither -1 nor 0 nor 1"],
    [["comment", "1", "hm", "--line", "x", "--file", "y"], "is no whole number"],
    [["log", "x"], "is no whole number"],
    [["enqueue", "1"], "--pipeline"],
    [["approve"], "missing required argument"],
    [["up", ".", "--slots", "none"], "--slots"],
    [["explain", "main"], "no number of a change, and no ref such as refs/heads/main"],
    [["explain", "1", "--project", "sample"], "--project is for a ref"],
    [["explain", "refs/heads/main", "--at", "tea"], "is no time"],
    [["status", "--at", "2999-01-01"], "is still to come"],
    [["changes", "--state", "shut"], "Allowed choices are open, merged, abandoned"],
    [["autohold-info", "x"], "is no whole number"],
  ])("%j is a wrong option", async (args, why) => {
    const { code, stderr } = await gate(...args);
    expect(stderr).toContain(why);
    expect(code).toBe(2);
  });
});

describe("configuration", () => {
  test("check tells of a folder and of a work tree, with file and line", async () => {
    const good = await gate("config", "check", folder);
    expect([good.code, good.stdout]).toEqual([0, expect.stringContaining("no problems")]);
    const tree = at.file("tree");
    mkdirSync(tree);
    writeFileSync(join(tree, "zuul.yaml"), "- job:\n    name: fine\n    comand: [make]\n");
    const bad = await gate("config", "check", tree);
    expect(bad.code).toBe(1);
    expect(bad.stdout).toMatch(/zuul\.yaml:3: .*comand/);
    const asJson = await gate("config", "check", tree, "--json");
    expect(asJson.code).toBe(1);
    expect((JSON.parse(asJson.stdout) as { problems: ConfigProblem[] }).problems).toMatchObject([
      { file: "zuul.yaml", line: 3 },
    ]);
    const nothing = await gate("config", "check", at.file("nothing"));
    expect([nothing.code, nothing.stdout]).toEqual([
      1,
      expect.stringMatching(/^there is neither gate\.yaml/),
    ]);
    const none = await gate("config", "problems");
    expect([none.code, none.stdout]).toEqual([0, "The configuration has no problems.\n"]);
  });

  test("projects are added and imported, each once", async () => {
    const added = await gate("project", "add", "tools/empty");
    expect([added.code, added.stdout]).toEqual([0, "project tools/empty is there, and gated\n"]);
    const twice = await gate("project", "add", "tools/empty");
    expect([twice.code, twice.stderr]).toEqual([1, expect.stringContaining("GATE_REFUSED")]);
    const done = await json<DoneView>("project", "import", "copy", clone);
    expect(done).toEqual({ done: ["project copy is there, and gated"] });
    const refused = await gate("project", "import", "other", at.file("nothing"));
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining("does not appear to be a git repository"),
    ]);
    const read = await gate("reconfigure");
    expect(read.code, read.stderr).toBe(0);
    expect(read.stdout).toContain("the configuration is read again");
  });
});

describe("changes", () => {
  test("are tested, approved by another, merged, and their story can be read", async () => {
    const number = await propose("Say more", { "README.md": "More.\n" });
    const own = await gate("approve", number);
    expect([own.code, own.stderr]).toEqual([1, expect.stringContaining("is your own")]);
    const approved = await gate("approve", number, "--token-file", reviewer);
    expect(approved.code, approved.stderr).toBe(0);
    expect(approved.stdout).toContain(`change ${number} is approved`);
    expect(approved.stdout).toContain("it is in gate");
    await landed(number);

    const list = await gate("builds", "--change", number, "--pipeline", "gate");
    expect(list.stdout).toMatch(/SUCCESS(?:, (?:reused|joined) \d+)? +greets/);
    const [build] = await json<BuildView[]>("builds", "--change", number, "--pipeline", "gate");
    const log = await gate("log", build!.id);
    expect([log.code, log.stdout]).toEqual([0, expect.stringContaining("sh test.sh")]);
    const followed = await gate("log", "-f", build!.id);
    expect([followed.code, followed.stdout]).toEqual([0, log.stdout]);

    const explained = await gate("explain", number);
    expect(explained.stdout).toContain("it is merged, and in no pipeline");
    expect(explained.stdout).toMatch(/^ {2}gate +greets +ended with SUCCESS as build \d+$/m);
    expect(explained.stdout).toMatch(/^ {2}gate +noop +would run, were the change in the pipeline$/m);
    expect(explained.stdout).toContain("gate: was enqueued");
    const job = await gate("explain", number, "--job", "greets");
    expect(job.stdout).toMatch(/^Job greets in gate ended with SUCCESS as build \d+\.\n {2}It runs: greets/m);
    expect(job.stdout).toMatch(
      /^ {4}base +config main zuul\.d\/\S+:\d+\n {4}greets +sample main zuul\.yaml:\d+$/m,
    );
    expect(job.stdout).toMatch(/^ {4}build \d+, .* SUCCESS$/m);
    const { jobs } = await json<ExplanationView>("explain", number, "--job", "greets");
    expect(new Set(jobs.map((one) => one.job))).toEqual(new Set(["greets"]));
    const none = await gate("explain", number, "--job", "greet");
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('no pipeline has a job "greet"')]);
    const ref = await gate("explain", "refs/heads/main", "--project", "sample");
    expect([ref.code, ref.stdout]).toEqual([0, expect.stringMatching(/^refs\/heads\/main sample\/main\n/)]);
    expect(ref.stdout).toMatch(/^ {2}\S+ \S+ {2}post: was enqueued/m);
    const moved = await json<ExplanationView>("explain", "refs/heads/main", "--project", "sample");
    expect((await json<ExplanationView>("explain", moved.subject.id)).subject).toEqual(moved.subject);
    const nothing = await gate("explain", "refs/heads/none");
    expect([nothing.code, nothing.stderr]).toEqual([
      1,
      expect.stringContaining("no pipeline has had refs/heads/none"),
    ]);
    const told = await json<ExplanationView>("explain", `${number},1`);
    expect(told.subject).toMatchObject({ number: Number(number), title: "Say more", owner: "ann" });
    const flakes = await gate("flakes");
    expect([flakes.code, flakes.stdout]).toEqual([0, expect.stringContaining("There are no flakes")]);
    expect(await json("flakes", "--project", "sample", "--job", "greets")).toEqual([]);
    const watching = startDrover(["gate", "status", "--watch"], { env: { ...xdg, DROVER_GATE: url } });
    await until("it was shown twice", () => watching.stdout().split("slots in use").length > 2);
    watching.kill();
    const outbox = await gate("outbox");
    expect([outbox.code, outbox.stdout]).toEqual([0, "Every report has been delivered.\n"]);
    expect(await json("outbox", "--change", number, "--limit", "5")).toEqual([]);
    const changes = await gate("changes", "--project", "sample", "--state", "merged");
    expect(changes.stdout).toContain("Say more");
    const empty = await gate("status");
    expect([empty.code, empty.stdout]).toEqual([0, expect.stringContaining("mine: 0 of 4 slots in use")]);

    // While it was tested.
    const then = new Date((build!.startedMs! + build!.endedMs!) / 2).toISOString();
    const past = await gate("status", "--at", then);
    expect(past.stdout).toMatch(/^gate: 1 item\n {2}sample, window 20\n {4}● \d+,1 sample\/main Say more/m);
    expect(past.stdout).toMatch(/▶ greets running/);
    expect(
      (await json<StatusView>("status", "--at", "1h")).pipelines.flatMap(({ queues }) => queues),
    ).toEqual([]);
    const knew = await gate("explain", number, "--at", then);
    expect(knew.stdout).toMatch(
      /^Then, .*:\n {2}gate: it is alone in queue sample, .*\n {2}gate: it is being tested$/m,
    );
    expect(knew.stdout).toMatch(new RegExp(`^  gate +greets +runs as build ${build!.id}$`, "m"));
    expect(knew.stdout).not.toContain("merged, and");
    const was = await json<ExplanationView>("explain", number, "--job", "greets", "--at", then);
    expect(was.jobs.flatMap(({ builds }) => builds)).toContainEqual(
      expect.objectContaining({ id: build!.id, result: null, endedMs: null }),
    );
    const before = await gate("explain", number, "--at", "1h");
    expect([before.code, before.stderr]).toEqual([1, expect.stringContaining("was not there then")]);
    const never = await gate("status", "--at", "tea");
    expect([never.code, never.stderr]).toEqual([2, expect.stringContaining('--at "tea" is no time')]);
    for (const [words, told] of [
      [["changes", "--limit", "many"], '--limit "many" is no whole number of at least 1'],
      [["builds", "--limit", "0"], '--limit "0" is no whole number of at least 1'],
      [["changes", "--state", "closed"], "Allowed choices are open, merged, abandoned"],
      [["builds", "--change", "sample"], '"sample" is no number of a change'],
    ] as const) {
      const wrong = await gate(...words);
      expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining(told)]);
    }
    expect((await json<BuildView[]>("builds", "--change", `${number},1`)).length).toBeGreaterThan(0);
    const other = await gate("replay", "--token-file", user);
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining("is no operator")]);
    const replayed = await gate("replay");
    expect([replayed.code, replayed.stdout]).toEqual([
      0,
      expect.stringMatching(/events: the state is as the gate that runs has it\n$/),
    ]);
    expect((await gate("replay", folder)).code).toBe(0);
    expect((await json<unknown[]>("replay", folder)).length).toBeGreaterThan(0);
  });

  test("that fail are voted down, and log -f tells so by its exit code", async () => {
    const number = await propose("Break it", { "greet.sh": "false\n" });
    const build = await until("it has failed", async () => {
      const builds = await json<BuildView[]>("builds", "--change", number, "--result", "FAILURE");
      return builds[0];
    });
    const followed = await gate("log", "--follow", build.id);
    expect(followed.code).toBe(1);
    const missing = await gate("log", "4711");
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("there is no build 4711")]);
    const shown = await gate("show", number);
    expect([shown.code, shown.stdout]).toEqual([0, expect.stringContaining("FAILURE")]);
    const closed = await gate("abandon", number);
    expect(closed.stdout).toBe(`change ${number} is abandoned\n`);
    const late = await gate("approve", number, "--token-file", reviewer);
    expect([late.code, late.stderr]).toEqual([1, expect.stringContaining("is abandoned")]);
    expect((await gate("restore", number)).stdout).toContain(`change ${number} is open again`);
  });

  test("wait with a reason, and go on without what they wait for when an operator says so", async () => {
    const source = "https://elsewhere.example/7";
    const number = await propose(`Needs more\n\nDepends-On: ${source}`, { needs: "1\n" });
    const approved = await gate("approve", number, "--token-file", reviewer);
    expect(approved.stdout).toContain("it waits for gate");
    const status = await gate("status");
    expect(status.stdout).toMatch(/waits +\d+,1 sample\/main Needs more\n +.*elsewhere\.example/);
    const unapproved = await gate("unapprove", number, "--token-file", reviewer);
    expect(unapproved.stdout).toContain("is not approved any more");
    await gate("approve", number, "--token-file", reviewer);
    const dequeued = await gate("dequeue", number, "--pipeline", "gate", "--project", "sample");
    expect([dequeued.code, dequeued.stdout]).toEqual([0, expect.stringContaining("it has left gate")]);
    const elsewhere = await gate("dequeue", number, "--pipeline", "gate");
    expect([elsewhere.code, elsewhere.stderr]).toEqual([1, expect.stringContaining("neither in gate")]);
    const enqueued = await gate("enqueue", number, "--pipeline", "gate", "--ignore-depends-on", source);
    expect(enqueued.stdout).toContain("it is in gate");
    await landed(number);
  });

  test("share semaphores, which can be looked at", async () => {
    expect((await gate("semaphores")).stdout).toBe("There are no semaphores.\n");
    const config = readFileSync(join(clone, "zuul.yaml"), "utf8");
    const number = await propose("Use it", {
      "zuul.yaml": `${config}\n- semaphore: {name: database, max: 2}\n`,
    });
    await gate("approve", number, "--token-file", reviewer);
    await landed(number);
    expect((await gate("semaphores")).stdout).toMatch(/^database +0 of 2$/m);
    expect(await json<SemaphoreView[]>("semaphores")).toEqual([
      { name: "database", max: 2, holders: [], waiting: [] },
    ]);
  });

  test("are held when they fail, where that was asked for", async () => {
    expect((await gate("autohold-list")).stdout).toBe("Nothing is to be held.\n");
    const of = ["--project", "sample", "--job", "greets", "--reason", "to look"];
    const asked = await gate("autohold", ...of, "--count", "2", "--hold", "1h");
    expect([asked.code, asked.stdout]).toEqual([
      0,
      expect.stringContaining("autohold 1: the next 2 builds of greets"),
    ]);
    expect(await json<AutoholdView[]>("autohold-list")).toMatchObject([
      { id: 1, count: 2, holdMs: 3_600_000, askedBy: "ann", held: [] },
    ]);
    const { stdout } = await gate("autohold-info", "1");
    expect(stdout).toMatch(
      /^autohold 1: job greets of sample\nasked by ann .*: to look\n.*: 2, each for 1 h\n$/,
    );
    const many = await gate("autohold", ...of, "--count", "101");
    expect([many.code, many.stderr]).toEqual([1, expect.stringContaining("count: 100 builds at most")]);
    const long = await gate("autohold", ...of, "--hold", "9d");
    expect([long.code, long.stderr]).toEqual([1, expect.stringContaining("holdMs: a week at most")]);
    const mistyped = await gate("autohold", ...of, "--job", "greet");
    expect(mistyped.stdout).toContain("no job is called greet so far");
    const shell = await gate("held-shell", "1", "--dir", folder);
    expect([shell.code, shell.stderr]).toEqual([1, expect.stringContaining("build 1 is not held")]);
    expect((await gate("autohold-delete", "1")).code).toBe(0);
    expect((await gate("autohold-delete", "1")).code).toBe(1);
  });

  test("are not started while the gate is paused", async () => {
    expect((await gate("pause")).code).toBe(0);
    const number = await propose("Later", { later: "1\n" });
    await gate(
      "comment",
      number,
      "Not now.",
      "--vote",
      "-1",
      "--file",
      "later",
      "--line",
      "1",
      "--token-file",
      user,
    );
    expect((await json<StatusView>("status")).isPaused).toBe(true);
    expect((await gate("status")).stdout).toContain("PAUSED");
    // Force is about a pipeline's requirements: what nobody has approved is not merged by it.
    const forced = await gate("enqueue", number, "--pipeline", "gate", "--force");
    expect([forced.code, forced.stderr]).toEqual([1, expect.stringContaining("is not approved")]);
    expect(await json<BuildView[]>("builds", "--change", number)).toEqual([]);
    await gate("approve", number, "--token-file", reviewer);
    const promoted = await gate("promote", number, "--pipeline", "gate");
    expect(promoted.stdout, promoted.stderr).toBe(`ahead in gate now: change ${number}\n`);
    const unknown = await gate("promote", number, "--pipeline", "gates");
    expect([unknown.code, unknown.stderr]).toEqual([
      1,
      expect.stringContaining("there is no pipeline gates"),
    ]);
    const absent = await gate("promote", number, "1", "--pipeline", "gate");
    expect([absent.code, absent.stderr]).toEqual([
      1,
      expect.stringContaining("change 1 is not in pipeline gate"),
    ]);
    const frozen = await gate("freeze", "sample", "main", "--reason", "a release");
    expect(frozen.stdout, frozen.stderr).toContain("nothing is merged into main of sample");
    expect(await json<DoneView>("thaw", "sample", "main")).toEqual({
      done: ["what passed is merged into main of sample again"],
    });
    expect(await json<DoneView>("freeze", "sample", "main", "--reason", "a release")).toEqual({
      done: ["nothing is merged into main of sample until it is thawed"],
    });
    const nowhere = await gate("freeze", "sample", "nowhere");
    expect([nowhere.code, nowhere.stderr]).toEqual([1, expect.stringContaining("no branch nowhere")]);
    expect((await gate("unpause")).stdout).toBe("it goes on\n");
    await until("it waits for the branch", async () => {
      const { stdout } = await gate("explain", number);
      return stdout.includes("was frozen by") ? true : undefined;
    });
    expect((await gate("status")).stdout).toMatch(/sample\/main is frozen by \S+: a release/);
    expect((await gate("thaw", "sample", "main")).stdout).toContain("is merged into main of sample again");
    expect((await gate("thaw", "sample", "main")).code).toBe(1);
    await landed(number);
  });

  test("are not for one who was a user", async () => {
    const removed = await gate("user", "remove", "guest");
    expect(removed.code, removed.stderr).toBe(0);
    const late = await gate("comment", "1", "Still here?", "--token-file", user);
    expect([late.code, late.stderr]).toEqual([1, expect.stringContaining("UNAUTHENTICATED")]);
  });
});
