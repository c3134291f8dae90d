import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createToken, Identities, type Rights } from "@drover/server";
import { dialWebSocket, TransportError } from "@drover/transport";
import { expect, it, onTestFinished } from "vitest";
import { type Stage, stage } from "./stage.ts";

/* Who may do what over HTTP: every route that the description has, for every kind of identity. */

const NOTHING: Rights = { submit: [], work: [], status: false, admin: false };
const RIGHTS = {
  submitter: { ...NOTHING, submit: ["f"] },
  worker: { ...NOTHING, work: ["f"] },
  watcher: { ...NOTHING, status: true },
  administrator: { ...NOTHING, admin: true },
  powerless: NOTHING,
} as const;
type Name = keyof typeof RIGHTS;
const NAMES = Object.keys(RIGHTS) as Name[];

interface Guarded extends Stage {
  readonly tokens: Readonly<Record<Name, string>>;
}

async function guarded(): Promise<Guarded> {
  const folder = mkdtempSync(join(tmpdir(), "drover-rights-"));
  const tokenFile = join(folder, "tokens");
  const tokens = Object.fromEntries(
    NAMES.map((identity) => [identity, createToken(tokenFile, { identity }, new Date()).text]),
  ) as Record<Name, string>;
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const rules = NAMES.map((name) => ({ name, rights: RIGHTS[name] }));
  const identities = new Identities({ rules, tokenFile }, log);
  onTestFinished(() => {
    identities.close();
    rmSync(folder, { recursive: true });
  });
  return { ...(await stage({ identities })), tokens };
}

/** Who gets which status; everybody else with an identity gets 403, and a stranger 401. */
interface Expected {
  readonly path?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly statuses: Partial<Record<Name, number>>;
  /** A stranger's. */
  readonly stranger?: number;
}

const all = (status: number): Record<Name, number> =>
  Object.fromEntries(NAMES.map((name) => [name, status])) as Record<Name, number>;
const readers = (status = 200) => ({ watcher: status, administrator: status });
const lookers = (status = 200) => ({ ...readers(status), submitter: status });
const EVENTS = { accept: "application/x-ndjson" };

/** By method and path of the description. HANDLE stands for the handle of a queued job of `f`. */
const EXPECTED: Readonly<Record<string, Expected>> = {
  "post /v1/functions/{fn}/jobs": { headers: { prefer: "respond-async" }, statuses: { submitter: 202 } },
  "get /v1/jobs/{handle}": { statuses: lookers() },
  "delete /v1/jobs/{handle}": { statuses: { submitter: 204, administrator: 204 } },
  "get /v1/jobs/{handle}/events": { headers: EVENTS, statuses: lookers() },
  "get /v1/functions/{fn}/uniques/{unique}": { statuses: lookers() },
  "get /v1/functions/{fn}/uniques/{unique}/events": { headers: EVENTS, statuses: lookers() },
  "get /v1/uniques/{unique}": { statuses: lookers() },
  "get /v1/grab": { path: "/v1/grab?function=f", statuses: { worker: 200 } },
  "post /v1/grab": { path: "/v1/grab?function=f", statuses: { worker: 200 } },
  // Who knows the name of a stream has opened it; this one does not exist.
  "delete /v1/grab/{stream}": { path: "/v1/grab/none", statuses: all(410) },
  "post /v1/echo": { body: "hello", statuses: all(200) },
  "post /v1/tickets": { statuses: all(200) },
  // Who knows a lease has the right; this one does not exist.
  "post /v1/leases/{lease}/{what}": { path: "/v1/leases/none/complete", statuses: all(410) },
  "post /v1/leases/{lease}": { path: "/v1/leases/none", statuses: all(410) },
  "get /v1/functions": { statuses: readers() },
  "get /v1/functions/{fn}": { statuses: readers() },
  "get /v1/functions/{fn}/jobs": { statuses: readers() },
  "get /v1/jobs/{handle}/detail": { statuses: readers() },
  "get /v1/workers": { statuses: readers() },
  "get /v1/dead-letters": { statuses: readers() },
  "get /v1/schedules": { statuses: readers() },
  "get /v1/search": { path: "/v1/search?unique=u", statuses: readers() },
  "get /v1/fleet": { path: "/v1/fleet?function=f&unique=u", statuses: readers() },
  "get /v1/overview": { statuses: readers() },
  "get /v1/changes": { statuses: readers() },
  "post /v1/functions/{fn}/pause": { statuses: { administrator: 204 } },
  "post /v1/functions/{fn}/resume": { statuses: { administrator: 204 } },
  "post /v1/dead-letters/{handle}/requeue": { statuses: { administrator: 404 } },
  "delete /v1/dead-letters/{handle}": { statuses: { administrator: 404 } },
  "get /v1/openapi.json": { statuses: all(200), stranger: 200 },
  "get /v1/problems/{name}": { path: "/v1/problems/forbidden", statuses: all(200), stranger: 200 },
};

