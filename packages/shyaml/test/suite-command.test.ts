import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import type { CommandLine } from "./many-commands.ts";
import { folderOf, type Ran, run } from "./running.ts";
import { ACCEPTED, CASES, INVALID, jsonValues, REFUSED, VALID } from "./suite-cases.ts";

/*
 * The commands on every case of the public test suite of YAML. What is expected to go wrong is listed, and the lists hold both
 * ways.
 */

/** Valid cases that have no JSON, as keys or values of theirs have none. */
const NOT_JSON = [
  "4FJ6",
  "6BFJ",
  "6PBE",
  "9MMW",
  "KK5P",
  "LX3P",
  "M2N8/0",
  "M2N8/1",
  "M5DY",
  "Q9WF",
  "RZP5",
  "SBG9",
  "V9D5",
  "X38W",
  "XW4D",
];
/** Valid cases that are left as they are, since in order they would say something else. */
const NOT_SORTED: readonly string[] = [];
/** No YAML 1.2, and YAML 1.1, which is what kubectl reads: there a directive holds for the documents behind as well. */
const YAML_11 = ["QLJ7"];
/** Valid cases without a document, in which there is nothing to compare with a cluster. */
const EMPTY = [
  "6XDY",
  "8G76",
  "98YD",
  "AVM7",
  "DK95/7",
  "HWV9",
  "MUS6/2",
  "MUS6/3",
  "MUS6/4",
  "MUS6/5",
  "MUS6/6",
  "QT73",
  "UKK6/2",
];

const MANY = resolve(import.meta.dirname, "many-commands.ts");
const fileOf = (label: string) => `${label.replace("/", "-")}.yaml`;

/** Runs all of the command lines where the cases are files, and `another.yaml` is none of them. */
async function runAll(lines: readonly CommandLine[], more: Record<string, string> = {}): Promise<Ran[]> {
  const cases = CASES.map(({ label, yaml }) => [fileOf(label), yaml] as const);
  using folder = folderOf({
    ...Object.fromEntries(cases),
    "another.yaml": "a document of another value\n",
    ...more,
  });
  const [commands, answers] = ["commands.json", "answers.json"].map((name) => join(folder.path, name));
  writeFileSync(commands!, JSON.stringify(lines));
  const ran = await run(process.execPath, [MANY, commands!, answers!], { cwd: folder.path });
  expect(ran).toEqual({ code: 0, out: "", err: "" });
  return JSON.parse(readFileSync(answers!, "utf8")) as Ran[];
}

const valid = VALID.filter(({ label }) => !REFUSED.includes(label));
const invalid = [...INVALID, ...VALID.filter(({ label }) => REFUSED.includes(label))].filter(
  ({ label }) => !ACCEPTED.includes(label),
);
const labelsOf = (ran: readonly Ran[], is: (one: Ran) => boolean, cases = valid) =>
  cases.filter((_, i) => is(ran[i]!)).map(({ label }) => label);

