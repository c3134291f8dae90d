import { describe, expect, test } from "vitest";
import { folderOf, shyaml } from "../running.ts";

const object = (labels: string, image: string) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: blue${labels} }
spec: { template: { spec: { containers: [{ name: web, image: "${image}" }, { name: log, image: "${image}" }] } } }
`;

/** What differs between two manifests under a rule, as paths; the exit code. */
async function underRule(rule: string): Promise<{ paths: string[]; code: number | null; out: string }> {
  using folder = folderOf({
    "a.yaml": object("", "x:1"),
    "b.yaml": object(", labels: { helm.sh/chart: '2', app: web }", "x:2"),
    ".shyaml.yml": `ignore: [{ reason: it is so, ${rule} }]\n`,
  });
  const { code, out } = await shyaml(["diff", "a.yaml", "b.yaml"], { cwd: folder.path });
  return { code, out, paths: [...out.matchAll(/^ {2}(\S+) {2}/gm)].map(([, path]) => path!) };
}

const [LABELS, WEB, LOG] = [
  "metadata.labels",
  "spec.template.spec.containers[name=web].image",
  "spec.template.spec.containers[name=log].image",
];

describe("rules of what to ignore", () => {
  test.each([
    ["path: 'spec.template.spec.containers[name=web].image'", [LABELS, LOG]],
    ["path: 'spec.template.spec.containers[*].image'", [LABELS]],
    ["path: 'spec.template.spec.containers[*]'", [LABELS]],
    ["path: 'spec.template.spec.containers[0]'", [LABELS, LOG]],
    ["path: spec", [LABELS]],
    ["kind: Deployment.apps, path: spec", [LABELS]],
    ["kind: Deployment.example.com, path: spec", [LABELS, WEB, LOG]],
    ["name: 'we*', namespace: blue, path: spec", [LABELS]],
    ["namespace: green, path: spec", [LABELS, WEB, LOG]],
    ["path: 'metadata.lab*'", [WEB, LOG]],
    // A part of what was added as one.
    [`path: 'metadata.labels["helm.sh/*"]'`, [LABELS, WEB, LOG]],
  ])("{ %s } leaves %j", async (rule, left) => {
    const { paths, code } = await underRule(rule);
    expect(paths).toEqual(left);
    expect(code).toBe(1);
  });

  test("a part of what was added as one is not shown", async () => {
    const { out } = await underRule(`path: 'metadata.labels["helm.sh/*"]'`);
    expect(out).toContain("    + app: web\n");
    expect(out).not.toContain("helm.sh/chart");
    expect(out.match(/note: (.*)/)![1]).toBe('1 difference ignored (metadata.labels["helm.sh/*"]): it is so');
  });

  test("an object that is ignored whole makes no difference", async () => {
    expect(await underRule("kind: Deployment")).toMatchObject({ code: 0, out: "" });
  });

  test.each([
    ["reason: '', kind: A", "a rule says its reason"],
    ["reason: x, kinds: A", 'a rule has no "kinds"'],
    ["reason: x", "a rule has a kind, a name or a path"],
    ["reason: x, path: 'a[b'", "a path is as differences show it"],
  ])("{ %s } is refused: %s", async (rule, why) => {
    using folder = folderOf({ "a.yaml": "a: 1\n", ".shyaml.yml": `ignore:\n  - { ${rule} }\n` });
    const { code, err } = await shyaml(["diff", "a.yaml", "a.yaml"], { cwd: folder.path });
    expect(code).toBe(2);
    expect(err).toMatch(/\.shyaml\.yml:2:\d+: SETTING_INVALID/);
    expect(err).toContain(why);
  });
});
