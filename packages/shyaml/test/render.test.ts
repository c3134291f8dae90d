import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import {
  azureText,
  type DiffReport,
  githubText,
  gitlabText,
  markdownText,
  maskReport,
  REPORT_SCHEMA,
  reportJson,
  terminalText,
} from "../src/index.ts";
import { compare } from "./comparing.ts";
import { folderOf, shyaml } from "./running.ts";

const EVERYTHING = compare(
  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: x, b: 12345678901234567890, t: !Ref y, n: .nan}\nl: [1, 2, 3, 4, 5]\n---\ngone: 1\n",
  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: [x], b: 2, t: !Sub y, n: .inf, new: ~}\nl: [5, 4, 3, 2, 1] # now\n",
  { comments: true },
);

describe("the terminal's form", () => {
  test("is plain where it is no terminal, and wraps where it is told to", () => {
    const report = compare(`a: ${"x".repeat(60)}`, `a: ${"y".repeat(60)}`);
    expect(terminalText(report)).toBe(
      `a.yaml  a.yaml:1 → b.yaml:1\n  a  changed  1 → 1\n    - ${"x".repeat(60)}\n    + ${"y".repeat(60)}\n\n1 difference in 1 of 1 document\n`,
    );
    const lines = terminalText(report, { width: 40 }).split("\n");
    expect(lines).toContain(`    - ${"x".repeat(34)}`);
    expect(lines).toContain(`      ${"x".repeat(26)}`);
    expect(Math.max(...lines.map((line) => line.length))).toBe(40);
  });

  test("is coloured where that is asked for, and never where NO_COLOR is set", async () => {
    using folder = folderOf({ "a.yaml": "a: 1\n", "b.yaml": "a: 2\n" });
    const out = async (flags: string[], env: Record<string, string>) =>
      (await shyaml(["diff", "a.yaml", "b.yaml", ...flags], { cwd: folder.path, env })).out;
    expect(await out([], { NO_COLOR: "", FORCE_COLOR: "0" })).not.toContain("\u001b");
    expect(await out([], { NO_COLOR: "", FORCE_COLOR: "1" })).toContain("\u001b[31m    - 1\u001b[39m");
    expect(await out([], { NO_COLOR: "1", FORCE_COLOR: "1" })).not.toContain("\u001b");
    expect(await out(["--color=always"], { NO_COLOR: "1" })).toContain("\u001b[32m");
  });

  test("lets no value play with the terminal", () => {
    const text = terminalText(compare('"k\\e[2J": 1', '"k\\e[2J": "\\e]0;x\\a\\u202e"'));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    expect(text).toContain("\\u202e");
  });

  test("shows of long texts the lines that differ, and of long values as many lines as asked for", () => {
    const lines = Array.from({ length: 30 }, (_, i) => `line ${i}`);
    const block = (text: readonly string[]) => `a: |\n${text.map((line) => `  ${line}\n`).join("")}`;
    const text = terminalText(compare(block(lines), block(lines.with(15, "other"))));
    expect(text).toContain(
      "      … 13 equal lines\n      line 13\n      line 14\n    - line 15\n    + other\n      line 16\n",
    );
    const added = compare("a: 1", `a: 1\nb: [${lines.map((line) => `"${line}"`).join()}]`);
    expect(terminalText(added, { maxValueLines: 3 })).toContain("    … 27 more lines\n");
    expect(terminalText(compare("a: |\n  x\n  y\n", "a: |-\n  x\n  y\n"))).toContain(
      '(no end of line after "y")',
    );
  });
});

describe("the JSON form", () => {
  test("is as its schema says, with every digit", () => {
    const validate = new Ajv({ allErrors: true }).compile(REPORT_SCHEMA);
    for (const report of [EVERYTHING, compare("", ""), compare("[1, 2]", "[2, 1]")]) {
      const text = reportJson(report);
      expect(validate(JSON.parse(text)) || validate.errors).toBe(true);
    }
    expect(reportJson(EVERYTHING)).toContain('"value": 12345678901234567890');
    const { version, documents } = JSON.parse(reportJson(EVERYTHING));
    expect(version).toBe(1);
    expect(documents.map(({ status }: { status: string }) => status)).toEqual(["changed", "removed"]);
    expect(documents[0].changes).toMatchObject([
      {
        kind: "type",
        path: "data.a",
        before: { line: 4, pointer: "/data/a", value: "x" },
        after: { value: ["x"] },
      },
      { kind: "modified", path: "data.b" },
      { kind: "type", before: { value: { $tag: "!Ref", $value: "y" } } },
      { kind: "modified", before: { value: { $yaml: ".nan" } }, after: { value: { $yaml: ".inf" } } },
      { kind: "added", path: "data.new", after: { value: null } },
      { kind: "comment", after: { comment: "now" } },
      { kind: "order", path: "l", before: { order: ["1", "2", "3", "4", "5"] } },
    ]);
  });
});