it("what is expected here is about routes that there are, and all that are described", async () => {
  const { url, http } = await stage();
  const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, unknown>>;
  };
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect(described.filter((route) => !(route in EXPECTED))).toEqual([]);
  const isThere = (route: string): boolean => {
    const [method, path] = route.split(" ") as [string, string];
    return http.app.hasRoute({
      url: path.replace(/\{(\w+)\}/g, ":$1"),
      method: method.toUpperCase() as "GET",
    });
  };
  expect(Object.keys(EXPECTED).filter((route) => !isThere(route))).toEqual([]);
});

it.each(Object.entries(EXPECTED))(
  "%s",
  async (route, { path, body = "", headers = {}, statuses, stranger }) => {
    const { url, tokens } = await guarded();
    const [method, described] = route.split(" ") as [string, string];
    const got: Record<string, number> = {};
    for (const who of [...NAMES, "stranger", "liar"] as const) {
      // A job of its own for each, since some take it away.
      const submitted = await fetch(`${url}/functions/f/jobs`, {
        method: "POST",
        body: "w",
        headers: {
          authorization: `Bearer ${tokens.submitter}`,
          prefer: "respond-async",
          "gearman-unique": '"u"',
        },
      });
      const { handle } = (await submitted.json()) as { handle: string };
      const where = (path ?? described)
        .replace("{handle}", encodeURIComponent(handle))
        .replace("{fn}", "f")
        .replace("{unique}", "~u");
      const leave = new AbortController();
      const token =
        who === "liar" ? `${tokens.administrator}x` : who === "stranger" ? undefined : tokens[who];
      const answer = await fetch(new URL(where, url), {
        method,
        headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
        signal: leave.signal,
        ...(method === "post" ? { body } : {}),
      });
      got[who] = answer.status;
      leave.abort();
    }
    const outside = stranger ?? 401;
    expect(got).toEqual({ ...all(403), ...statuses, stranger: outside, liar: outside });
  },
);

it.each([...NAMES, "stranger", "liar"] as const)("a WebSocket of a %s", async (who) => {
  const { url, tokens } = await guarded();
  const token = who === "liar" ? `${tokens.administrator}x` : who === "stranger" ? undefined : tokens[who];
  const address = `${url.replace("http:", "ws:")}/ws`;
  const dialled = dialWebSocket(address, { webSocket: token === undefined ? {} : { token } });
  if (who === "stranger" || who === "liar") {
    await expect(dialled).rejects.toThrow(TransportError);
    await expect(dialled).rejects.toThrow("401");
  } else {
    (await dialled).destroy();
  }
});

it("a token in the path's query, in a cookie or as a password is none", async () => {
  const { url, tokens } = await guarded();
  const { administrator: token } = tokens;
  for (const [path, headers] of [
    [`/overview?token=${token}`, {}],
    [`/overview?access_token=${token}&authorization=Bearer%20${token}`, {}],
    ["/overview", { cookie: `token=${token}; authorization=Bearer ${token}` }],
    ["/overview", { authorization: token }],
    ["/overview", { authorization: `Basic ${Buffer.from(`x:${token}`).toString("base64")}` }],
    ["/overview", { "x-authorization": `Bearer ${token}`, "proxy-authorization": `Bearer ${token}` }],
  ] as const) {
    const answer = await fetch(url + path, { headers });
    expect([path.split("?")[0], answer.status]).toEqual(["/overview", 401]);
    expect(await answer.text()).not.toContain(token);
  }
});
