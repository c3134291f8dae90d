import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeWith } from "../../../../test/peers/needs.ts";
import { run } from "../running.ts";
import { DEPLOYMENT, LAST_APPLIED, liveDeployment, Stage } from "./stage.ts";

const PASSWORD = "correct horse battery staple";
const OLD_PASSWORD = 'hunter2"hunter2\\\nsecond line of it';
const base64 = (text: string) => Buffer.from(text).toString("base64");

/** All forms of a secret that an output must not hold. */
const FORMS = [PASSWORD, OLD_PASSWORD].flatMap((text) => [
  text,
  base64(text),
  JSON.stringify(text).slice(1, -1),
  ...text.split("\n"),
]);

function expectNoSecret({ out, err }: { out: string; err: string }): void {
  for (const form of FORMS) {
    expect(out).not.toContain(form);
    expect(err).not.toContain(form);
  }
}

const SECRET = `apiVersion: v1
kind: Secret
metadata:
  name: login
stringData:
  password: ${PASSWORD}
`;

function liveSecret(): Record<string, unknown> {
  const remembered = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "login" },
    stringData: { password: OLD_PASSWORD },
  };
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: {
      name: "login",
      namespace: "default",
      annotations: { [LAST_APPLIED]: JSON.stringify(remembered) },
    },
    data: { password: base64(OLD_PASSWORD) },
  };
}

describeWith(["kubectl"], "kubediff with secrets", () => {
  test("never shows what a Secret holds, in no mode and no format, and shows that it changed", {
    timeout: 300_000,
  }, async () => {
    await using stage = await Stage.open({ "m.yaml": SECRET });
    stage.api.put(liveSecret());
    const modes = [[], ["--live"], ["--last-applied"], ["--live", "--three-way"]];
    for (const mode of modes) {
      const ran = await stage.kubediff(["m.yaml", ...mode]);
      expect(ran.code).toBe(1);
      expect(ran.out).toContain("data.password  changed");
      expect(ran.out).toContain("*** (before)");
      expectNoSecret(ran);
    }
    for (const format of ["json", "markdown", "github", "gitlab", "azure"]) {
      const ran = await stage.kubediff(["m.yaml", "--live", `--output=${format}`]);
      expect(ran.code).toBe(1);
      expect(ran.out).toContain("data.password");
      expectNoSecret(ran);
    }
    const shown = await stage.kubediff(["m.yaml", "--live", "--show-secrets"]);
    expect(shown.out).toContain(base64(PASSWORD));
  });

  test("never shows what a Secret holds in what kubectl and the cluster say of it", {
    timeout: 300_000,
  }, async () => {
    await using stage = await Stage.open({ "m.yaml": SECRET });
    const live = stage.api.put(liveSecret());
    const place = "/api/v1/namespaces/default/secrets/login";
    for (const said of [
      `Secret "login" is invalid: data: ${base64(PASSWORD)}, ${PASSWORD}, ${JSON.stringify(OLD_PASSWORD)}`,
    ]) {
      stage.api.refusals.set(`PATCH ${place}`, { status: 422, reason: "Invalid", message: said });
      const ran = await stage.kubediff(["m.yaml"]);
      expect(ran.code).toBe(2);
      expect(ran.err).toContain("applying Secret login as a dry run");
      expect(ran.err).toContain('Secret "login" is invalid: data: ***');
      expectNoSecret(ran);
    }
    stage.api.refusals.clear();
    stage.api.forbid("PATCH", live);
    const ran = await stage.kubediff(["m.yaml", "--server"]);
    expect(ran.err).toContain("it is forbidden");
    expectNoSecret(ran);
  });
});