describe("every valid case of YAML's test suite", () => {
  test("json prints as the suite has it, from a file and from the standard input", async () => {
    const files = await runAll(valid.map(({ label }) => ({ args: ["json", fileOf(label)] })));
    expect(labelsOf(files, ({ code }) => code !== 0)).toEqual(NOT_JSON);
    for (const [i, { label, json }] of valid.entries()) {
      const { code, out, err } = files[i]!;
      if (code !== 0) {
        expect([code, out, json], label).toEqual([2, "", undefined]);
        expect(err, label).toMatch(/^shyaml: \S+:\d+:\d+: JSON_CANNOT_SAY: /);
        continue;
      }
      expect(err, label).toBe("");
      expect(jsonValues(out), label).toBeDefined();
      if (json !== undefined) expect(isDeepStrictEqual(jsonValues(out), jsonValues(json)), label).toBe(true);
    }
    const piped = await runAll(valid.map(({ label }) => ({ args: ["json"], input: fileOf(label) })));
    expect(piped.map(({ code, out }) => ({ code, out }))).toEqual(
      files.map(({ code, out }) => ({ code, out })),
    );
  });

  test("diff finds the same as itself, and not the same as another", async () => {
    const same = await runAll(
      valid.map(({ label }) => ({ args: ["diff", "-", fileOf(label), "--comments"], input: fileOf(label) })),
    );
    expect(same.filter((ran) => !isDeepStrictEqual(ran, { code: 0, out: "", err: "" }))).toEqual([]);
    const there = await runAll(valid.map(({ label }) => ({ args: ["diff", fileOf(label), "another.yaml"] })));
    const back = await runAll(valid.map(({ label }) => ({ args: ["diff", "another.yaml", fileOf(label)] })));
    for (const ran of [there, back]) {
      expect(labelsOf(ran, ({ code, out, err }) => code !== 1 || out === "" || err !== "")).toEqual([]);
    }
  });

  test("sortkeys sorts so that nothing is left to sort and nothing differs", async () => {
    const sorted = await runAll(valid.map(({ label }) => ({ args: ["sortkeys", fileOf(label)] })));
    expect(labelsOf(sorted, ({ code }) => code !== 0)).toEqual(NOT_SORTED);
    const rest = valid.filter(({ label }) => !NOT_SORTED.includes(label));
    const files = Object.fromEntries(
      rest.map(({ label }) => [
        `sorted-${fileOf(label)}`,
        sorted[valid.findIndex((one) => one.label === label)]!.out,
      ]),
    );
    for (const args of [
      (file: string) => ["diff", file, `sorted-${file}`],
      (file: string) => ["keysort", "-c", `sorted-${file}`],
    ]) {
      const ran = await runAll(
        rest.map(({ label }) => ({ args: args(fileOf(label)) })),
        files,
      );
      expect(ran.filter((one) => !isDeepStrictEqual(one, { code: 0, out: "", err: "" }))).toEqual([]);
    }
  });

  test("kubediff refuses, as it is no Kubernetes object, before it runs anything", async () => {
    const ran = await runAll(
      valid.map(({ label }) => ({ args: ["kubediff", fileOf(label), "--kubectl=there-is-none"] })),
    );
    expect(ran.filter(({ code, out }) => code !== 2 || out !== "")).toEqual([]);
    expect(labelsOf(ran, ({ err }) => err.includes("there is no object in"))).toEqual(EMPTY);
    const others = ran.filter(({ err }) => !err.includes("there is no object in"));
    for (const { err } of others) expect(err).toMatch(/^shyaml: \S+:\d+:\d+: [A-Z_]+: /);
    expect(new Set(others.map(({ err }) => / ([A-Z_]+): /.exec(err)![1]))).toEqual(
      new Set(["OBJECT_INVALID"]),
    );
  });
});

test("every case that is no YAML is refused by every command with file, line and column", async () => {
  const commands = (file: string): CommandLine[] => [
    { args: ["json", file] },
    { args: ["json"], input: file },
    { args: ["diff", file, "another.yaml"] },
    { args: ["diff", "another.yaml", "-"], input: file },
    { args: ["sortkeys", file] },
    { args: ["sortkeys", "--check", file] },
    { args: ["kubediff", file, "--kubectl=there-is-none"] },
  ];
  const lines = invalid.flatMap(({ label }) => commands(fileOf(label)));
  const ran = await runAll(lines);
  expect(invalid.length).toBe(94);
  for (const [i, { code, out, err }] of ran.entries()) {
    const { args, input } = lines[i]!;
    expect([code, out], args.join(" ")).toEqual([2, ""]);
    const file = input === undefined ? args.find((word) => /^[A-Z0-9]{4}/.test(word)) : "stdin";
    const isRead = args[0] === "kubediff" && YAML_11.some((label) => label === file?.slice(0, 4));
    const codes = isRead ? "OBJECT_INVALID" : "YAML_INVALID|KEY_DUPLICATE|ALIAS_RECURSIVE";
    expect(err, args.join(" ")).toMatch(new RegExp(`^shyaml: ${file}:\\d+:\\d+: (?:${codes}): .`));
  }
}, 120_000);
