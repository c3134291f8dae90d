import { deflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { until } from "../../../test/peers/until.ts";
import { dial, readSubprotocols } from "../src/index.ts";
import { closeCode, dialled, frame, handshake, serving } from "./websocket-stage.ts";

describe("subprotocols", () => {
  const bearer = (text: string) => `gearman.bearer.${Buffer.from(text).toString("base64url")}`;

  it.each([
    [undefined, false, undefined],
    ["", false, undefined],
    ["mqtt", false, undefined],
    ["gearman.json", false, undefined],
    ["gearman", true, undefined],
    ["mqtt , gearman", true, undefined],
    [`gearman, ${bearer("s3cret ✓")}`, true, "s3cret ✓"],
    [`${bearer("a.b-c")},gearman`, true, "a.b-c"],
    [bearer("alone"), false, undefined],
    [`gearman,${bearer("one")},${bearer("two")}`, false, undefined],
    ["gearman,gearman.bearer.", false, undefined],
    ["gearman,gearman.bearer.a", false, undefined],
    ["gearman,gearman.bearer.YQ==", false, undefined],
    ["gearman,gearman.bearer.Y+", false, undefined],
    [`gearman,gearman.bearer.${Buffer.from([0xff]).toString("base64url")}`, false, undefined],
  ])("of %j", (header, isGearman, token) => {
    expect(readSubprotocols(header)).toEqual({ isGearman, token });
  });
});

describe("upgrades", () => {
  it("answer with the subprotocol alone, and never with the token", async () => {
    const tokens: (string | undefined)[] = [];
    const served = await serving({
      admit: (_request, token) => {
        tokens.push(token);
        return undefined;
      },
    });
    const token = Buffer.from("s3cret").toString("base64url");
    const { answer } = await handshake(served.port, {
      "Sec-WebSocket-Protocol": `gearman.bearer.${token}, gearman`,
    });
    expect(answer).toMatch(/^HTTP\/1\.1 101 /);
    expect(answer).toMatch(/Sec-WebSocket-Protocol: gearman\r\n/);
    expect(answer).not.toContain(token);
    expect(tokens).toEqual(["s3cret"]);
  });

  it("refuse who does not speak gearman, with a problem that says so", async () => {
    const served = await serving();
    for (const offered of ["", "mqtt", "gearman,gearman.bearer.="]) {
      const { answer } = await handshake(served.port, { "Sec-WebSocket-Protocol": offered });
      expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
      expect(answer).toMatch(
        /application\/problem\+json[\s\S]*"status":400,"detail":"offer the subprotocol gearman"/,
      );
    }
    expect(served.accepted).toHaveLength(0);
  });

  it("refuse pages of origins that are not listed; who names none is let in", async () => {
    const served = await serving({ origins: ["https://jobs.example.com"] });
    for (const origin of [
      "https://evil.test",
      "null",
      "https://jobs.example.com.evil.test",
      "http://jobs.example.com",
    ]) {
      const { answer } = await handshake(served.port, { Origin: origin });
      expect(answer).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    }
    expect((await handshake(served.port, { Origin: "https://JOBS.example.com" })).answer).toMatch(/ 101 /);
    expect((await handshake(served.port)).answer).toMatch(/ 101 /);
    const none = await serving();
    expect((await handshake(none.port, { Origin: `http://127.0.0.1:${none.port}` })).answer).toMatch(/ 403 /);
  });

  it("are refused as admit says, and with 500 when it fails; who left meanwhile does no harm", async () => {
    const errors: unknown[] = [];
    const { promise, resolve } = Promise.withResolvers<undefined>();
    let asked = 0;
    const served = await serving({
      onError: (error) => errors.push(error),
      admit: async ({ headers }) => {
        asked++;
        if (headers.authorization === "Bearer slow") return promise;
        if (headers.authorization === "Bearer broken") throw new Error("no directory");
        return { status: 401, detail: "a token please", headers: { "WWW-Authenticate": "Bearer" } };
      },
    });
    const { answer } = await handshake(served.port);
    expect(answer).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n/);
    await expect(dial(served.address, { webSocket: { token: "wrong" } })).rejects.toMatchObject({
      code: "UPGRADE_REFUSED",
      message: expect.stringMatching(/401.*token/) as string,
    });
    const broken = dial(served.address, { webSocket: { token: "broken" } });
    await expect(broken).rejects.toMatchObject({ code: "UPGRADE_REFUSED" });
    expect(errors).toHaveLength(1);
    const controller = new AbortController();
    const leaving = dial(served.address, { webSocket: { token: "slow" }, signal: controller.signal });
    await until("the slow one is asked about", 5_000, () => asked === 4);
    controller.abort(new Error("enough"));
    await expect(leaving).rejects.toThrow("enough");
    resolve(undefined);
    // What left is not noticed before it is read.
    await until("the slow one is over", 5_000, () => served.accepted[0]?.told.closes === 1);
    const { socket, answer: other } = await handshake(served.port, { Authorization: "Bearer slow" });
    expect(other).toMatch(/ 101 /);
    socket.destroy();
  });

  it("want the rest of a handshake as well", async () => {
    const served = await serving();
    expect((await handshake(served.port, { "Sec-WebSocket-Key": "short" })).answer).toMatch(/ 400 /);
    expect((await handshake(served.port, { "Sec-WebSocket-Version": "7" })).answer).toMatch(/ 400 /);
    expect(served.accepted).toHaveLength(0);
  });
});

