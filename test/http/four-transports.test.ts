import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Client } from "@drover/client";
import { encodePacket, PacketType, REQ } from "@drover/protocol";
import { createToken, Identities, type Rights } from "@drover/server";
import { dial } from "@drover/transport";
import { Worker } from "@drover/worker";
import { expect, it, onTestFinished } from "vitest";
import { startClient, startProgram } from "../integration/programs.ts";
import { describeWith } from "../peers/needs.ts";
import { freePort } from "../peers/ports.ts";
import type { TestServer } from "../peers/servers.ts";
import { until } from "../peers/until.ts";
import { eventsOf, type Stage, stage } from "./stage.ts";

const NOTHING: Rights = { submit: [], work: [], status: false, admin: false };

interface Guarded extends Stage {
  /** Of who may submit `f`, and of who may submit something else. */
  readonly tokens: { readonly shop: string; readonly other: string };
  /** A port of Gearman whose clients are known by it, and one whose clients have to show a token. */
  readonly local: number;
  readonly open: number;
}

/** A server with authentication; programs that know of none have a listener of their own. */
async function guarded(): Promise<Guarded> {
  const folder = mkdtempSync(join(tmpdir(), "drover-four-"));
  const tokenFile = join(folder, "tokens");
  const token = (identity: string) => createToken(tokenFile, { identity }, new Date()).text;
  const tokens = { shop: token("shop"), other: token("other") };
  const [local, open] = [await freePort(), await freePort()];
  const rules = [
    { name: "shop", rights: { ...NOTHING, submit: ["f"] } },
    { name: "other", rights: { ...NOTHING, submit: ["g"] } },
    {
      name: "local",
      rights: { ...NOTHING, submit: ["f"], work: ["f"] },
      listeners: [`127.0.0.1:${local}`],
    },
  ];
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const identities = new Identities({ rules, tokenFile }, silent);
  onTestFinished(() => {
    identities.close();
    rmSync(folder, { recursive: true });
  });
  const staged = await stage({ identities, listen: [`127.0.0.1:${local}`, `127.0.0.1:${open}`] });
  return { ...staged, tokens, local, open };
}

/** What everybody is to see, in every form that it has. */
const SEEN = ["status 1/2", "data one", "warning careful", "data two", "complete whole"];

/** Starts a worker whose job waits for `opened`. */
function worker(port: number, opened: Promise<void>): void {
  const worker = new Worker({ servers: `127.0.0.1:${port}` });
  worker.handle("f", async (job) => {
    await opened;
    job.status(1, 2);
    job.data(Buffer.from("one"));
    job.warning(Buffer.from("careful"));
    job.data(Buffer.from("two"));
    return Buffer.from("whole");
  });
  void worker.run();
  onTestFinished(() => worker.close());
}

function line({ event, data, numerator, denominator }: Record<string, unknown>): string {
  return event === "status"
    ? `status ${String(numerator)}/${String(denominator)}`
    : `${String(event)} ${String(data)}`;
}

