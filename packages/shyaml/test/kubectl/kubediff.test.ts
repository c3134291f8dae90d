import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeWith } from "../../../../test/peers/needs.ts";
import { DEPLOYMENT, LAST_APPLIED, liveDeployment, Stage } from "./stage.ts";

const configMap = (data: Record<string, string>, name = "settings") => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default" },
  data,
});

describeWith(["kubectl"], "kubediff against an API server", () => {
  test("shows what a dry run would change, from the server to the manifest, and changes nothing", async () => {
    await using stage = await Stage.open({ "m.yaml": DEPLOYMENT.replace("web:1", "web:2") });
    stage.api.put(liveDeployment());
    const { code, out, err } = await stage.kubediff(["m.yaml"]);
    expect(err).toBe("");
    expect(out).toContain("spec.template.spec.containers[name=web].image  changed");
    expect(out).toContain("    - web:1\n    + web:2\n");
    expect(out).toContain("1 difference in 1 of 1 document");
    expect(out).toContain("1 object compared with what a dry run on the server gives");
    expect(code).toBe(1);
    const writes = stage.api.requests.filter(({ method }) => method !== "GET");
    expect(writes.map(({ method }) => method)).toEqual(["PATCH"]);
    expect(writes.every(({ query }) => query.get("dryRun") === "All")).toBe(true);
  });

  test("of what is as the manifest has it says so, by what it was compared, and exits with 0", async () => {
    await using stage = await Stage.open({ "m.yaml": DEPLOYMENT });
    stage.api.put(liveDeployment());
    const server = await stage.kubediff(["m.yaml"]);
    expect([server.code, server.out]).toEqual([0, ""]);
    expect(server.err).toContain("1 object compared with what a dry run on the server gives");
    // Without what the cluster adds of its own accord, and with quantities compared by what they are worth.
    const live = await stage.kubediff(["m.yaml", "--live"]);
    expect([live.code, live.out]).toEqual([0, ""]);
    expect(live.err).toContain("1 object compared with what the cluster has");
  });

  test("falls back to what the cluster has where a dry run is forbidden, and says which", async () => {
    await using stage = await Stage.open({ "m.yaml": DEPLOYMENT.replace("web:1", "web:2") });
    stage.api.forbid("PATCH", stage.api.put(liveDeployment()));
    const fallen = await stage.kubediff(["m.yaml"]);
    expect(fallen.code).toBe(1);
    expect(fallen.out).toContain("    - web:1\n    + web:2\n");
    expect(fallen.out).toContain(
      "Deployment web was compared with what the cluster has, for a dry run is forbidden",
    );
    const asked = await stage.kubediff(["m.yaml", "--server"]);
    expect(asked.code).toBe(2);
    expect(asked.err).toContain("KUBECTL_FAILED: applying Deployment web as a dry run: it is forbidden");
  });

  test("shows what is not in the cluster as new", async () => {
    await using stage = await Stage.open();
    const { code, out } = await stage.kubediff(["-o=json", "--live"], JSON.stringify(configMap({ a: "1" })));
    const report = JSON.parse(out);
    expect(report.documents).toMatchObject([{ status: "added", name: "ConfigMap default/settings" }]);
    expect(report.notes).toEqual(["1 object not in the cluster"]);
    expect(code).toBe(1);
    expect(stage.api.requests.filter(({ method }) => method !== "GET")).toEqual([]);
  });

  test("shows what is new as a dry run would make it, without defaults, and what is not taken of it", async () => {
    const manifest =
      "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}], prots: [{port: 81}]}\n";
    await using stage = await Stage.open({ "m.yaml": manifest });
    stage.api.admit = (object) => {
      const { metadata, spec } = object as Record<string, Record<string, unknown>>;
      const { prots: _, ...known } = spec!;
      return {
        ...object,
        metadata: { ...metadata, namespace: "default", uid: "1", labels: { admitted: "yes" } },
        spec: { ...known, clusterIP: "10.0.0.1", type: "ClusterIP", ports: [{ port: 80, protocol: "TCP" }] },
      };
    };
    for (const flags of [[], ["--server-side"]]) {
      const { code, out } = await stage.kubediff(["m.yaml", ...flags]);
      expect(code).toBe(1);
      expect(out).toContain("Service web added  m.yaml:1\n");
      expect(out).toContain("admitted: ");
      for (const noise of ["10.0.0.1", "ClusterIP", "TCP", "uid", "namespace", "last-applied", "prots:"])
        expect(out).not.toContain(noise);
      expect(out).toContain(
        "note: Service web: spec.prots is in the manifest, and the cluster does not take it",
      );
      const writes = stage.api.requests.splice(0).filter(({ method }) => method !== "GET");
      expect(writes.map(({ query }) => query.get("dryRun"))).toEqual(["All"]);
    }
  });

  test("tells of a new object what the cluster refuses, and where there can be no dry run of it", async () => {
    const map = (namespace: string) =>
      `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ${namespace}}\n`;
    const namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: blue}\n";
    await using stage = await Stage.open({ "m.yaml": map("blue"), "both.yaml": map("blue") + namespace });
    const place = "POST /api/v1/namespaces/blue/configmaps";
    stage.api.refusals.set(place, { status: 422, reason: "Invalid", message: 'ConfigMap "a" is invalid: x' });
    const invalid = await stage.kubediff(["m.yaml"]);
    expect([invalid.code, invalid.out]).toEqual([2, ""]);
    expect(invalid.err).toMatch(/applying ConfigMap a as a dry run: .*ConfigMap "a" is invalid: x/);
    const missing = { status: 404, reason: "NotFound", message: 'namespaces "blue" not found' };
    stage.api.refusals.set(place, missing);
    const nowhere = await stage.kubediff(["m.yaml"]);
    expect([nowhere.code, nowhere.out]).toEqual([2, ""]);
    expect(nowhere.err).toContain('namespaces "blue" not found');
    const both = await stage.kubediff(["both.yaml"]);
    expect(both.code).toBe(1);
    expect(both.out).toContain(
      "note: ConfigMap blue/a: its namespace is not in the cluster yet, so there was no dry run of it",
    );
    stage.api.refusals.set(place, { status: 403, reason: "Forbidden", message: "you may not" });
    const forbidden = await stage.kubediff(["m.yaml"]);
    expect(forbidden.code).toBe(1);
    expect(forbidden.out).toContain("is shown as the manifest has it, for a dry run is forbidden");
    const asked = await stage.kubediff(["m.yaml", "--server"]);
    expect(asked.code).toBe(2);
    expect(asked.err).toContain("applying ConfigMap a as a dry run: it is forbidden");
  });

  test("takes null for what is not there: keys of items, defaults, and what the cluster chooses", async () => {
    const service = (ports: unknown[], more = {}) => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace: "default" },
      spec: { ...more, ports },
    });
    await using stage = await Stage.open({
      "m.json": JSON.stringify(
        service(
          [
            { port: 80, protocol: null, nodePort: null },
            { port: 53, protocol: "UDP" },
            { port: 53, protocol: null },
          ],
          { type: null, clusterIP: null },
        ),
      ),
    });
    stage.api.put(
      service(
        [
          { port: 80, protocol: "TCP", nodePort: 30080 },
          { port: 53, protocol: "UDP" },
          { port: 53, protocol: "TCP" },
        ],
        { type: "ClusterIP", clusterIP: "10.0.0.1" },
      ),
    );
    expect(await stage.kubediff(["m.json", "--live"])).toMatchObject({ code: 0, out: "" });
  });

  test("goes on where one object cannot be read, and exits with 2", async () => {
    await using stage = await Stage.open();
    const refused = stage.api.put(configMap({ a: "1" }, "hidden"));
    stage.api.forbid("GET", refused);
    stage.api.put(configMap({ a: "1" }));
    const { code, out, err } = await stage.kubediff(
      [],
      JSON.stringify({ apiVersion: "v1", kind: "List", items: [refused, configMap({ a: "2" })] }),
    );
    expect(code).toBe(2);
    expect(out).toContain("ConfigMap default/settings");
    expect(err).toContain("getting ConfigMap hidden: it is forbidden");
  });

  test("asks for the very group and version of a kind, and reads its keys from its definition", async () => {
    const gateway = (apiVersion: string, listeners: unknown[]) => ({
      apiVersion,
      kind: "Gateway",
      metadata: { name: "edge", namespace: "default" },
      spec: { listeners },
    });
    const definition = {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "gateways.example.com" },
      spec: {
        group: "example.com",
        names: { kind: "Gateway", plural: "gateways" },
        versions: [
          {
            name: "v1",
            schema: {
              openAPIV3Schema: {
                properties: {
                  spec: {
                    properties: {
                      listeners: {
                        type: "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["host", "port"],
                      },
                    },
                  },
                },
              },
            },
          },
        ],
      },
    };
    const manifest = gateway("example.com/v1", [
      { host: "b", port: 80, name: "x" },
      { host: "a", port: 80, name: "x", tls: true },
    ]);
    await using stage = await Stage.open({
      "crd.json": JSON.stringify(definition),
      "m.json": JSON.stringify(manifest),
    });
    stage.api.put(gateway("other.example.com/v1", []));
    stage.api.put(
      gateway("example.com/v1", [
        { host: "b", port: 80, name: "x" },
        { host: "a", port: 80, name: "x" },
        { host: "a", port: 81, name: "x" },
      ]),
    );
    const { out, code } = await stage.kubediff(["m.json", "--schema", "crd.json", "--live"]);
    expect(out).toContain("spec.listeners[host=a,port=80].tls  added");
    expect(out).toContain("spec.listeners[host=a,port=81]  removed");
    expect(out).toContain("2 differences in 1 of 1 document");
    expect(out).not.toContain("guess");
    expect(code).toBe(1);
  });

  test("--subset counts nothing of which the manifest is silent", async () => {
    const manifest = DEPLOYMENT.replace("  paused: false\n", "").replace("replicas: 5", "replicas: 2");
    await using stage = await Stage.open({ "m.yaml": manifest });
    stage.api.put(liveDeployment());
    const all = await stage.kubediff(["m.yaml", "--live"]);
    expect(all.out).toContain("2 differences in 1 of 1 document");
    const subset = await stage.kubediff(["m.yaml", "--live", "--subset"]);
    expect(subset.out).toContain("spec.replicas  changed");
    expect(subset.out).toContain("1 difference in 1 of 1 document");
  });

  test("--last-applied compares with what kubectl remembers, and what the cluster did meanwhile is not seen", async () => {
    const remembered = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { annotations: {}, name: "settings", namespace: "default" },
      data: { a: "1" },
    };
    const live = {
      ...configMap({ a: "drifted" }),
      metadata: {
        name: "settings",
        namespace: "default",
        annotations: { [LAST_APPLIED]: JSON.stringify(remembered) },
      },
    };
    await using stage = await Stage.open({
      "m.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: '2'}\n",
    });
    stage.api.put(live);
    const { out } = await stage.kubediff(["m.yaml", "--last-applied"]);
    expect(out).toContain('    - "1"\n    + "2"\n');
    expect(out).toContain("1 difference in 1 of 1 document");
    stage.api.put(configMap({ a: "0" }));
    const without = await stage.kubediff(["m.yaml", "--last-applied"]);
    expect(without.out).toContain("was compared with what the cluster has, for kubectl keeps nothing of it");
  });

  test("--three-way says of each difference who made it", async () => {
    const remembered = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { annotations: {}, name: "web", namespace: "default" },
      spec: {
        replicas: 2,
        paused: false,
        progressDeadlineSeconds: 60,
        template: { spec: { containers: [{ name: "web", image: "web:1" }] } },
      },
    };
    await using stage = await Stage.open({
      "m.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  progressDeadlineSeconds: 30
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      hostNetwork: true
      containers: [{ name: web, image: "web:2", ports: [{ containerPort: 80 }] }]
`,
    });
    stage.api.put(liveDeployment(remembered));
    const { out } = await stage.kubediff(["m.yaml", "--live", "--three-way", "-o", "json"]);
    const [{ changes }] = JSON.parse(out).documents;
    expect(
      Object.fromEntries(changes.map((change: { path: string; note: string }) => [change.path, change.note])),
    ).toEqual({
      "spec.replicas": "autoscaler changed it",
      "spec.minReadySeconds": "owned by autoscaler, would stay",
      "spec.paused": "you removed it",
      "spec.progressDeadlineSeconds": "both changed it, you and the cluster",
      "spec.template.spec.containers[name=web].image": "you changed it",
      "spec.template.spec.containers[name=web].resources": "the cluster added it, would stay",
      "spec.template.spec.hostNetwork": "you added it",
    });
  });

  test("tells what the cluster does not take, and what would stay though it was removed", async () => {
    const remembered = { ...configMap({ a: "1", b: "2" }), immutable: false };
    const live = {
      ...configMap({ a: "1", b: "2" }),
      metadata: {
        name: "settings",
        namespace: "default",
        annotations: { [LAST_APPLIED]: JSON.stringify(remembered) },
      },
    };
    await using stage = await Stage.open({
      "m.yaml":
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: '1'}\ndate: {b: '1'}\n",
    });
    stage.api.put(live);
    stage.api.admit = (object) => {
      const { date: _, ...known } = object;
      return { ...known, data: { a: "1", b: "2" } };
    };
    const { err, code } = await stage.kubediff(["m.yaml"]);
    expect(err).toContain("ConfigMap settings: date is in the manifest, and the cluster does not take it");
    expect(err).toContain("ConfigMap settings: data.b was removed from the manifest, and would stay");
    expect(code).toBe(0);
  });

  test("ignores by rules with reasons, which count for the exit code, and tells of rules that ignore nothing", async () => {
    const rules = `ignore:
  - kind: Deployment
    path: spec.template.spec.containers[name=web].image
    reason: the pipeline sets it
  - path: metadata.labels["app.kubernetes.io/*"]
    reason: the chart sets it
`;
    await using stage = await Stage.open({
      "m.yaml": DEPLOYMENT.replace("web:1", "web:2"),
      ".shyaml.yml": rules,
    });
    stage.api.put(liveDeployment());
    const { code, out, err } = await stage.kubediff(["m.yaml"]);
    expect([code, out]).toEqual([0, ""]);
    expect(err).toContain(
      "1 difference ignored (Deployment spec.template.spec.containers[name=web].image): the pipeline sets it",
    );
    expect(err).toContain(".shyaml.yml:5: the rule for metadata.labels");
    writeFileSync(join(stage.path, ".shyaml.yml"), "ignore:\n  - path: a\n");
    const refused = await stage.kubediff(["m.yaml"]);
    expect(refused.code).toBe(2);
    expect(refused.err).toMatch(/\.shyaml\.yml:2:5: SETTING_INVALID: a rule says its reason/);
  });

  test("takes directories, lists and the standard input, and names namespaces only where they are named", async () => {
    await using stage = await Stage.open({
      "all/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: blue}\ndata: {k: '1'}\n",
      "all/deep/b.yaml": `apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {k: "2"}}
`,
    });
    for (const [name, namespace] of [
      ["a", "blue"],
      ["b", "green"],
    ] as const) {
      stage.api.put({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data: { k: "0" } });
    }
    const { out, code } = await stage.kubediff(["all", "-n", "green", "--live"]);
    expect(code).toBe(1);
    expect(out).toContain("2 differences in 2 of 2 documents");
    expect(out).not.toContain("metadata.namespace");
  });
});
