import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A kind that the server serves. */
interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const KINDS: readonly Kind[] = [
  {
    group: "apiextensions.k8s.io",
    version: "v1",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    namespaced: false,
  },
  { group: "", version: "v1", kind: "Secret", plural: "secrets", namespaced: true },
  { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true },
  { group: "", version: "v1", kind: "Service", plural: "services", namespaced: true },
  { group: "", version: "v1", kind: "Namespace", plural: "namespaces", namespaced: false },
  { group: "apps", version: "v1", kind: "Deployment", plural: "deployments", namespaced: true },
  { group: "example.com", version: "v1", kind: "Gateway", plural: "gateways", namespaced: true },
  { group: "other.example.com", version: "v1", kind: "Gateway", plural: "gateways", namespaced: true },
];

type Json = Record<string, unknown>;

/** One request that the server had. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly type: string;
  readonly body: string;
}

/**
 * As much of a Kubernetes API server as kubectl needs for `get -o json` and `apply --dry-run=server`: discovery, GET,
 * a PATCH that merges as JSON merge patches do, and what makes an object. Nothing is ever stored.
 */
export class FakeApi {
  readonly url: string;
  readonly requests: Request[] = [];
  /** Objects by path, as `/apis/apps/v1/namespaces/default/deployments/web`. */
  readonly objects = new Map<string, Json>();
  /** Answers to requests by `METHOD path`, before anything else. */
  readonly refusals = new Map<string, { status: number; reason: string; message: string }>();
  /** What the server makes of an object that is applied, as defaults and admission do. */
  admit: (object: Json) => Json = (object) => object;
  readonly #server;

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<FakeApi> {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    return new FakeApi(server);
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((closed) => this.#server.close(() => closed()));
  }

  /** Puts an object where kubectl looks for it. */
  put(object: Json): Json {
    this.objects.set(pathOf(object), object);
    return object;
  }

  /** Refuses a method for an object as a role without the right does; POST is what makes one. */
  forbid(method: string, object: Json): void {
    const message = `${String(object.kind)} is forbidden: User "reader" cannot ${method.toLowerCase()} it`;
    const path = method === "POST" ? pathOf(object).replace(/\/[^/]+$/, "") : pathOf(object);
    this.refusals.set(`${method} ${path}`, { status: 403, reason: "Forbidden", message });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { pathname, searchParams } = new URL(request.url!, this.url);
    const method = request.method!;
    const body = Buffer.concat(chunks).toString();
    const type = request.headers["content-type"] ?? "";
    this.requests.push({ method, path: pathname, query: searchParams, type, body });
    const refusal = this.refusals.get(`${method} ${pathname}`);
    const [status, answer] = refusal
      ? [refusal.status, failure(refusal.status, refusal.reason, refusal.message)]
      : this.#result(method, pathname, body, type);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  #result(method: string, path: string, body: string, type: string): [status: number, answer: unknown] {
    const discovered = method === "GET" ? discovery(path) : undefined;
    if (discovered !== undefined) return [200, discovered];
    const object = this.objects.get(path);
    const isApplied = method === "PATCH" && type.startsWith("application/apply-patch");
    if (method === "POST" || (isApplied && object === undefined))
      return [201, this.admit(kept(JSON.parse(body) as Json))];
    if (object === undefined) {
      const [, , name] = /\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
      return [404, failure(404, "NotFound", `"${name}" not found`)];
    }
    if (method === "GET") return [200, object];
    if (method === "PATCH") return [200, this.admit(kept(merged(object, JSON.parse(body)) as Json))];
    return [405, failure(405, "MethodNotAllowed", `${method} is not allowed`)];
  }
}

function failure(code: number, reason: string, message: string): Json {
  return { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message };
}

function pathOf(object: Json): string {
  const { apiVersion, kind, metadata } = object as {
    apiVersion: string;
    kind: string;
    metadata: { name: string; namespace?: string };
  };
  const { group, version, plural, namespaced } = KINDS.find(
    (known) => known.kind === kind && groupVersion(known) === apiVersion,
  )!;
  const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
  const namespace = namespaced ? `/namespaces/${metadata.namespace ?? "default"}` : "";
  return `${root}${namespace}/${plural}/${metadata.name}`;
}

function groupVersion({ group, version }: Kind): string {
  return group === "" ? version : `${group}/${version}`;
}

function discovery(path: string): unknown {
  if (path === "/version") return { major: "1", minor: "32", gitVersion: "v1.32.0" };
  if (path === "/api") return { kind: "APIVersions", versions: ["v1"] };
  if (path === "/apis") {
    const groups = [...new Set(KINDS.map(({ group }) => group))].filter((group) => group !== "");
    return {
      kind: "APIGroupList",
      apiVersion: "v1",
      groups: groups.map((name) => {
        const version = { groupVersion: `${name}/v1`, version: "v1" };
        return { name, versions: [version], preferredVersion: version };
      }),
    };
  }
  const kinds = KINDS.filter(
    (kind) => path === `${kind.group === "" ? "/api" : "/apis"}/${groupVersion(kind)}`,
  );
  if (kinds.length === 0) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: groupVersion(kinds[0]!),
    resources: kinds.map(({ kind, plural, namespaced }) => ({
      name: plural,
      singularName: kind.toLowerCase(),
      namespaced,
      kind,
      verbs: ["get", "list", "patch", "create"],
    })),
  };
}

/** A Secret with what `stringData` says in `data`. */
function kept(object: Json): Json {
  const { stringData, ...rest } = object as { stringData?: Record<string, string>; data?: Json };
  if (stringData === undefined) return object;
  const encoded = Object.entries(stringData).map(([key, text]) => [
    key,
    Buffer.from(text).toString("base64"),
  ]);
  return { ...rest, data: { ...rest.data, ...Object.fromEntries(encoded) } };
}

/** RFC 7386, which for objects whose lists stay as they are is what a strategic merge patch does as well. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result: Json = { ...(typeof target === "object" && !Array.isArray(target) ? (target as Json) : {}) };
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith("$")) continue;
    if (value === null) delete result[key];
    else if (Array.isArray(value) && Array.isArray(result[key])) result[key] = mergedList(result[key], value);
    else result[key] = merged(result[key], value);
  }
  return result;
}

/** Lists whose items have names are merged by them, and others are replaced. */
function mergedList(target: unknown[], patch: unknown[]): unknown[] {
  const nameOf = (item: unknown) => (item as { name?: string } | null)?.name;
  if (!patch.every((item) => nameOf(item) !== undefined)) return patch;
  const others = target.filter((item) => !patch.some((given) => nameOf(given) === nameOf(item)));
  return [
    ...patch.map((item) =>
      merged(
        target.find((own) => nameOf(own) === nameOf(item)),
        item,
      ),
    ),
    ...others,
  ];
}
