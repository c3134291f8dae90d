import { execFile } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { GATE_FUNCTION_RULES, GATE_FUNCTIONS, Gate, gateHttp, initGate } from "@drover/gate";
import { JobServer } from "@drover/server";
import { HttpServer } from "@drover/server/http";
import { FakeApi } from "./api-server.ts";

/*
 * A gate whose job compares manifests with a cluster and says on the change what would be different in it. The cluster is
 * a small stand-in for an API server; kubectl and all else is real. `node examples/kubediff/main.ts`
 */

const ROOT = resolve(import.meta.dirname, "../..");
const DEADLINE_MS = 60_000;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** What is in the cluster: what the repository has, with what clusters add, and another number of replicas. */
const DEPLOYMENT = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "default", uid: "5b1c", generation: 9, resourceVersion: "1043" },
  spec: {
    replicas: 5,
    revisionHistoryLimit: 10,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: {
        restartPolicy: "Always",
        containers: [
          {
            name: "web",
            image: "registry.example.org/web:1.4",
            imagePullPolicy: "IfNotPresent",
            ports: [{ containerPort: 8080, protocol: "TCP" }],
            resources: { requests: { cpu: "500m", memory: "256Mi" } },
          },
        ],
      },
    },
  },
  status: { replicas: 5 },
};
const SECRET = {
  apiVersion: "v1",
  kind: "Secret",
  type: "Opaque",
  metadata: { name: "web-login", namespace: "default", resourceVersion: "7" },
  data: { password: Buffer.from("as-it-was").toString("base64") },
};

const folder = mkdtempSync(join(tmpdir(), "drover-kubediff-"));
// Builds may run as another user.
chmodSync(folder, 0o755);
const api = await FakeApi.start();
api.put(DEPLOYMENT);
api.put(SECRET);
const { token } = await initGate(join(folder, "gate"), { log: silent, user: "ann", sample: null });
const server = await JobServer.start({
  listen: ["127.0.0.1:0"],
  version: "0",
  log: silent,
  functions: GATE_FUNCTION_RULES,
  reserved: [GATE_FUNCTIONS],
});
const gate = await Gate.open({
  folder: join(folder, "gate"),
  server,
  log: silent,
  slots: 2,
  directPush: true,
  readOnly: [ROOT],
});
const http = await HttpServer.start({
  server,
  log: silent,
  listen: ["127.0.0.1:0"],
  extensions: [gateHttp(gate, { log: silent })],
});
try {
  const url = `http://${http.addresses[0]}`;
  gate.forge.urls = [url];
  const repository = join(folder, "manifests");
  await bringRepository(repository, url);
  process.stdout.write(`${await commentOn(await proposeChange(repository))}\n`);
} finally {
  await http.close();
  await gate.close();
  await server.stop(0);
  await api.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** Puts the repository beside this file into the gate, with where this machine has shyaml and the cluster. */
async function bringRepository(path: string, url: string): Promise<void> {
  const answer = await fetch(`${url}/api/gate/projects`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "manifests" }),
  });
  if (!answer.ok) throw new Error(`the project was not made: ${await answer.text()}`);
  await git(folder, "clone", "--quiet", `${url.replace("//", `//ann:${token}@`)}/git/manifests.git`, path);
  cpSync(join(import.meta.dirname, "repository"), path, { recursive: true });
  const program = join(ROOT, "packages/shyaml/bin/shyaml.js");
  writeFileSync(join(path, "tools.sh"), `shyaml() { '${process.execPath}' '${program}' "$@"; }\n`);
  const kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "example", cluster: { server: api.url } }],
    contexts: [{ name: "example", context: { cluster: "example" } }],
    "current-context": "example",
  };
  writeFileSync(join(path, "kubeconfig"), JSON.stringify(kubeconfig, null, 2));
  await git(path, "add", "--all");
  await git(path, "commit", "--quiet", "--message", "As it is in the cluster");
  await git(path, "push", "--quiet", "origin", "HEAD:refs/heads/main");
}

/** A new image, less memory, another password and a new object. */
async function proposeChange(path: string): Promise<number> {
  const file = join(path, "manifests/web.yaml");
  const text = readFileSync(file, "utf8")
    .replace("web:1.4", "web:1.5")
    .replace("memory: 256Mi", "memory: 128Mi")
    .replace("as-it-was", "as-it-will-be");
  const configMap =
    "---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: web-settings, namespace: default }\ndata: { theme: dark }\n";
  writeFileSync(file, text + configMap);
  await git(path, "commit", "--quiet", "--all", "--message", "A new release");
  const said = await git(path, "push", "origin", "HEAD:refs/for/main");
  const number = /Change (\d+) is new/.exec(said)?.[1];
  if (number === undefined) throw new Error(`the change was not taken: ${said}`);
  return Number(number);
}

/** What the job says on the change, and the gate's own report below it. */
async function commentOn(number: number): Promise<string> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const said = gate.forge.change(number)?.comments.map(({ text }) => text) ?? [];
    if (said.some((text) => /difference/.test(text))) return said.reverse().join("\n---\n\n");
    if (said.some((text) => /FAILURE|ERROR/.test(text)) || Date.now() > deadline)
      throw new Error(`the job did not do: ${said.join("\n")}`);
    await new Promise((later) => setTimeout(later, 100));
  }
}

async function git(cwd: string, ...args: string[]): Promise<string> {
  const identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"];
  const { stdout, stderr } = await promisify(execFile)("git", [...identity, ...args], {
    cwd,
    env: { ...process.env, GIT_TERMINAL_PROMPT: "0" },
  });
  return stdout + stderr;
}
