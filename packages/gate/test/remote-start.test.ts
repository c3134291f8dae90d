import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "@drover/server";
import { afterAll, expect, test } from "vitest";
import { jobServerNotices } from "../src/remote/job-server-notices.ts";
import { RemoteMerger } from "../src/remote/remote-merger.ts";

/* How executors and mergers of other machines begin, and what they say of their job server. */

const folder = mkdtempSync(join(tmpdir(), "drover-remote-start-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function logTo(lines: [string, object, string][]): Log {
  const at = (level: string) => (fields: object, text: string) => lines.push([level, fields, text]);
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } as unknown as Log;
}

test("a worker whose token the gate refuses does not start, and leaves its folder to the next try", async () => {
  const detail = "bob is no worker: drover gate user add NAME --worker";
  const gate = createServer((request, response) => {
    request.resume();
    response.writeHead(403, { "content-type": "application/problem+json" }).end(JSON.stringify({ detail }));
  });
  gate.listen(0, "127.0.0.1");
  await once(gate, "listening");
  const url = `http://127.0.0.1:${(gate.address() as AddressInfo).port}`;
  const options = {
    folder: join(folder, "merger"),
    gate: { url, token: "drover_wrong" },
    // Where nobody listens.
    servers: ["127.0.0.1:1"],
    name: "m1",
    log: logTo([]),
  };
  for (const _ of ["once", "again"])
    await expect(RemoteMerger.start(options)).rejects.toMatchObject({
      code: "GATE_REFUSES_WORKER",
      message: expect.stringContaining(detail),
    });
  gate.close();
});

test("the loss of a job server is logged once, without a stack, and again after it was back", () => {
  const lines: [string, object, string][] = [];
  const heard: boolean[] = [];
  const notice = jobServerNotices(logTo(lines), (isConnected) => heard.push(isConnected));
  const [server, error] = ["jobs:4730", new Error("nobody listens")];
  notice({ type: "unreachable", server, error });
  notice({ type: "unreachable", server, error });
  notice({ type: "connected", server, drover: true });
  notice({ type: "disconnected", server, error: undefined });
  expect(lines).toEqual([
    ["warn", { server, why: "nobody listens" }, "the job server is not there; trying again"],
    ["warn", { server, why: undefined }, "the job server is not there; trying again"],
  ]);
  expect(heard).toEqual([false, false, true, false]);
});
