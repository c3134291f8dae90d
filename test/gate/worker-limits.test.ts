import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../peers/until.ts";
import { RunningGate } from "./running-gate.ts";

/* What executors and mergers elsewhere may bring at most: whoever brings more is told, and nobody else notices. */

const MAX_COMING = 64;
const ID = (at: number): string => `00000000-0000-4000-8000-${String(at).padStart(12, "0")}`;

describe("what comes from workers elsewhere", () => {
  let gate: RunningGate;
  beforeAll(async () => {
    gate = await RunningGate.start();
    const { token } = await gate.post<{ token: string }>("/users", "root", {
      name: "worker",
      role: "worker",
    });
    gate.tokens.set("worker", token);
  });
  afterAll(() => gate.end());

  const put = async (
    path: string,
    body: string | Uint8Array<ArrayBuffer>,
  ): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${gate.url}/api/gate${path}`, {
      method: path.startsWith("/packs") ? "POST" : "PUT",
      headers: { authorization: `Bearer ${gate.tokens.get("worker")}` },
      body,
    });
    return { status: response.status, text: await response.text() };
  };

  test("a piece of a log that is too long is refused, and the log goes on without it", async () => {
    const { maxPieceBytes } = gate.gate.executions.limits;
    const path = `/executions/${ID(1)}/log`;
    expect(await put(`${path}?from=0`, "one")).toMatchObject({ status: 200, text: '{"bytes":3}' });
    const refused = await put(`${path}?from=3`, new Uint8Array(maxPieceBytes + 1));
    expect(refused).toMatchObject({
      status: 413,
      text: expect.stringContaining(`at most ${maxPieceBytes} bytes`),
    });
    expect(await put(`${path}?from=3`, "two")).toMatchObject({ status: 200, text: '{"bytes":6}' });
  });

  test("an artifact past what an execution may keep is refused, and those of others are taken", async () => {
    const { maxArtifactBytes } = gate.gate.executions.limits;
    const refused = await put(`/executions/${ID(2)}/artifacts/large`, new Uint8Array(maxArtifactBytes + 1));
    expect(refused).toMatchObject({
      status: 400,
      text: expect.stringContaining(`artifacts may have ${maxArtifactBytes} bytes together`),
    });
    expect((await put(`/executions/${ID(3)}/artifacts/small`, "x")).status).toBe(200);
    expect((await put(`/executions/${ID(2)}/artifacts/small`, "x")).status).toBe(200);
  });

  test("more at a time than is taken are told to come later, while people are served", async () => {
    const open = Array.from({ length: MAX_COMING }, (_, at) => {
      const upload = request(`${gate.url}/api/gate/executions/${ID(100 + at)}/artifacts/a`, {
        method: "PUT",
        headers: { authorization: `Bearer ${gate.tokens.get("worker")}`, "transfer-encoding": "chunked" },
      });
      upload.on("error", () => {});
      upload.write("begins");
      return upload;
    });
    const refused = await until("they have begun", 30_000, async () => {
      const answer = await put(`/executions/${ID(99)}/log?from=0`, "");
      return answer.status === 429 ? answer : undefined;
    });
    expect(refused.text).toContain("too much comes at a time");
    expect((await gate.ask("GET", "/status")).status).toBe(200);
    const answers = open.map(
      (upload) =>
        new Promise<number>((resolve) => upload.on("response", ({ statusCode }) => resolve(statusCode!))),
    );
    for (const upload of open) upload.end(", and ends");
    expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
    expect((await put(`/executions/${ID(99)}/log?from=0`, "one")).status).toBe(200);
  });
});