describeWith(["kubectl"], "kubediff tells plainly", () => {
  test("that there is no kubectl, no server, no such context, or no configuration", {
    timeout: 300_000,
  }, async () => {
    const stage = await Stage.open({ "m.yaml": DEPLOYMENT });
    await using _ = stage;
    const missing = await stage.kubediff(["m.yaml", "--kubectl=no-such-kubectl"]);
    expect([missing.code, missing.out]).toEqual([2, ""]);
    expect(missing.err).toContain(
      "there is no program no-such-kubectl: install kubectl, or name it by --kubectl",
    );
    const context = await stage.kubediff(["m.yaml", "--context=nowhere"]);
    expect(context.code).toBe(2);
    expect(context.err).toContain("the configuration of kubectl does not do");
    const configuration = await stage.kubediff(["m.yaml", "--kubeconfig=no-such-file"]);
    expect(configuration.code).toBe(2);
    expect(configuration.err).toContain("the configuration of kubectl does not do");
    await stage.api.stop();
    const silent = await stage.kubediff(["m.yaml"]);
    expect(silent.code).toBe(2);
    expect(silent.err).toContain("the cluster was not reached");
  });

  test("that the cluster does not know the kind, unless the manifests define it", async () => {
    const tree = "apiVersion: forest.example.com/v1\nkind: Tree\nmetadata: {name: oak}\n";
    const known =
      "---\napiVersion: example.com/v1\nkind: Gateway\nmetadata: {name: edge}\n---\n" +
      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    await using stage = await Stage.open({ "m.yaml": tree + known });
    const { code, err, out } = await stage.kubediff(["m.yaml"]);
    expect(code).toBe(2);
    expect(err).toContain("getting Tree oak: the cluster does not know the kind");
    expect(out).toContain("Gateway edge added");
    const custom = `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: trees.forest.example.com}
spec: {group: forest.example.com, names: {kind: Tree, plural: trees}, versions: [{name: v1}]}
`;
    writeFileSync(join(stage.path, "m.yaml"), tree + custom);
    const defined = await stage.kubediff(["m.yaml"]);
    expect(defined.code).toBe(1);
    expect(defined.out).toContain("Tree oak added");
    expect(defined.out).toContain(
      "Tree oak: its kind is not in the cluster yet, so there was no dry run of it",
    );
  });

  test("that kubectl takes too long, and ends it", async () => {
    await using stage = await Stage.open({ "m.yaml": DEPLOYMENT, "slow.sh": "#!/bin/sh\nexec sleep 600\n" });
    chmodSync(join(stage.path, "slow.sh"), 0o755);
    const { code, err } = await stage.kubediff(["m.yaml", "--kubectl=./slow.sh", "--timeout=1"]);
    expect(code).toBe(2);
    expect(err).toContain("./slow.sh gave no answer in 1 s");
  });

  test("what is no object, with its place", async () => {
    await using stage = await Stage.open({
      "m.yaml": `${DEPLOYMENT}---\na: 1\n`,
      "g.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: x-}\n",
      "bad.yaml": "a: [1\n",
      "empty/a.yaml": "# nothing yet\n---\n",
    });
    const none = await stage.kubediff(["m.yaml"]);
    expect([none.code, none.out]).toEqual([2, ""]);
    expect(none.err).toContain("m.yaml:19:1: OBJECT_INVALID: this is no Kubernetes object");
    const unnamed = await stage.kubediff(["g.yaml"]);
    expect(unnamed.err).toContain("has generateName and no name");
    const bad = await stage.kubediff(["bad.yaml"]);
    expect(bad.code).toBe(2);
    expect(bad.err).toContain("bad.yaml:");
    const empty = await stage.kubediff(["empty"]);
    expect([empty.code, empty.out]).toEqual([2, ""]);
    expect(empty.err).toBe("shyaml: OBJECT_INVALID: there is no object in empty\n");
    expect(stage.api.requests).toEqual([]);
  });

  test("nothing of a kubectl that does not know of hidden managed fields", async () => {
    const old = `#!/bin/sh
case "$*" in *--show-managed-fields*) echo "Error: unknown flag: --show-managed-fields" >&2; exit 1;; esac
exec kubectl "$@"
`;
    await using stage = await Stage.open({ "m.yaml": DEPLOYMENT, "old.sh": old });
    chmodSync(join(stage.path, "old.sh"), 0o755);
    stage.api.put(liveDeployment());
    const { code } = await stage.kubediff(["m.yaml", "--live", "--kubectl=./old.sh"]);
    expect(code).toBe(0);
  });
});

describeWith(["kubectl"], "kubectl diff", () => {
  test("runs shyaml diff as its external tool, with its exit codes", async () => {
    await using stage = await Stage.open({
      "same.yaml": DEPLOYMENT,
      "m.yaml": DEPLOYMENT.replace("web:1", "web:2"),
    });
    const remembered = liveDeployment();
    stage.api.put(liveDeployment(remembered));
    const program = join(import.meta.dirname, "../../bin/shyaml.js");
    const diff = (file: string, flags = "") =>
      run("kubectl", ["diff", "-f", file, `--server=${stage.api.url}`], {
        cwd: stage.path,
        env: {
          ...stage.env,
          PATH: `${stage.path}/bin:${process.env.PATH}`,
          KUBECTL_EXTERNAL_DIFF: `shyaml diff${flags}`,
        },
      });
    // kubectl drops words with slashes in them, so the program has to be on the path.
    mkdirSync(join(stage.path, "bin"));
    writeFileSync(
      join(stage.path, "bin/shyaml"),
      `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`,
      { mode: 0o755 },
    );
    const changed = await diff("m.yaml");
    expect(changed.out).toContain("spec.template.spec.containers[name=web].image  changed");
    expect(changed.code).toBe(1);
    const json = await diff("m.yaml", " -o=json");
    expect(JSON.parse(json.out).version).toBe(1);
  });
});
