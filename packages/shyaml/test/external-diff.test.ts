import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { folderOf, type Ran, run } from "./running.ts";

/*
 * kubectl's own `kubectl diff` with shyaml as its external program, against a server that answers as much of Kubernetes' API as it
 * asks for: one Secret and one ConfigMap live, and what a patch would make of them.
 */

const BIN = resolve(import.meta.dirname, "../../../node_modules/.bin");
const NAMESPACE = "default";
const [LIVE, LOCAL] = ["hunter1", "hunter2"].map((word) => Buffer.from(word).toString("base64"));

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: Record<string, unknown>;
  data: Record<string, string>;
}

const manifest = (kind: string, name: string, data: Record<string, string>): Manifest => ({
  apiVersion: "v1",
  kind,
  metadata: { name, namespace: NAMESPACE },
  data,
});
const live = new Map([
  ["secrets/db", manifest("Secret", "db", { password: LIVE! })],
  ["configmaps/shop", manifest("ConfigMap", "shop", { rate: "5", keep: "x" })],
]);

const resources = (["secrets", "configmaps"] as const).map((name) => ({
  name,
  kind: name === "secrets" ? "Secret" : "ConfigMap",
  singularName: name.slice(0, -1),
  namespaced: true,
  verbs: ["get", "patch"],
}));

async function answer(request: IncomingMessage): Promise<unknown> {
  const { pathname } = new URL(request.url!, "http://localhost");
  if (pathname === "/version") return { major: "1", minor: "32", gitVersion: "v1.32.0" };
  if (pathname === "/api") return { kind: "APIVersions", versions: ["v1"] };
  if (pathname === "/apis") return { kind: "APIGroupList", apiVersion: "v1", groups: [] };
  if (pathname === "/api/v1") return { kind: "APIResourceList", groupVersion: "v1", resources };
  const object = live.get(pathname.replace(`/api/v1/namespaces/${NAMESPACE}/`, ""));
  if (object === undefined || request.method === "GET") return object;
  const patch = JSON.parse(Buffer.concat(await Array.fromAsync(request)).toString()) as Partial<Manifest>;
  return { ...object, data: { ...object.data, ...patch.data } };
}

let server: Server;
let address = "";
beforeAll(async () => {
  server = createServer(async (request, response) => {
    const body = await answer(request);
    const missing = { kind: "Status", apiVersion: "v1", status: "Failure", reason: "NotFound", code: 404 };
    response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(body ?? missing));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function kubectlDiff(manifests: readonly Manifest[], external: string): Promise<Ran> {
  using folder = folderOf({ "all.yaml": manifests.map((one) => `---\n${JSON.stringify(one)}\n`).join("") });
  const env = {
    KUBECONFIG: "/dev/null",
    HOME: folder.path,
    NO_COLOR: "1",
    KUBECTL_EXTERNAL_DIFF: external,
    PATH: `${BIN}${delimiter}${process.env.PATH}`,
  };
  const args = [
    "--server",
    address,
    "--cache-dir",
    join(folder.path, "cache"),
    "diff",
    "--server-side",
    "-f",
    "all.yaml",
  ];
  return await run("kubectl", args, { cwd: folder.path, env });
}

const hasKubectl = (await run("kubectl", ["version", "--client"]).catch(() => ({ code: 1 }))).code === 0;

// kubectl is no package of Debian that tests may count on.
describe.skipIf(!hasKubectl)("kubectl diff with shyaml", () => {
  const secret = manifest("Secret", "db", { password: LOCAL! });
  const config = manifest("ConfigMap", "shop", { rate: "6" });

  test("shows what an apply would change, and no secret", async () => {
    const { code, out, err } = await kubectlDiff([secret, config], "shyaml diff");
    expect(err).toBe("");
    expect(code).toBe(1);
    expect(out).toMatch(
      /ConfigMap default\/shop {2}.*v1\.ConfigMap\.default\.shop:1 → .*\n {2}data\.rate {2}changed/,
    );
    expect(out).toContain('    - "5"\n    + "6"\n');
    expect(out).toContain("Secret default/db");
    for (const word of [LIVE!, LOCAL!, "hunter1", "hunter2"]) expect(out).not.toContain(word);
  });

  test("passes on flags, which come behind the directories, and exit code 0 when nothing differs", async () => {
    const { out, err } = await kubectlDiff([config], "shyaml diff -o=json --ignore-order");
    expect(err).toBe("");
    expect(JSON.parse(out).summary).toMatchObject({ compared: 1, differences: 1 });
    expect(await kubectlDiff([live.get("configmaps/shop")!], "shyaml diff")).toMatchObject({
      code: 0,
      out: "",
    });
  });
});
