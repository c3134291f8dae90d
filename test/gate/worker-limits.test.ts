import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RunningGate } from "./running-gate.ts";

/* What executors and mergers elsewhere may bring at most: whoever brings more is told, and nobody else notices. */

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
});
