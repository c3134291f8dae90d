import { describe, expect, it } from "vitest";
import { bytesCodec, Client, defineFunction, type StandardSchema, ValueInvalid } from "../src/index.ts";
import { ScriptedServers } from "./scripted-server.ts";

/** A schema as a library would give it: checks by a function, and may transform, at once or later. */
function schema<In, Out>(parse: (value: unknown) => Out, later = false): StandardSchema<In, Out> {
  const validate = (value: unknown) => {
    try {
      return { value: parse(value) };
    } catch (error) {
      return { issues: [{ message: (error as Error).message, path: ["size", { key: 0 }] }] };
    }
  };
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: later ? async (value) => validate(value) : validate,
    },
  };
}

const positive = (value: unknown): number => {
  if (typeof value !== "number" || value <= 0) throw new Error("must be positive");
  return value;
};

describe("defineFunction", () => {
  it("encodes and decodes JSON, with nothing for undefined", async () => {
    const define = defineFunction({ name: "f" });
    expect(Buffer.from(await define.encodeInput({ a: ["ü"] })).toString()).toBe('{"a":["ü"]}');
    expect(await define.decodeOutput(Buffer.from('{"a":1}'))).toEqual({ a: 1 });
    expect((await define.encodeOutput(undefined)).length).toBe(0);
    expect(await define.decodeInput(new Uint8Array(0))).toBeUndefined();
  });

  it("checks values at both ends and names what is wrong", async () => {
    for (const later of [false, true]) {
      const define = defineFunction({
        name: "f",
        input: schema<number, number>(positive, later),
        output: schema<number, number>(positive, later),
      });
      await expect((async () => define.encodeInput(-1))()).rejects.toMatchObject({
        code: "INPUT_INVALID",
        message: "INPUT_INVALID: f: size.0: must be positive",
        issues: [{ message: "must be positive" }],
      });
      await expect((async () => define.decodeInput(Buffer.from("-1")))()).rejects.toMatchObject({
        code: "INPUT_INVALID",
      });
      await expect((async () => define.decodeOutput(Buffer.from("0")))()).rejects.toMatchObject({
        code: "OUTPUT_INVALID",
      });
      expect(await define.decodeOutput(Buffer.from("3"))).toBe(3);
    }
  });

  it("transforms where a value arrives, and sends it as it was given", async () => {
    const define = defineFunction({ name: "f", input: schema<string, number>((value) => Number(value)) });
    expect(Buffer.from(await define.encodeInput("12")).toString()).toBe('"12"');
    expect(await define.decodeInput(Buffer.from('"12"'))).toBe(12);
  });

  it("tells what cannot be encoded or decoded as invalid", async () => {
    const define = defineFunction({ name: "f" });
    expect(() => define.encodeInput(1n)).toThrow(ValueInvalid);
    expect(() => define.decodeOutput(Buffer.from("{"))).toThrow(ValueInvalid);
    expect(() => define.decodeOutput(Uint8Array.of(0xff))).toThrow(ValueInvalid);
  });
});

describe("a defined function", () => {
  it("is called with its types, and its result is decoded and checked", async () => {
    const servers = new ScriptedServers();
    servers.listen("gm1");
    await using client = new Client({ servers: "gm1", dial: servers.dial });
    const double = defineFunction({
      name: "double",
      input: schema<number, number>(positive),
      output: schema<number, number>(positive, true),
    });
    const job = client.submit(double, 21, { unique: "u" });
    const peer = await servers.accepted();
    expect(await peer.next()).toBe("SUBMIT_JOB double u 21");
    peer.send("JOB_CREATED", ["H:1"]);
    peer.send("WORK_COMPLETE", ["H:1"], "42");
    const result: number = await job.result();
    expect(result).toBe(42);

    const wrong = client.submit(double, 21);
    await peer.next();
    peer.send("JOB_CREATED", ["H:2"]);
    peer.send("WORK_COMPLETE", ["H:2"], "-1");
    await expect(wrong.result()).rejects.toMatchObject({ code: "OUTPUT_INVALID" });
    await expect(client.submit(double, -21).result()).rejects.toMatchObject({ code: "INPUT_INVALID" });
    await expect(client.background(double, -21)).rejects.toMatchObject({ code: "INPUT_INVALID" });

    const raw = defineFunction<Uint8Array, Uint8Array, Uint8Array, Uint8Array>({
      name: "raw",
      codec: bytesCodec,
    });
    const handle = client.background(raw, Uint8Array.of(0x61, 0x62));
    expect(await peer.next()).toBe("SUBMIT_JOB_BG raw  ab");
    peer.send("JOB_CREATED", ["H:3"]);
    expect(await handle).toBe("H:3");
  });

  it("with a schema that takes its time is submitted when it is done, and not at all when given up before", async () => {
    const servers = new ScriptedServers();
    servers.listen("gm1");
    await using client = new Client({ servers: "gm1", dial: servers.dial });
    const slow = defineFunction({ name: "slow", input: schema<number, number>(positive, true) });
    const controller = new AbortController();
    const given = client.submit(slow, 1, { signal: controller.signal });
    const kept = client.submit(slow, 2);
    controller.abort(new Error("no"));
    const peer = await servers.accepted();
    expect(await peer.next()).toBe("SUBMIT_JOB slow  2");
    await expect(given.result()).rejects.toThrow("no");
    expect(kept.over).toBe(false);
    await expect(client.submit(slow, 0).result()).rejects.toMatchObject({ code: "INPUT_INVALID" });
    kept.result().catch(() => {});
  });
});
