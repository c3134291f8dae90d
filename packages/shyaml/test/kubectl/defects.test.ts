import { join } from "node:path";
import { expect, test } from "vitest";
import { describeWith } from "../../../../test/peers/needs.ts";
import { findProgram } from "../../../../test/peers/packages.ts";
import { type Ran, shyaml } from "../running.ts";
import { LAST_APPLIED, Stage } from "./stage.ts";

/*
 * What the crate of the name (shyaml 0.4.1) does wrong in its `kubediff`, one test for each, and what it does right.
 */

const settings = (a: string, metadata: Record<string, unknown> = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "settings", namespace: "default", ...metadata },
  data: { a },
});
const MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: '1'}\n";

describeWith(["kubectl"], "kubediff of the crate", () => {
  /** Each way to compare. */
  async function everyWay(manifest: string, live: Record<string, unknown>[]): Promise<Ran[]> {
    await using stage = await Stage.open({ "m.yaml": manifest });
    for (const object of live) stage.api.put(object);
    return [await stage.kubediff(["m.yaml"]), await stage.kubediff(["m.yaml", "--live"])];
  }

  test("compared with what was applied last in place of the live object, so that drift was hidden", async () => {
    const applied = JSON.stringify(settings("1"));
    for (const { code, out } of await everyWay(MANIFEST, [
      settings("drifted", { annotations: { [LAST_APPLIED]: applied } }),
    ])) {
      expect(code).toBe(1);
      expect(out).toContain("data.a  changed");
      expect(out).toContain('    - drifted\n    + "1"\n');
    }
  });

  test("did not look at kubectl's exit code", async () => {
    await using stage = await Stage.open({ "m.yaml": MANIFEST });
    stage.api.forbid("GET", settings("1"));
    const { code, out, err } = await stage.kubediff(["m.yaml"]);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain("KUBECTL_FAILED: getting ConfigMap settings: it is forbidden");
  });

  test("dropped diff's exit code", async () => {
    expect((await everyWay(MANIFEST, [settings("1")])).map(({ code }) => code)).toEqual([0, 0]);
    expect((await everyWay(MANIFEST, [settings("2")])).map(({ code }) => code)).toEqual([1, 1]);
  });

  test("asked for a kind without its group, and got another's", async () => {
    const gateway = (group: string, port: number) => ({
      apiVersion: `${group}/v1`,
      kind: "Gateway",
      metadata: { name: "edge", namespace: "default" },
      spec: { port },
    });
    for (const group of ["example.com", "other.example.com"]) {
      const manifest = `apiVersion: ${group}/v1\nkind: Gateway\nmetadata: {name: edge}\nspec: {port: 80}\n`;
      const live = ["example.com", "other.example.com"].map((one) => gateway(one, one === group ? 80 : 81));
      expect((await everyWay(manifest, live)).map(({ code }) => code)).toEqual([0, 0]);
    }
  });

  test("compared one object only", async () => {
    const more = MANIFEST.replaceAll("settings", "more");
    const live = [settings("2"), { ...settings("2"), metadata: { name: "more", namespace: "default" } }];
    for (const { out } of await everyWay(`${MANIFEST}---\n${more}`, live))
      expect(out).toContain("2 differences in 2 of 2 documents");
  });

  test("showed uid, generation and managed fields as differences", async () => {
    const live = settings("1", {
      uid: "6f6d",
      generation: 3,
      creationTimestamp: "2026-01-01T00:00:00Z",
      resourceVersion: "77",
      selfLink: "/api/v1/x",
      managedFields: [{ manager: "kubectl", fieldsV1: { "f:data": {} } }],
    });
    expect((await everyWay(MANIFEST, [live])).map(({ code, out }) => [code, out])).toEqual([
      [0, ""],
      [0, ""],
    ]);
  });

  test("showed Secrets in clear", async () => {
    const live = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "login", namespace: "default" },
      data: { password: Buffer.from("hunter2hunter2").toString("base64") },
    };
    const manifest =
      "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: correct horse}\n";
    for (const { code, out, err } of await everyWay(manifest, [live])) {
      expect(code).toBe(1);
      for (const text of ["hunter2hunter2", "correct horse"]) {
        for (const form of [text, Buffer.from(text).toString("base64")])
          expect(out + err).not.toContain(form);
      }
    }
  });

  test("needed a program diff", async () => {
    await using stage = await Stage.open({ "m.yaml": MANIFEST });
    stage.api.put(settings("2"));
    const flags = [`--kubectl=${findProgram("kubectl")}`, `--kubectl-flag=--server=${stage.api.url}`];
    const { code } = await shyaml(["kubediff", "m.yaml", ...flags], {
      cwd: stage.path,
      env: { ...stage.env, PATH: join(stage.path, "home") },
    });
    expect(code).toBe(1);
  });

  test("rightly showed the cluster first, left out a namespace that no file names, and read -", async () => {
    await using stage = await Stage.open();
    stage.api.put(settings("2"));
    const { code, out } = await stage.kubediff(["-"], MANIFEST);
    expect(code).toBe(1);
    expect(out).toContain('    - "2"\n    + "1"\n');
    expect(out).not.toContain("namespace");
  });
});
