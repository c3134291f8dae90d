import { describe, expect, it } from "vitest";
import { until } from "../../../test/peers/until.ts";
import { dialBrowserWebSocket } from "../src/index.ts";
import { connectionConformance, pattern, Recorder } from "./conformance.ts";
import { cleanups, serve, serving } from "./websocket-stage.ts";

/* Node has the `WebSocket` of browsers too. What a real browser does is tried in test/browser. */

connectionConformance(
  "a browser's WebSocket",
  async (nearHandlers, farHandlers) => {
    const served = await serve({ recorder: () => farHandlers as Recorder });
    const near = await dialBrowserWebSocket(`${served.address}/v1/ws`);
    near.attach(nearHandlers);
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    return { near, far: served.accepted[0]!.connection, dispose: () => served.close() };
  },
  { halfOpen: false, destroyCuts: false },
);

describe("a browser's WebSocket", () => {
  async function dialled() {
    const served = await serving();
    const near = await dialBrowserWebSocket(`${served.address}/v1/ws`);
    cleanups.push(() => near.destroy());
    const told = new Recorder();
    near.attach(told);
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    return { near, told, far: served.accepted[0]!.connection };
  }

  it.each([
    [1000, undefined],
    [1001, undefined],
    [4401, "WEBSOCKET_CLOSED"],
    [4403, "WEBSOCKET_CLOSED"],
  ])("tells what close code %i means", async (code, expected) => {
    const { told, far } = await dialled();
    far.closeWith(code, "why");
    await told.until(() => told.closes > 0);
    expect((told.error as { code?: string } | undefined)?.code).toBe(expected);
    if (expected !== undefined) expect(told.error!.message).toContain(`closed with ${code} "why"`);
  });

  it("is cut when more than 16 MiB arrive that nobody reads", async () => {
    const { near, told, far } = await dialled();
    near.pause();
    far.send([pattern(17 * 1_048_576)]);
    await told.until(() => told.closes > 0);
    expect(told.error).toMatchObject({ code: "WEBSOCKET_VIOLATION" });
    expect(told.bytes).toBe(0);
  });

  it("tells that there is none", async () => {
    const served = await serving({ admit: () => ({ status: 401, detail: "no" }) });
    const refused = dialBrowserWebSocket(`${served.address}/v1/ws`);
    await expect(refused).rejects.toMatchObject({ code: "UPGRADE_REFUSED" });
  });

  it("shows a token as a subprotocol", async () => {
    const seen: (string | undefined)[] = [];
    const served = await serving({
      admit: (_request, token) => {
        seen.push(token);
        return undefined;
      },
    });
    const near = await dialBrowserWebSocket(`${served.address}/v1/ws`, { token: "drover_?>~" });
    cleanups.push(() => near.destroy());
    expect(seen).toEqual(["drover_?>~"]);
  });
});
