import { chmodSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadDocuments } from "../../src/document/load.ts";
import { MAX_IGNORE_RULES, readIgnoreRules } from "../../src/kube/ignore.ts";
import { Kubectl } from "../../src/kube/kubectl.ts";
import { Secrets } from "../../src/kube/redact.ts";
import { folderOf } from "../running.ts";

const object = { apiVersion: "v1", kind: "ConfigMap", name: "a", namespace: "" };

describe("limits of kubediff", () => {
  test("an answer of kubectl is not longer than its limit", async () => {
    using folder = folderOf({ "long.sh": "#!/bin/sh\nexec cat /dev/zero\n" });
    const program = join(folder.path, "long.sh");
    chmodSync(program, 0o755);
    const kubectl = new Kubectl({ program, maxOutputBytes: 100_000 });
    await expect(kubectl.get(object)).rejects.toThrow("answered with more than 100000 bytes");
  });

  test("rules of what to ignore are not more than their limit", () => {
    const text = `${"- {kind: A, reason: b}\n".repeat(MAX_IGNORE_RULES + 1)}`;
    const { documents, source } = loadDocuments(text, { name: "rules" });
    expect(() => readIgnoreRules({ node: documents[0]!.root, source })).toThrow(
      /ignore has more than 1000 rules/,
    );
  });
});

describe("what Secrets hold", () => {
  test("is taken out of a text, plain, encoded and escaped, and short words only whole", () => {
    const secrets = new Secrets();
    const manifest = `{apiVersion: v1, kind: Secret, stringData: {a: 'p"w', b: x1}, data: {c: ${btoa("long enough")}}}`;
    secrets.add(loadDocuments(manifest, { name: "m" }).documents[0]!.root);
    secrets.add(loadDocuments("{kind: ConfigMap, data: {d: shown}}", { name: "m" }).documents[0]!.root);
    const text = `p"w p\\"w ${btoa('p"w')} x1 x12 ${btoa("x1")} long enough ${btoa("long enough")} shown`;
    expect(secrets.redact(text)).toBe("*** *** *** *** x12 *** *** *** shown");
  });
});
