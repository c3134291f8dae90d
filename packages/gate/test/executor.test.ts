import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { BuildOutcome, BuildRequest } from "../src/executor/build-request.ts";
import { Stage, script } from "./executor-stage.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const stage = new Stage({
  limits: { maxOutputBytes: 200_000, diskBytes: 5_000_000, maxArtifacts: 3, maxArtifactBytes: 1_000_000 },
});

const final = (result: string) => ({ kind: "final", result });
const phasesOf = ({ steps }: BuildOutcome) => steps.map(({ phase, index }) => `${phase} ${index}`);

/** Every phase tells its name, and may do more. */
function phases(pre: string, run: string, post: string, more: Partial<BuildRequest> = {}): BuildRequest {
  const one = (text: string) => script(`echo $DROVER_PHASE; ${text}`);
  return { ...stage.request(), preRun: [one(pre)], run: [one(run)], postRun: [one(post)], ...more };
}

describe("phases and results", () => {
  test("all phases run in their order, and a build whose commands succeed is a SUCCESS", async () => {
    const { outcome, log } = await stage.run(phases("true", "true", "true"));
    expect(outcome).toMatchObject({ result: final("SUCCESS"), detail: null });
    expect(log).toBe("pre-run\nrun\npost-run\n");
    expect(phasesOf(outcome)).toEqual(["pre-run 0", "run 0", "post-run 0"]);
  });

  test("a line of run that says that it fails makes it a FAILURE, told while it runs", async () => {
    const failing: string[] = [];
    const request = phases(
      "echo Oops",
      "printf 'no Oops\\nOo'; sleep 0.1; printf 'ps: 1\\n'",
      "echo $DROVER_SUCCESS",
    );
    const told = { onFailing: (detail: string) => void failing.push(detail) };
    const detail = 'its output matched failure-output "^Oops: \\\\d"';
    const { outcome, log } = await stage.run({ ...request, failureOutput: ["never", "^Oops: \\d"] }, told);
    expect(outcome).toMatchObject({ result: final("FAILURE"), detail });
    expect(failing).toEqual([detail]);
    expect(log.endsWith("post-run\nfalse\n")).toBe(true);
  });

  test("a command that fails ends its phase and is a FAILURE, and post-run knows", async () => {
    const post =
      "echo $DROVER_SUCCESS $DROVER_WILL_RETRY; grep -o '\"zuul_success\": false' $DROVER_VARIABLES";
    const request = phases("true", "exit 3", post);
    const { outcome, log } = await stage.run({ ...request, run: [...request.run, script("echo not run")] });
    expect(outcome).toMatchObject({ result: final("FAILURE"), detail: "run 1 exited with 3" });
    expect(log).toBe('pre-run\nrun\npost-run\nfalse false\n"zuul_success": false\n');
  });

  test("a preparation that fails is to be run again, and its post-run knows", async () => {
    const { outcome, log } = await stage.run(
      phases("exit 1", "echo not run", "echo $DROVER_SUCCESS $DROVER_WILL_RETRY; exit 1"),
    );
    expect(outcome.result).toEqual({ kind: "retry", again: true });
    expect(log).toBe("pre-run\npost-run\nfalse true\n");
  });

  test("the last attempt tells post-run that there is no other", async () => {
    const request = phases("exit 1", "", "echo $DROVER_WILL_RETRY", { attempt: 3, attempts: 3 });
    expect((await stage.run(request)).log).toBe("pre-run\npost-run\nfalse\n");
  });

  test("a job may ask not to be run again", async () => {
    const said = `echo '{"zuul":{"retry":false}}' > $DROVER_RESULT; exit 1`;
    const { outcome, log } = await stage.run(phases(said, "", "echo $DROVER_WILL_RETRY"));
    expect(outcome.result).toEqual({ kind: "retry", again: false });
    expect(log).toBe("pre-run\npost-run\nfalse\n");
  });

  test("of post-run all entries run, and one that fails makes it a POST_FAILURE, whatever run gave", async () => {
    const request = { ...phases("true", "false", ""), postRun: [script("exit 5"), script("echo second")] };
    const { outcome, log } = await stage.run(request);
    expect(outcome).toMatchObject({ result: final("POST_FAILURE"), detail: "post-run 1 exited with 5" });
    expect(log).toContain("second");
  });

  test("only the post-run of those levels runs whose pre-run was begun", async () => {
    const at = (level: number, text: string) => ({ ...script(`echo ${text}; [ ${text} != fails ]`), level });
    const request = {
      ...stage.request("true"),
      preRun: [at(0, "base"), at(1, "fails"), at(2, "child")],
      postRun: [at(2, "post-child"), at(1, "post-parent"), at(0, "post-base")],
    };
    expect((await stage.run(request)).log).toBe("base\nfails\npost-parent\npost-base\n");
  });

  test("run that never ends is TIMED_OUT, which a failing post-run does not change", async () => {
    const { outcome, log } = await stage.run(phases("true", "sleep 1000", "exit 1", { timeoutMs: 1_500 }));
    expect(outcome.result).toEqual(final("TIMED_OUT"));
    expect(log).toBe("pre-run\nrun\npost-run\n");
  });

  test("a preparation that never ends is to be run again", async () => {
    const { outcome } = await stage.run(phases("sleep 1000", "true", "true", { timeoutMs: 500 }));
    expect(outcome).toMatchObject({ result: { kind: "retry" }, detail: expect.stringContaining("longer") });
  });

  test("preparation and run share one timeout", async () => {
    const request = phases("sleep 1.2", "sleep 1.2", "true", { timeoutMs: 2_000 });
    expect((await stage.run(request)).outcome.result).toEqual(final("TIMED_OUT"));
  });

  test("a pre-run entry has a timeout of its own besides, and run has not", async () => {
    const limits = { timeoutMs: 600_000, preTimeoutMs: 600 };
    const { outcome } = await stage.run(phases("sleep 1000", "true", "true", limits));
    expect(outcome).toMatchObject({ result: { kind: "retry" }, detail: expect.stringContaining("longer") });
    const none = { ...stage.request("sleep 1; true"), ...limits };
    expect((await stage.run(none)).outcome.result).toEqual(final("SUCCESS"));
  });

  test("each post-run entry has its own timeout", async () => {
    const request = { ...stage.request("true"), postTimeoutMs: 700 };
    const { outcome } = await stage.run({ ...request, postRun: [script("sleep 1000"), script("true")] });
    expect(outcome.result).toEqual(final("POST_FAILURE"));
    expect(outcome.steps.map(({ end }) => end.kind)).toEqual(["exited", "timeout", "exited"]);
  });

  test("a command that is not there is a failure that says so", async () => {
    const { outcome, log } = await stage.run({ ...stage.request(), run: [{ argv: ["no-such-program"] }] });
    expect(outcome.result).toEqual(final("FAILURE"));
    expect(log).toMatch(/no-such-program.*No such file/);
  });

  test("a command that is ended by a signal is a failure that says so", async () => {
    const { outcome } = await stage.run(stage.request("kill -SEGV $$"));
    expect(outcome.detail).toBe("run 1 was ended by SIGSEGV");
  });
});

