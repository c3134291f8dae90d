import { describe, expect, test } from "vitest";
import { compareFiles, loadDocuments, type Subject } from "../src/index.ts";
import { changesOf, compare } from "./comparing.ts";

const deployment = (containers: string, name = "web") =>
  `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ${name}}\nspec:\n  template:\n    spec:\n      containers:\n${containers}`;

describe("values", () => {
  test("written in another way are the same", () => {
    const block = 'a: 1\nb: [x, "y"]\nc: |\n  t\n';
    const flow = '# comment\n{"c": "t\\n", "b": ["x", y], "a": 0x1}';
    expect(changesOf(block, flow)).toEqual([]);
    expect(changesOf("[1000, 1.0, -0]", "[1e3, 1, 0]")).toEqual([]);
  });

  test("of another type are told as such", () => {
    expect(changesOf('a: "1"\nb: [1]\nc: null\nd: 1\n', "a: 1\nb: {x: 1}\nc: ''\nd: 2\n")).toEqual([
      "type a",
      "type b",
      "type c",
      "modified d",
    ]);
    expect(changesOf("a: !Ref x\n", "a: !Sub x\n")).toEqual(["type a"]);
  });

  test("of many digits differ in the last one", () => {
    expect(changesOf("a: 12345678901234567890", "a: 12345678901234567891")).toEqual(["modified a"]);
    expect(changesOf("a: 0.1", "a: 0.10000000000000000000001")).toEqual(["modified a"]);
  });

  test("under keys that are no strings are compared", () => {
    expect(changesOf('{1: a, "1": b, true: c, [x]: d}', '{1: a, "1": c, true: c, [x]: e}')).toEqual([
      'modified ["1"]',
      'modified ["[\\"=x\\"]"]',
    ]);
  });
});

describe("lists", () => {
  test("are aligned by a longest common subsequence", () => {
    expect(changesOf("[a, b, c, d]", "[a, c, d, e]")).toEqual(["removed [1]", "added [3]"]);
    expect(changesOf("[--x=1, --y=2]", "[--x=1, --y=3]")).toEqual(["modified [1]"]);
  });

  test("tell what moved from what changed", () => {
    expect(changesOf("[alpha, beta, gamma, delta]", "[beta, gamma, delta, alpha]")).toEqual(["moved [0]"]);
    const before = "- {name: a, v: 1}\n- {name: b, v: 2}\n- {name: c, v: 3}\n";
    const after = "- {name: b, v: 2}\n- {name: c, v: 3}\n- {name: a, v: 9}\n";
    expect(changesOf(before, after)).toEqual(["moved [name=a]", "modified [name=a].v"]);
  });

  test("in quite another order are told as one change", () => {
    const report = compare("[a, b, c, d, e, f]", "[f, e, d, c, b, a]");
    expect(report.documents[0]!.changes).toMatchObject([
      {
        kind: "order",
        order: { before: ["a", "b", "c", "d", "e", "f"], after: ["f", "e", "d", "c", "b", "a"] },
      },
    ]);
    expect(changesOf("[a, b, c]", "[c, b, a]", { ignoreOrder: true })).toEqual([]);
    expect(changesOf("[a, b, c]", "[c, b, x]", { ignoreOrder: true })).toEqual(["modified [0]"]);
  });

  test("of maps are matched by name, key, id or a field that is unique, and the report says so", () => {
    const before = "- {port: 80, a: 1}\n- {port: 81, a: 1}\n- {port: 82, a: 1}\n";
    const after = "- {port: 82, a: 1}\n- {port: 80, a: 2}\n- {port: 81, a: 1}\n";
    expect(changesOf(before, after)).toEqual(["modified [port=80].a", "moved [port=82]"]);
    expect(compare(before, after).notes).toEqual(["items of . were told apart by port, which is a guess"]);
    expect(changesOf("[{id: 1, x: 1}]", "[{id: 2, x: 1}]")).toEqual(["removed [id=1]", "added [id=2]"]);
    const own = { identifiers: ["x.y"] };
    expect(changesOf("- {x: {y: 1}, v: 1}", "- {x: {y: 1}, v: 2}", own)).toEqual([
      'modified ["x.y"=1].v'.replaceAll('"', ""),
    ]);
  });

  test("of thousands of other values are compared in no time", () => {
    const list = (from: number) => Array.from({ length: 20_000 }, (_, i) => `- v${from + i}`).join("\n");
    const changes = changesOf(list(0), list(19_000));
    expect(changes).toHaveLength(38_000);
  });
});

