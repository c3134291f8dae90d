import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { droverProgram } from "../src/program.ts";
import { pages, ROOT, RUN_WHOLE, shownIn } from "./documented.ts";
import { run } from "./running.ts";

/* Every command that the documentation shows is understood, and run by a test. */

const all = pages.flatMap(shownIn);
const ours = all.filter(({ words }) => words[0] === "drover");
const textOf = (file: string): string => readFileSync(join(ROOT, file), "utf8");

/** The command that words name, and the words after its name. */
function commandOf(words: readonly string[]): { path: string[]; command: Command; rest: string[] } {
  let command = droverProgram();
  const path: string[] = [];
  const rest = words.slice(1);
  for (;;) {
    const next = command.commands.find((one) => one.name() === rest[0] || one.aliases().includes(rest[0]!));
    if (next === undefined) return { path, command, rest };
    command = next;
    path.push(rest.shift()!);
  }
}

/** Commands that do something themselves. */
function leaves(command: Command, path: readonly string[] = []): string[] {
  const below = command.commands.flatMap((sub) => leaves(sub, [...path, sub.name()]));
  return below.length === 0 || command.registeredArguments.length > 0 ? [path.join(" "), ...below] : below;
}

/** What the parser says of a command line: nothing is run. */
function complaintOf(words: readonly string[]): string | undefined {
  const program = droverProgram();
  const disarm = (command: Command): void => {
    command.action(() => {}).configureOutput({ writeErr: () => {}, writeOut: () => {} });
    for (const sub of command.commands) disarm(sub);
  };
  disarm(program);
  try {
    program.parse(words.slice(1), { from: "user" });
    return undefined;
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string };
    return code === "commander.helpDisplayed" ? undefined : message;
  }
}

const isFlag = (word: string): boolean => /^--?[a-zA-Z]/.test(word);
const flagOf = (word: string): string => word.split("=")[0]!.replace(/[\][,.:]+$/, "");

test("what is shown is found: shell blocks of every page, and commands in sentences", () => {
  expect(ours.filter(({ isWhole }) => isWhole).length).toBeGreaterThan(40);
  expect(ours.filter(({ isWhole }) => !isWhole).length).toBeGreaterThan(60);
});

test("a page that is run whole is read by its test", () => {
  for (const [page, file] of Object.entries(RUN_WHOLE)) expect(textOf(file)).toContain(page);
});