describe("limits", () => {
  test("a flood of output ends the build with a clear line, and post-run still runs and is heard", async () => {
    const { outcome, log } = await stage.run(phases("yes", "true", "echo heard"));
    expect(outcome.result).toEqual(final("FAILURE"));
    const whole = await stage.wholeLogOf(outcome.execution);
    expect(whole).toMatch(/\ndrover: pre-run 1 wrote more than 200000 bytes of output, and was ended/);
    expect(log).toMatch(/post-run\nheard\n$/);
    expect(outcome.outputBytes).toBeLessThan(201_000);
  });

  test("post-run that floods is a POST_FAILURE", async () => {
    const { outcome } = await stage.run(phases("true", "true", "yes"));
    expect(outcome.result).toEqual(final("POST_FAILURE"));
  });

  test("a build that fills the disk is DISK_FULL and ended at once", async () => {
    const fill = "i=0; while :; do i=$((i+1)); head -c 1000000 /dev/zero > f$i; done";
    const { outcome, log } = await stage.run(phases("true", fill, "echo not run"));
    expect(outcome).toMatchObject({ result: final("DISK_FULL"), detail: expect.stringContaining("5000000") });
    expect(log).not.toContain("not run");
  });

  test("what counts is in whichever folder a build can write to", async () => {
    for (const folder of [".", "/tmp", "$HOME", "/dev/shm"]) {
      const { outcome } = await stage.run(stage.request(`head -c 6000000 /dev/zero > ${folder}/large`));
      expect(outcome.result).toEqual(final("DISK_FULL"));
    }
  });

  test("what is full in the end counts, however fast it was", async () => {
    const quick = "for i in 1 2 3 4 5 6; do head -c 1000000 /dev/zero > f$i; done";
    const { outcome } = await stage.run(stage.request(quick));
    expect(outcome.result).toEqual(final("DISK_FULL"));
  });
});

