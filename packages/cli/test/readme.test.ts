import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "../../../test/peers/ports.ts";
import { until } from "../../../test/peers/until.ts";
import { shownIn } from "./documented.ts";
import { BIN, drover, run, startDrover, temporaryFolder } from "./running.ts";

/* README.md, run as it stands: what `curl` is told to do, and the first change of a gate. */

const at = temporaryFolder();
const shown = shownIn("README.md");
const DEADLINE_MS = 200_000;

test("curl does what README.md says of it", { timeout: 240_000 }, async () => {
  const [port, http] = [await freePort(), await freePort()];
  const env = { DROVER_PORT: String(port), DROVER_HTTP: `127.0.0.1:${http}`, XDG_STATE_HOME: at.path };
  const up = startDrover(["up"], { env, cwd: at.path, deadlineMs: DEADLINE_MS });
  const [work] = shown.filter(({ words }) => words[1] === "work");
  expect(work?.text).toContain("drover work -f shout -- tr a-z A-Z");
  await until(
    "it is up",
    DEADLINE_MS,
    async () => (await answerOf(`http://127.0.0.1:${http}/readyz`)) === 200,
  );
  const worker = startDrover([...work!.words.slice(1, 2), "-p", String(port), ...work!.words.slice(2)], {
    cwd: at.path,
    deadlineMs: DEADLINE_MS,
  });
  onTestFinished(() => {
    worker.kill();
    up.kill();
  });
  const said: string[] = [];
  for (const { words } of shown.filter((one) => one.words[0] === "curl")) {
    const [, ...args] = words;
    const here = args.map((word) => word.replace("localhost:4780", `127.0.0.1:${http}`));
    const { code, stdout, stderr } = await run(["curl", "-sS", "--max-time", "30", ...here]);
    expect(code, stderr).toBe(0);
    said.push(stdout);
  }
  expect(said).toEqual([
    "HELLO",
    "HELLO",
    expect.stringContaining("HELLO"),
    expect.stringMatching(/^HTTP\/1.1 202 [\s\S]*location: /i),
    expect.stringMatching(/^HTTP\/1.1 204 /),
  ]);
});

test("a gate of one's own merges its first change as README.md says", { timeout: 240_000 }, async () => {
  const [port, http] = [await freePort(), await freePort()];
  const home = at.file("home");
  mkdirSync(home);
  const ask = at.file("ask");
  writeFileSync(ask, `#!/bin/sh\ncat ${at.file("token")}\n`, { mode: 0o700 });
  const env = {
    ...{ HOME: home, DROVER_PORT: String(port), DROVER_HTTP: `127.0.0.1:${http}` },
    ...{ DROVER_GATE: `http://127.0.0.1:${http}`, GIT_ASKPASS: ask, GIT_CONFIG_NOSYSTEM: "1" },
    ...{ GIT_AUTHOR_NAME: "Ann", GIT_AUTHOR_EMAIL: "ann@example.org" },
    ...{ GIT_COMMITTER_NAME: "Ann", GIT_COMMITTER_EMAIL: "ann@example.org", GIT_TERMINAL_PROMPT: "0" },
  };
  const from = shown.findIndex(({ words }) => words.includes("my-gate"));
  const [init, up, ...rest] = shown.slice(from, from + 7);
  const options = { env, cwd: home, deadlineMs: DEADLINE_MS };
  const made = await drover(init!.words.slice(1), options);
  expect(made.code, made.stderr).toBe(0);
  const [, user, token] = /^You are (\S+),[\s\S]*?(drover_\S+)/m.exec(made.stdout)!;
  writeFileSync(at.file("token"), token!);
  const running = startDrover(up!.words.slice(1), options);
  onTestFinished(() => running.kill());
  await until(
    "it is up",
    DEADLINE_MS,
    async () => (await answerOf(`http://127.0.0.1:${http}/readyz`)) === 200,
  );
  let cwd = home;
  const said: string[] = [];
  for (const { words } of rest) {
    if (words[1] === "commit") writeFileSync(join(cwd, "README.md"), "More.\n", { flag: "a" });
    const [program, ...args] = words.map((word) =>
      word.replace("$USER@localhost:4780", `${user}@127.0.0.1:${http}`),
    );
    const line = program === "drover" ? [process.execPath, BIN, ...args] : [program!, ...args];
    const { code, stdout, stderr } = await run(line, { ...options, cwd });
    expect(code, `${words.join(" ")}: ${stderr}`).toBe(0);
    said.push(stdout + stderr);
    if (words[1] === "clone") cwd = join(home, "sample");
  }
  expect(said.join("\n")).toContain("Change 1 is new");
  await until("it is merged", DEADLINE_MS, async () =>
    (await drover(["gate", "changes", "--state", "merged"], options)).stdout.includes("Say more"),
  );
});

async function answerOf(url: string): Promise<number | undefined> {
  return fetch(url).then(
    ({ status }) => status,
    () => undefined,
  );
}