describe("Kubernetes objects", () => {
  test("have their containers' ports matched by containerPort and protocol", () => {
    const ports = (text: string) => deployment(`        - name: web\n          ports:\n${text}`);
    const line = (port: number, protocol: string, name: string) =>
      `            - {containerPort: ${port}, protocol: ${protocol}, name: ${name}}\n`;
    expect(
      changesOf(
        ports(line(53, "TCP", "dns-tcp") + line(53, "UDP", "dns")),
        ports(`${line(53, "UDP", "dns")}            - {containerPort: 53, name: dns-new}\n`),
      ),
    ).toEqual([
      "moved spec.template.spec.containers[name=web].ports[containerPort=53,protocol=TCP]",
      "removed spec.template.spec.containers[name=web].ports[containerPort=53,protocol=TCP].protocol",
      "modified spec.template.spec.containers[name=web].ports[containerPort=53,protocol=TCP].name",
    ]);
  });

  test("are compared with their likes in whatever order and file they stand", () => {
    const object = (name: string, value: number) =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {v: "${value}"}\n`;
    const file = (text: string, path: string) => ({ file: loadDocuments(text, { name: path }), path });
    const before = [file(object("a", 1), "x.yaml"), file(object("b", 2), "y.yaml")];
    const after = [file(`${object("b", 3)}---\n${object("a", 1)}`, "z.yaml")];
    const { documents } = compareFiles(before, after);
    expect(documents.map(({ name, status }) => [name, status])).toEqual([["ConfigMap b", "changed"]]);
  });

  test("in a List are taken apart", () => {
    const item = (name: string, v: number) =>
      `{apiVersion: v1, kind: ConfigMap, metadata: {name: ${name}}, data: {v: "${v}"}}`;
    const list = `{apiVersion: v1, kind: List, items: [${item("a", 1)}, ${item("b", 2)}]}`;
    const files = `${item("b", 2)}\n---\n${item("a", 9)}\n`;
    expect(changesOf(list, files)).toEqual(["modified data.v"]);
    expect(compare(list, files).documents[0]!.before).toMatchObject({ item: 0 } satisfies Partial<Subject>);
  });

  test("that were renamed are compared, and told as renamed", () => {
    const web = deployment("        - {name: web, image: nginx, args: [a, b, c]}\n");
    const report = compare(web, web.replace("{name: web}\n", "{name: shop}\n"));
    expect(report.documents).toMatchObject([{ status: "renamed", changes: [{ kind: "modified" }] }]);
    expect(report.notes[0]).toMatch(/^Deployment web was taken for Deployment shop: \d+ % of their values/);
    const other = deployment("        - {name: other, image: redis, command: [x]}\n", "other");
    expect(changesOf(web, other)).toEqual(["removed Deployment web", "added Deployment other"]);
  });

  test("of another version of their group are one object", () => {
    const text = (version: string) => `apiVersion: ${version}\nkind: Ingress\nmetadata: {name: x}\n`;
    expect(changesOf(text("extensions/v1beta1"), text("networking.k8s.io/v1"))).toEqual([
      "modified apiVersion",
    ]);
  });

  test("have quantities compared by what they are worth where that is asked for", () => {
    const limits = (cpu: string) =>
      deployment(`        - name: web\n          resources: {limits: {cpu: ${cpu}}}\n`);
    expect(changesOf(limits("1000m"), limits('"1"'))).toHaveLength(1);
    expect(changesOf(limits("1000m"), limits('"1"'), { quantities: true })).toEqual([]);
    expect(changesOf(limits("1000m"), limits('"2"'), { quantities: true })).toHaveLength(1);
    expect(changesOf("a: 1000m", "a: 1", { quantities: true })).toEqual(["type a"]);
  });
});

describe("documents without a name", () => {
  test("are paired by what they hold and their order", () => {
    const before = "a: 1\nx: 1\n---\nb: 2\ny: 1\n---\nc: 3\n";
    const after = "a: 1\nx: 1\n---\nc: 3\n---\nd: 4\n";
    expect(changesOf(before, after)).toEqual(["removed a.yaml, document 2", "added b.yaml, document 3"]);
    expect(changesOf("a: 1\n---\nb: 2\n", "a: 2\n---\nb: 2\n")).toEqual(["modified a"]);
  });

  test("that are empty count for nothing", () => {
    expect(changesOf("---\n---\na: 1\n", "a: 1\n---\n")).toEqual([]);
    expect(changesOf("", "a: 1\n")).toEqual(["added b.yaml"]);
  });
});

describe("comments", () => {
  test("are compared where that is asked for", () => {
    const before = "# why\na: 1 # one\nb:\n  - x # old\n";
    const after = "# because\na: 1 # one\nb:\n  - x\n";
    expect(changesOf(before, after)).toEqual([]);
    expect(changesOf(before, after, { comments: true })).toEqual(["comment a", "comment b[0]"]);
  });
});