describe("what a build returns", () => {
  const returning = (...values: unknown[]) =>
    stage.request(...values.map((value) => `echo '${JSON.stringify(value)}' > $DROVER_RESULT`));

  test("data of several entries is merged: objects deeply, artifacts, warnings and comments are added", async () => {
    const { outcome } = await stage.run(
      returning(
        {
          version: { major: 1, minor: 2 },
          zuul: {
            log_url: "https://logs.example/7",
            artifacts: [{ name: "a", url: "a.tar" }],
            warnings: ["one"],
            file_comments: { "x.c": [{ line: 1, message: "m" }] },
            child_jobs: ["b"],
          },
        },
        {
          version: { minor: 3 },
          zuul: {
            artifacts: [{ name: "b", url: "https://example.org/b" }],
            warnings: ["two"],
            comment: "said on the change",
            file_comments: { "x.c": [{ line: 2, message: "n" }] },
            child_jobs: [],
          },
        },
      ),
    );
    expect(outcome.data).toEqual({
      logUrl: "https://logs.example/7",
      artifacts: [
        { name: "a", url: "https://logs.example/7/a.tar" },
        { name: "b", url: "https://example.org/b" },
      ],
      warnings: ["one", "two"],
      comment: "said on the change",
      fileComments: {
        "x.c": [
          { line: 1, message: "m" },
          { line: 2, message: "n" },
        ],
      },
      childJobs: [],
      retry: true,
      pause: false,
      variables: { version: { major: 1, minor: 3 } },
    });
  });

  test("a build that returns nothing has every child job run", async () => {
    expect((await stage.run(stage.request("true"))).outcome.data.childJobs).toBeNull();
  });

  test.each([
    ["no JSON", "echo '{' > $DROVER_RESULT", /is not JSON/],
    ["no object", "echo '[1]' > $DROVER_RESULT", /is no JSON object/],
    ["a link", "ln -s /etc/passwd $DROVER_RESULT", /cannot be read: ELOOP/],
    ["a pipe", "mkfifo $DROVER_RESULT", /is no file/],
    ["a folder", "mkdir $DROVER_RESULT", /is no file/],
    ["too much", "head -c 1100000 /dev/zero > $DROVER_RESULT", /of at most 1048576/],
    [
      "too deep",
      `{ head -c 200 /dev/zero | sed 's/\\x00/{"a":/g'; printf 1; head -c 200 /dev/zero | tr '\\0' '}'; } > $DROVER_RESULT`,
      /nested deeper than 64/,
    ],
  ])("data that is %s fails the entry, with a reason", async (_what, text, reason) => {
    const { outcome } = await stage.run(stage.request(text));
    expect(outcome).toMatchObject({ result: final("FAILURE"), detail: expect.stringMatching(reason) });
  });

  test("artifacts are kept in the order of their names, within limits, and never through links", async () => {
    const { outcome } = await stage.run(
      stage.request(
        "cd $DROVER_ARTIFACTS; mkdir sub; echo 1 > sub/b; echo 22 > a; ln -s /etc/shadow s; mkfifo p; touch y z",
      ),
    );
    expect(outcome.artifacts).toEqual([
      { name: "a", bytes: 3, sha256: sha256("22\n") },
      { name: "sub/b", bytes: 2, sha256: sha256("1\n") },
      { name: "y", bytes: 0, sha256: sha256("") },
    ]);
    expect(outcome.data.warnings).toEqual([
      expect.stringMatching(/^1 artifacts were not kept: at most 3 are/),
      expect.stringMatching(/^2 artifacts were not kept: they are no plain files/),
    ]);
    expect(outcome.result).toEqual(final("SUCCESS"));
  });

  test("artifacts that are too large together are not kept, and it is told", async () => {
    const { outcome } = await stage.run(
      stage.request("cd $DROVER_ARTIFACTS; head -c 600000 /dev/zero > a; cp a b; echo c > c"),
    );
    expect(outcome.artifacts.map(({ name }) => name)).toEqual(["a", "c"]);
    expect(outcome.data.warnings).toEqual([expect.stringMatching(/^1 artifacts were not kept/)]);
  });

  test("artifacts of a folder that the build replaced by a link are nobody's", async () => {
    const { outcome } = await stage.run(
      stage.request("rm -r $DROVER_ARTIFACTS; ln -s /etc $DROVER_ARTIFACTS; true"),
    );
    expect(outcome.artifacts).toEqual([]);
  });
});