describe("a peer that breaks the rules", () => {
  const small = Buffer.from("x");
  it.each<[string, Buffer | Buffer[], number]>([
    ["a text message", frame(1, small), 1003],
    ["a message beyond the limit", frame(2, Buffer.alloc(1_048_577)), 1009],
    [
      "fragments beyond the limit",
      [frame(2, Buffer.alloc(600_000), { fin: false }), frame(0, Buffer.alloc(600_000))],
      1009,
    ],
    ["a length of 2^63", Buffer.from("82ff7fffffffffffffff00000000", "hex"), 1009],
    [
      "too many fragments",
      [frame(2, small, { fin: false }), ...Array<Buffer>(300).fill(frame(0, small, { fin: false }))],
      1008,
    ],
    ["no mask", frame(2, small, { masked: false }), 1002],
    ["a reserved opcode", frame(3, small), 1002],
    ["a reserved bit", frame(2, small, { reserved: 4 }), 1002],
    ["a continuation without a start", frame(0, small), 1002],
    ["a start within a message", [frame(2, small, { fin: false }), frame(2, small)], 1002],
    ["a ping in fragments", frame(9, small, { fin: false }), 1002],
    ["a ping of 126 bytes", frame(9, Buffer.alloc(126)), 1002],
    ["a close of one byte", frame(8, small), 1002],
    ["a close code that cannot be", frame(8, Buffer.from([0x03, 0xee])), 1002],
  ])("%s closes its connection and no other", async (_name, frames, code) => {
    const served = await serving();
    const { near, told: bystander } = await dialled(served);
    const { socket } = await handshake(served.port);
    await until("the server has it", 5_000, () => served.accepted.length === 2);
    const { told } = served.accepted[1]!;
    expect(await closeCode(socket, () => socket.write(Buffer.concat([frames].flat())))).toBe(code);
    await told.until(() => told.closes > 0);
    expect(told.bytes).toBe(0);
    expect(told.error).toMatchObject({ code: "WEBSOCKET_VIOLATION" });
    near.send([Buffer.from("still here")]);
    await served.accepted[0]!.told.until(() => served.accepted[0]!.told.bytes === 10);
    expect(bystander.closes).toBe(0);
  });

  it("by pinging without reading is cut", async () => {
    const served = await serving();
    const { socket } = await handshake(served.port);
    socket.pause();
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const pings = Buffer.concat(Array<Buffer>(5_000).fill(frame(9, Buffer.alloc(125))));
    const flood = () => {
      if (!socket.destroyed) socket.write(pings, flood);
    };
    flood();
    const { told } = served.accepted[0]!;
    await told.until(() => told.closes > 0);
    expect(told.error).toMatchObject({ code: "CONNECTION_LOST" });
  });

  it("by compressing far more than fits while nobody reads is cut", async () => {
    const served = await serving({ perMessageDeflate: true });
    const { socket, answer } = await handshake(served.port, {
      "Sec-WebSocket-Extensions": "permessage-deflate",
    });
    expect(answer).toContain("permessage-deflate");
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const { connection, told } = served.accepted[0]!;
    told.onData = () => connection.pause();
    const bomb = deflateRawSync(Buffer.alloc(1_000_000), { finishFlush: 2 }).subarray(0, -4);
    const code = closeCode(socket, () => {
      socket.write(Buffer.concat(Array<Buffer>(40).fill(frame(2, bomb, { reserved: 4 }))));
    });
    expect(await code).toBe(1008);
    await told.until(() => told.closes > 0);
    expect(told.bytes).toBe(1_000_000);
    expect(told.error).toMatchObject({ code: "WEBSOCKET_VIOLATION" });
  });

  it("by vanishing without a close frame is lost", async () => {
    const served = await serving();
    const { socket } = await handshake(served.port);
    await until("the server has it", 5_000, () => served.accepted.length === 1);
    const { told } = served.accepted[0]!;
    socket.resetAndDestroy();
    await told.until(() => told.closes > 0);
    expect(told.error).toMatchObject({ code: "CONNECTION_LOST" });
  });
});
