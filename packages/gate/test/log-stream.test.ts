import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../../../test/peers/until.ts";
import { LogStreams } from "../src/api/log-stream.ts";

test("so many logs are followed at a time and no more, until one of those who follow goes", async () => {
  const running = { execution: null, endedMs: null, result: null };
  const streams = new LogStreams({ builds: { get: () => running } } as never, 1);
  const server = createServer(async (_request, response) => {
    if (!(await streams.follow(1, 0, response))) response.writeHead(503).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const leaving = new AbortController();
  const first = await fetch(url, { signal: leaving.signal });
  expect(first.status).toBe(200);
  const statusNow = async (): Promise<number> => {
    const going = new AbortController();
    const { status } = await fetch(url, { signal: going.signal });
    going.abort();
    return status;
  };
  expect(await statusNow()).toBe(503);
  leaving.abort();
  await until("there is room", 20_000, async () => (await statusNow()) === 200);
});