describe("the log", () => {
  test("chunks follow each other without a gap and are the log, whole characters each", async () => {
    const text = "aé€😀".repeat(5_000);
    writeFileSync(join(stage.folder, "text"), text);
    const chunks: { offset: number; text: string }[] = [];
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const started: string[] = [];
    const { outcome } = await stage.run(
      stage.request(
        `i=0; while [ $i -lt 5000 ]; do printf 'aé€😀'; i=$((i+1)); done; printf '\\303'; sleep 0.1; printf '\\251'`,
      ),
      {
        onStart: (execution) => started.push(execution),
        onOutput: ({ offset, bytes }) => chunks.push({ offset, text: decoder.decode(bytes) }),
      },
    );
    let end = 0;
    for (const chunk of chunks) {
      expect(chunk.offset).toBe(end);
      end += Buffer.byteLength(chunk.text);
    }
    expect(end).toBe(outcome.outputBytes);
    expect(started).toEqual([outcome.execution]);
    const whole = chunks.map((chunk) => chunk.text).join("");
    expect(whole).toBe(await stage.wholeLogOf(outcome.execution));
    expect(whole).toContain(`${text}é\n`);
  });

  test("bytes that are no UTF-8 are replaced, and NUL is let through", async () => {
    const { log } = await stage.run(stage.request("printf 'a\\377\\000b\\n'; printf '\\342\\202'"));
    expect(log).toBe("a\ufffd\0b\n\ufffd\n");
  });

  test("it is read from any offset that was told, in pieces of whole characters", async () => {
    const { outcome } = await stage.run(stage.request("echo €€€€"));
    const whole = await stage.wholeLogOf(outcome.execution);
    let text = "";
    for (let from = 0, isEnded = false; !isEnded; ) {
      const piece = (await stage.executor.readLog(outcome.execution, from, 5))!;
      text += new TextDecoder("utf-8", { fatal: true }).decode(piece.bytes);
      from += piece.bytes.length;
      isEnded = piece.isEnded;
    }
    expect(text).toBe(whole);
  });

  test("there is none for what is no execution", async () => {
    expect(await stage.executor.readLog("../executions")).toBeUndefined();
    expect(await stage.executor.readLog("00000000-0000-0000-0000-000000000000")).toBeUndefined();
  });

  test("output of both streams is in the order of writing", async () => {
    const { log } = await stage.run(stage.request("for i in 1 2 3; do echo o$i; echo e$i >&2; done"));
    expect(log).toBe("o1\ne1\no2\ne2\no3\ne3\n");
  });
});

describe("requests that make no sense", () => {
  test.each<[string, (request: BuildRequest) => unknown]>([
    ["nothing to run", (request) => ({ ...request, run: [] })],
    ["a project that is missing", (request) => ({ ...request, project: "org/other" })],
    ["a project outside of the workspace", (request) => withRepository(request, { project: "../up" })],
    ["a repository by a relative path", (request) => withRepository(request, { repository: "app.git" })],
    ["a branch with a line break", (request) => withRepository(request, { branches: { "a\nb": stage.tip } })],
    ["a commit that is no id", (request) => withRepository(request, { branches: { main: "HEAD" } })],
    ["an unknown key", (request) => ({ ...request, runs: [] })],
    [
      "an executable outside of its project",
      (request) => ({
        ...request,
        run: [{ project: "org/app", commit: stage.tip, path: "../x" }],
      }),
    ],
  ])("are refused: %s", async (_what, change) => {
    const run = stage.executor.run(change(stage.request("true")) as BuildRequest);
    await expect(run).rejects.toMatchObject({ code: "BUILD_REQUEST_INVALID" });
  });
});

function withRepository(request: BuildRequest, more: Record<string, unknown>): unknown {
  const [first] = request.repositories;
  return { ...request, repositories: [{ ...first, ...more }] };
}