describeWith(["libgearman"], "with authentication on", () => {
  it("a page, curl, a C client and a Node client join one job and see the same stream", async () => {
    const { url, tokens, local, server } = await guarded();
    const gate = Promise.withResolvers<void>();
    const headers = { authorization: `Bearer ${tokens.shop}`, "gearman-unique": '"u"' };
    const joined = (count: number) =>
      until(`${count} wait`, 10_000, () => server.core.state.submissionCount === count);

    const page = await fetch(`${url}/functions/f/jobs`, {
      method: "POST",
      body: "w",
      headers: {
        ...headers,
        accept: "text/event-stream",
        origin: new URL(url).origin,
        "sec-fetch-site": "same-origin",
      },
    });
    await joined(1);
    const curl = startProgram("curl", [
      ...["--silent", "--no-buffer", "--http1.1", "--data-binary", "w"],
      ...["--header", `Authorization: Bearer ${tokens.shop}`, "--header", 'Gearman-Unique: "u"'],
      ...["--header", "Accept: application/x-ndjson", `${url}/functions/f/jobs`],
    ]);
    await joined(2);
    const c = await startClient("c", { port: local } as TestServer, "run", "normal", "f", "w", "u");
    await joined(3);
    const node = new Client({
      servers: `${url.replace("http:", "ws:")}/ws`,
      dial: (name, signal) => dial(name, { signal, webSocket: { token: tokens.shop } }),
    });
    onTestFinished(() => node.close());
    const job = node.submit("f", "w", { unique: "u" });
    await joined(4);
    worker(local, gate.promise);
    await until("it runs", 5_000, () => server.core.state.running === 1);
    gate.resolve();

    const events = (await page.text())
      .split("\n\n")
      .flatMap((event) => [/^event: (\w+)\nid: [^\n]+\ndata: (.*)$/.exec(event) ?? []])
      .filter(([whole]) => whole !== undefined)
      .map(([, event, data]) => ({ event, ...(JSON.parse(data!) as object) }));
    expect(events.slice(1).map(line)).toEqual(SEEN);
    const { lines: curled } = await curl.ended;
    const shown = curled.filter((one) => one !== "").map((one) => JSON.parse(one) as Record<string, unknown>);
    expect(shown.slice(1).map(line)).toEqual(SEEN);
    const { lines: told } = await c.ended;
    const spoken = told.map((one) => one.replace(/^(status) (\d+) (\d+)$/, "$1 $2/$3"));
    expect(spoken.filter((one) => !one.startsWith("created"))).toEqual(SEEN);
    const seen: string[] = [];
    for await (const event of job) {
      if (event.type === "status") seen.push(`status ${event.numerator}/${event.denominator}`);
      else if (event.type === "data" || event.type === "warning")
        seen.push(`${event.type} ${Buffer.from(event.data).toString()}`);
      else if (event.type === "complete") seen.push(`complete ${Buffer.from(await job.result()).toString()}`);
    }
    expect(seen).toEqual(SEEN);
    expect(server.core.state.counts.runs).toBe(1);
  });
});

it("a stranger without a token gets nothing of it, and nothing ends for the others", async () => {
  const { url, tokens, local, open, server } = await guarded();
  const gate = Promise.withResolvers<void>();
  const own = await fetch(`${url}/functions/f/jobs`, {
    method: "POST",
    body: "secret of f",
    headers: {
      authorization: `Bearer ${tokens.shop}`,
      "gearman-unique": '"u"',
      accept: "application/x-ndjson",
    },
  });
  const handle = own.headers.get("gearman-handle")!;
  for (const [token, status] of [
    [undefined, 401],
    [tokens.other, 403],
  ] as const) {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    for (const [method, path] of [
      ["POST", "/functions/f/jobs"],
      ["GET", `/jobs/${handle}`],
      ["GET", `/jobs/${handle}/events`],
      ["GET", "/functions/f/uniques/~u"],
      ["GET", "/functions/f/uniques/~u/events"],
      ["DELETE", `/jobs/${handle}`],
      ["GET", "/grab?function=f"],
      ["POST", "/grab?function=f"],
    ] as const) {
      const answer = await fetch(url + path, { method, headers: { ...headers, "gearman-unique": '"u"' } });
      expect([method, path, answer.status]).toEqual([method, path, status]);
      expect(await answer.text()).not.toContain("secret");
    }
  }
  // On Gearman's own port, the same: what is asked before a token is shown ends the connection.
  const socket = connect(open, "127.0.0.1");
  socket.write(encodePacket(REQ, PacketType.SUBMIT_JOB, ["f", "u"], Buffer.from("w")));
  expect(await text(socket)).toContain("UNAUTHENTICATED");
  await expect(dial(`${url.replace("http:", "ws:")}/ws`)).rejects.toThrow("401");
  expect(server.core.state.submissionCount).toBe(1);

  worker(local, gate.promise);
  gate.resolve();
  const seen: string[] = [];
  for await (const event of eventsOf(own)) seen.push(line(event));
  expect(seen.slice(1)).toEqual(SEEN);
});