describe("the program knows", () => {
  const whole = ours.filter(({ isWhole }) => isWhole);
  test.each(whole.map(({ page, text, words }) => [page, text, words] as const))(
    "%s: %s",
    (_, text, words) => {
      expect(complaintOf(words), text).toBeUndefined();
    },
  );

  test.each(
    ours.filter(({ isWhole }) => !isWhole).map(({ page, text, words }) => [page, text, words] as const),
  )("the command and the options of %s: %s", (_, text, words) => {
    const { command, rest } = commandOf(words);
    const [first] = rest;
    if (command.commands.length > 0 && first !== undefined && !isFlag(first))
      expect(
        command.registeredArguments.length,
        `${text}: ${command.name()} has no command ${first}`,
      ).toBeGreaterThan(0);
    const known = new Set(["--help", "-h"]);
    for (let at: Command | null = command; at !== null; at = at.parent)
      for (const { long, short } of at.options)
        for (const one of [long, short]) if (one != null) known.add(one);
    for (const flag of rest
      .map((word) => word.replace(/^\[/, ""))
      .filter(isFlag)
      .map(flagOf))
      expect([...known], text).toContain(flag);
  });
});

const CLI = "packages/cli/test";
/** Tests that run each command. After `#` is how they do, where it is not by its words one after the other. */
const RUN_BY: Readonly<Record<string, readonly string[]>> = {
  up: [`${CLI}/watching.test.ts`, `${CLI}/store.test.ts`],
  serve: [
    `${CLI}/serve.test.ts`,
    `${CLI}/flags.test.ts`,
    `${CLI}/tls.test.ts`,
    `${CLI}/auth.test.ts`,
    `${CLI}/store.test.ts`,
    'test/integration/fleet/processes.ts#["--peer", `',
    'test/gate/separate-gate.ts#documented("serve")',
  ],
  "demo herd": [`${CLI}/watching.test.ts`],
  "demo gate": [`${CLI}/gate-demo.test.ts`],
  submit: [`${CLI}/tools.test.ts`],
  work: [`${CLI}/tools.test.ts`],
  status: [`${CLI}/admin.test.ts`, "test/integration/fleet.test.ts"],
  top: [`${CLI}/watching.test.ts`],
  plan: [`${CLI}/plan/command.test.ts`],
  "admin jobs": [`${CLI}/admin.test.ts#admin("jobs"`],
  "admin functions": [`${CLI}/admin.test.ts#"functions")`],
  "admin pause": [`${CLI}/admin.test.ts#admin("pause"`],
  "admin resume": [`${CLI}/admin.test.ts#admin("resume"`],
  "admin max-queue": [`${CLI}/admin.test.ts#admin("max-queue"`],
  "admin cancel": [`${CLI}/admin.test.ts#admin("cancel"`],
  "admin counts": [`${CLI}/store.test.ts#"counts"`],
  "admin deadletters list": [`${CLI}/admin.test.ts#letters("list"`],
  "deadletters list": [`${CLI}/admin.test.ts#short("list"`],
  "admin deadletters show": [`${CLI}/admin.test.ts#letters("show"`],
  "deadletters show": [`${CLI}/admin.test.ts#short("show"`],
  "admin deadletters requeue": [`${CLI}/admin.test.ts#letters("requeue"`],
  "deadletters requeue": [`${CLI}/admin.test.ts#short("requeue"`],
  "admin deadletters delete": [`${CLI}/admin.test.ts#letters("delete"`],
  "deadletters delete": [`${CLI}/admin.test.ts#short("delete"`],
  "token create": [`${CLI}/auth.test.ts`, "test/integration/fleet.test.ts"],
  "token list": [`${CLI}/auth.test.ts`],
  "token revoke": [`${CLI}/auth.test.ts`],
  backup: [`${CLI}/backup.test.ts`],
  "backup verify": [`${CLI}/backup.test.ts`],
  restore: [`${CLI}/backup.test.ts`],
  "import gearmand-sqlite": [`${CLI}/backup.test.ts`],
  drill: [`${CLI}/drill.test.ts`],
  "gate init": [`${CLI}/gate.test.ts`, "test/gate/backup.test.ts"],
  "gate up": [`${CLI}/gate.test.ts`, 'test/gate/separate-gate.ts#documented("gate up")'],
  "gate executor": ["test/gate/separate-gate.ts#documented(`gate "],
  "gate merger": ["test/gate/separate-gate.ts#documented(`gate "],
  "gate workers": ["test/gate/processes.test.ts"],
  "gate backup": ["test/gate/backup.test.ts"],
  "gate try": [`${CLI}/gate-try.test.ts`],
  "gate replay": [`${CLI}/gate.test.ts`],
  "gate config check": [`${CLI}/gate.test.ts`],
  "gate config problems": [`${CLI}/gate.test.ts`],
  "gate status": [`${CLI}/gate.test.ts`],
  "gate changes": [`${CLI}/gate.test.ts`],
  "gate show": [`${CLI}/gate.test.ts`],
  "gate explain": [`${CLI}/gate.test.ts`],
  "gate builds": [`${CLI}/gate.test.ts`],
  "gate semaphores": [`${CLI}/gate.test.ts`],
  "gate encrypt": [`${CLI}/gate.test.ts`],
  "gate autohold": [`${CLI}/gate.test.ts`, "test/gate/autohold-elsewhere.test.ts"],
  "gate autohold-list": [`${CLI}/gate.test.ts`],
  "gate autohold-info": [`${CLI}/gate.test.ts`],
  "gate autohold-delete": [`${CLI}/gate.test.ts`],
  "gate held-shell": [`${CLI}/gate.test.ts`],
  "gate outbox": [`${CLI}/gate.test.ts`],
  "gate flakes": [`${CLI}/gate.test.ts`],
  "gate log": [`${CLI}/gate.test.ts`],
  "gate approve": [`${CLI}/gate.test.ts`],
  "gate unapprove": [`${CLI}/gate.test.ts`],
  "gate abandon": [`${CLI}/gate.test.ts`],
  "gate restore": [`${CLI}/gate.test.ts`],
  "gate comment": [`${CLI}/gate.test.ts`],
  "gate enqueue": [`${CLI}/gate.test.ts`],
  "gate dequeue": [`${CLI}/gate.test.ts`],
  "gate promote": [`${CLI}/gate.test.ts`],
  "gate freeze": [`${CLI}/gate.test.ts`],
  "gate thaw": [`${CLI}/gate.test.ts`],
  "gate reconfigure": [`${CLI}/gate.test.ts`],
  "gate pause": [`${CLI}/gate.test.ts`],
  "gate unpause": [`${CLI}/gate.test.ts`],
  "gate project add": [`${CLI}/gate.test.ts`],
  "gate project import": [`${CLI}/gate.test.ts`],
  "gate user add": [`${CLI}/gate.test.ts`, "test/gate/processes.test.ts"],
  "gate user remove": [`${CLI}/gate.test.ts`],
  "yaml json": [`${CLI}/yaml.test.ts`],
  "yaml diff": [`${CLI}/yaml.test.ts`],
  "yaml git-diff": ['packages/shyaml/test/git.test.ts#shyaml(["git-diff"'],
  "yaml install-git-driver": ['packages/shyaml/test/git.test.ts#shyaml(["install-git-driver"'],
  "yaml sortkeys": ['packages/shyaml/test/sort/command.test.ts#shyaml(["sortkeys"'],
  "yaml kubediff": ['packages/shyaml/test/suite-command.test.ts#["kubediff"'],
  "config check": [`${CLI}/config.test.ts`],
  "config show": [`${CLI}/config.test.ts`],
  completion: [`${CLI}/completion.test.ts`],
};

/** Commands of shell blocks that a test reads from the page and runs with all of their options. */
function isRunAsWritten(name: string): boolean {
  return (RUN_BY[name] ?? []).some((place) => place.includes("#documented("));
}

/** Whether a test calls a command. */
function calls(place: string, path: readonly string[]): boolean {
  const [file, how] = place.split("#") as [string, string?];
  const text = textOf(file);
  if (how !== undefined) return text.includes(how);
  const words = path[0] === "gate" && path.length > 1 ? path.slice(1) : path;
  const literals = words.map((word) => `"${word}"`).join(",\\s*");
  return new RegExp(`[(\\[]\\s*(?:"gate",\\s*)?${literals}`).test(text);
}

describe("a test runs", () => {
  const names = leaves(droverProgram());

  test("each command of the program, and no other is listed", () => {
    expect(Object.keys(RUN_BY).toSorted()).toEqual(names.toSorted());
  });

  test.each(names)("drover %s", (name) => {
    const files = RUN_BY[name] ?? [];
    for (const file of files) expect(calls(file, name.split(" ")), `${file} does not call it`).toBe(true);
  });

  const shown = ours.filter(
    ({ page, words, isWhole }) =>
      RUN_WHOLE[page] === undefined && !(isWhole && isRunAsWritten(commandOf(words).path.join(" "))),
  );
  const flags = new Map<string, Set<string>>();
  for (const { words } of shown) {
    const { path, rest } = commandOf(words);
    const seen = flags.get(path.join(" ")) ?? new Set();
    for (const word of rest.map((one) => one.replace(/^\[/, "")).filter(isFlag)) seen.add(flagOf(word));
    flags.set(path.join(" "), seen);
  }
  test.each([...flags].filter(([, seen]) => seen.size > 0))(
    "drover %s with each option that is shown",
    (name, seen) => {
      const texts = (RUN_BY[name] ?? []).map((place) => textOf(place.split("#")[0]!)).join("\n");
      const { options } = commandOf(["drover", ...name.split(" ")]).command;
      const isRun = (flag: string): boolean => {
        const same = options.find(({ long, short }) => long === flag || short === flag);
        return [flag, same?.long, same?.short].some(
          (one) => one != null && new RegExp(`["' ]${one}["' =\`]`).test(texts),
        );
      };
      expect(
        [...seen].filter((flag) => flag !== "--help" && !isRun(flag)),
        name,
      ).toEqual([]);
    },
  );
});

/** Without them no test of the repository runs. */
const BEGINNING = ["npm ci", "npm test", "npm run check"];
/** What is no command of ours: the test that runs it, and how. */
const OTHERS: Readonly<Record<string, readonly [file: string, how: string]>> = {
  "npm start": [`${CLI}/watching.test.ts`, '["up"'],
  "npm run sim -- --seed 42": [`${CLI}/documented.test.ts`, '["run", "sim", "--", "--seed", "42"]'],
  "npm run crash": ["test/crash/crash.test.ts", "playCrashes("],
  "npm run bench": [`${CLI}/documented.test.ts`, '["run", "bench", "--", "--help"]'],
  "node examples/storefront/main.ts": ["test/integration/storefront.test.ts", "examples/storefront/main.ts"],
  "node examples/kubediff/main.ts": ["test/integration/kubediff.test.ts", "examples/kubediff/main.ts"],
};

describe("of the other commands that are shown", () => {
  const others = all.filter(({ page, words }) => words[0] !== "drover" && RUN_WHOLE[page] === undefined);
  const { scripts } = JSON.parse(textOf("package.json")) as { scripts: Record<string, string> };

  test.each(others.map(({ page, words }) => [page, words.join(" "), words] as const))(
    "%s: %s",
    (page, line, words) => {
      const script = words[0] !== "npm" ? undefined : words[1] === "run" ? words[2] : words[1];
      if (script !== undefined && script !== "ci") expect(Object.keys(scripts)).toContain(script);
      if (BEGINNING.includes(line)) return;
      const isOfReadme = page === "README.md" && (words[0] === "curl" || words[0] === "git");
      const [file, how] = isOfReadme
        ? [`${CLI}/readme.test.ts`, 'shownIn("README.md")']
        : (OTHERS[line] ?? []);
      expect(file, `no test is known to run: ${line}`).toBeDefined();
      expect(textOf(file!)).toContain(how);
    },
  );

  test("the bench says what it measures; its programs are measured by hand", async () => {
    const { code, stdout } = await run(["npm", ...["run", "bench", "--", "--help"]], { cwd: ROOT });
    expect([code, stdout]).toEqual([0, expect.stringContaining("--quick")]);
  });

  test("one simulated world is played by its seed", { timeout: 240_000 }, async () => {
    const { code, stdout, stderr } = await run(["npm", ...["run", "sim", "--", "--seed", "42"]], {
      cwd: ROOT,
      deadlineMs: 200_000,
    });
    expect(code, stdout + stderr).toBe(0);
  });
});