describe("the Markdown form", () => {
  const many = (count: number, lines: number): DiffReport => {
    const value = Array.from({ length: lines }, (_, i) => `l${i}: |\n  \`\`\`\`\n  <b>${i}</b>\n`).join("");
    const text = (more: string) =>
      Array.from(
        { length: count },
        (_, i) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "c|${i}"}\ndata:\n  x: ${more}\n`,
      ).join("---\n");
    return compare(text("1"), `${text("2")}---\n${value}`);
  };

  test("has a table, and a fold for each document", () => {
    const text = markdownText(many(2, 1), 65_536);
    expect(text).toContain(
      "**3 differences in 3 of 3 documents**\n\n| document | differences | |\n|---|--:|---|\n",
    );
    expect(text).toContain("| ConfigMap c&#124;0 | 1 | 1 modified |\n");
    expect(text).toContain("```diff\n@@ data.x @@ changed, line 5 → 5\n- 1\n+ 2\n```\n\n</details>\n");
    // A fence that the value cannot close.
    expect(text).toContain("`````diff\n+ l0: |\n+   ````\n");
  });

  test("is never longer than its cap, counts what it leaves out, and closes what it opened", () => {
    const small = many(2, 1);
    for (const report of [small, many(3, 40_000), many(700, 1), many(4_000, 1)]) {
      for (const cap of [1_000, 5_000, 65_536]) {
        const text = markdownText(report, cap);
        expect(text.length).toBeLessThanOrEqual(cap);
        expect(text.split("<details>").length).toBe(text.split("</details>").length);
        const fences = text.match(/^`{3,}/gm) ?? [];
        expect(fences.length % 2).toBe(0);
        if (report !== small) expect(text).toMatch(/… \d+ more (?:lines|documents? differ)/);
      }
    }
  });

  test("of a cap that holds nothing is refused", async () => {
    using folder = folderOf({ "a.yaml": "a: 1\n", "b.yaml": "a: 2\n" });
    const args = ["diff", "a.yaml", "b.yaml", "-o=markdown"];
    expect((await shyaml([...args, "--max-chars=999"], { cwd: folder.path })).code).toBe(2);
    expect((await shyaml([...args, "--max-chars=1000"], { cwd: folder.path })).code).toBe(1);
  });
});

describe("annotations", () => {
  const report = compare("a: 1\n\nb: x\n", 'a: "50%, done: now\\n"\n');

  test("are GitHub's commands, with the lines of both files", () => {
    expect(githubText(report)).toBe(
      "::warning file=b.yaml,line=1,col=1,title=a.yaml%3A a::a type changed (a.yaml:1 → b.yaml:1)%0A- 1%0A+ |%0A+ 50%25, done: now\n" +
        "::warning file=a.yaml,line=3,col=1,title=a.yaml%3A b::b removed (a.yaml:3)%0A- x\n",
    );
  });

  test("are Azure's commands and GitLab's report", () => {
    expect(azureText(report)).toContain(
      "##vso[task.logissue type=warning;sourcepath=a.yaml;linenumber=3;columnnumber=1;]a.yaml: b: b removed",
    );
    expect(JSON.parse(gitlabText(report))).toMatchObject([
      {
        severity: "info",
        location: { path: "b.yaml", lines: { begin: 1 } },
        fingerprint: expect.any(String),
      },
      { location: { path: "a.yaml", lines: { begin: 3 } } },
    ]);
  });
});

describe("Secrets", () => {
  const secret = (password: string, more = "") =>
    `apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{"p": "${password}"}'\ndata:\n  # was ${password}\n  p: ${Buffer.from(password).toString("base64")}\nstringData: {q: ${password}, l: [{name: ${password}, v: ${password}}], kind: Secret, o: {kind: Secret, o: ${password}}}\n${more}`;
  const [one, other] = ["hunter1", "hunter2"];
  const hidden = [one, other].flatMap((word) => [word, Buffer.from(word).toString("base64")]);
  const list = (text: string) =>
    `apiVersion: v1\nkind: List\nitems:\n  -\n${text.replace(/^/gm, "    ")}\n  - {kind: Odd}\n`;
  const ownList = (text: string) =>
    `apiVersion: v1\nkind: SecretList\nitems:\n  -\n${text.replace("kind: Secret\n", "").replace(/^/gm, "    ")}\n`;

  test("show in no form what they hold, and that it changed", () => {
    const reports = [
      compare(secret(one), secret(other), { comments: true }),
      compare("", secret(other)),
      compare(secret(one), ""),
      compare(list(secret(one)), list(secret(other)), { comments: true }),
      compare(ownList(secret(one)), ownList(secret(other)), { comments: true }),
      compare("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", secret(other)),
      compare(`apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: ${one}\n`, secret(other)),
    ];
    for (const report of reports) {
      const masked = maskReport(report);
      expect(terminalText(masked)).toContain("***");
      const texts = [
        terminalText(masked),
        reportJson(masked),
        markdownText(masked, 65_536),
        githubText(masked),
        azureText(masked),
        gitlabText(masked),
      ];
      for (const text of texts) {
        for (const word of hidden) expect(text).not.toContain(word);
      }
    }
    expect(terminalText(maskReport(reports[0]!))).toContain(
      'data.p  changed  9 → 9\n    - "*** (before)"\n    + "*** (after)"\n',
    );
    expect(terminalText(reports[0]!)).toContain(hidden[1]);
  });

  test("are shown by the command only with its flag", async () => {
    using folder = folderOf({ "a.yaml": secret(one), "b.yaml": secret(other) });
    for (const format of ["terminal", "json", "markdown", "github", "gitlab", "azure", "json-patch"]) {
      const run = (...flags: string[]) =>
        shyaml(["diff", "a.yaml", "b.yaml", `-o=${format}`, ...flags], { cwd: folder.path });
      const { out, err, code } = await run();
      expect(code).toBe(format === "json-patch" ? 2 : 1);
      for (const word of hidden) expect(out + err).not.toContain(word);
      expect((await run("--show-secrets")).out).toContain(other);
    }
  });
});
