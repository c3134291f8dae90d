import { describe, expect, it } from "vitest";
import { MemoryNetwork, memoryPair, SeededScheduler, TransportError } from "../src/index.ts";
import { connectionConformance, HalfOpenRecorder, pattern, Recorder } from "./conformance.ts";

connectionConformance("memory", async (nearHandlers, farHandlers) => {
  const [near, far] = memoryPair();
  near.attach(nearHandlers);
  far.attach(farHandlers);
  return { near, far, dispose: async () => {} };
});

connectionConformance("memory, cut and delayed by a seed,", async (nearHandlers, farHandlers) => {
  const scheduler = new SeededScheduler(7);
  const [near, far] = memoryPair({ scheduler });
  near.attach(nearHandlers);
  far.attach(farHandlers);
  // Something has to turn the crank while the suite awaits; what happens still follows from the seed.
  let turning = true;
  const turn = () => {
    for (let i = 0; i < 64 && scheduler.step(); i++);
    if (turning) setImmediate(turn);
  };
  turn();
  return {
    near,
    far,
    dispose: async () => {
      turning = false;
    },
  };
});

describe("SeededScheduler", () => {
  function trace(seed: number): string {
    const scheduler = new SeededScheduler(seed);
    const [near, far] = memoryPair({ scheduler });
    const nearTold = new Recorder();
    const farTold = new Recorder();
    near.attach(nearTold);
    far.attach(farTold);
    near.send([pattern(500)]);
    far.send([pattern(300)]);
    near.end();
    scheduler.run();
    expect(farTold.joined().equals(pattern(500))).toBe(true);
    return JSON.stringify([farTold.chunks.map((chunk) => chunk.length), nearTold.told, farTold.told]);
  }

  it("gives equal runs for equal seeds and different ones for different seeds", () => {
    expect(trace(1)).toBe(trace(1));
    expect(new Set([1, 2, 3, 4, 5].map(trace)).size).toBeGreaterThan(1);
  });
});

describe("memory connections", () => {
  it("nothing happens before the scheduler says so", () => {
    const scheduler = new SeededScheduler(1);
    const [near, far] = memoryPair({ scheduler });
    const told = new Recorder();
    near.attach(new Recorder());
    far.attach(told);
    near.send([pattern(10)]);
    expect(told.bytes).toBe(0);
    scheduler.run();
    expect(told.bytes).toBe(10);
  });

  it("severing loses what is under way and tells both ends why", () => {
    const scheduler = new SeededScheduler(1);
    const [near, far] = memoryPair({ scheduler });
    const nearTold = new Recorder();
    const farTold = new Recorder();
    near.attach(nearTold);
    far.attach(farTold);
    near.send([pattern(10)]);
    near.sever("cable cut");
    scheduler.run();
    expect(farTold.bytes).toBe(0);
    expect([nearTold.closes, farTold.closes]).toEqual([1, 1]);
    expect(nearTold.error).toMatchObject({ code: "CONNECTION_LOST" });
    expect(farTold.error?.message).toContain("cable cut");
  });

  it("sending to an end that was destroyed ends in an error", () => {
    const scheduler = new SeededScheduler(1);
    const [near, far] = memoryPair({ scheduler });
    const nearTold = new HalfOpenRecorder();
    near.attach(nearTold);
    far.attach(new Recorder());
    far.destroy();
    scheduler.run();
    expect(nearTold.told).toEqual(["ended"]);
    near.send([pattern(1)]);
    scheduler.run();
    expect(nearTold.error).toMatchObject({ code: "CONNECTION_LOST" });
    expect(nearTold.closes).toBe(1);
  });
});

describe("MemoryNetwork", () => {
  it("connects a dialler with the listener of that name, as long as it listens", async () => {
    const scheduler = new SeededScheduler(1);
    const network = new MemoryNetwork({ scheduler });
    const accepted: Recorder[] = [];
    const peers: string[] = [];
    const listener = network.listen("server", (connection) => {
      const told = new Recorder();
      peers.push(connection.peer.address);
      connection.attach(told);
      accepted.push(told);
    });
    expect(() => network.listen("server", () => {})).toThrow(TransportError);
    const near = network.dial("server", "someone");
    near.attach(new Recorder());
    near.send([pattern(5)]);
    scheduler.run();
    expect(accepted[0]!.bytes).toBe(5);
    expect(peers).toEqual(["someone"]);
    expect(near.peer).toEqual({ transport: "memory", address: "server", port: 0 });
    await listener.close();
    expect(() => network.dial("server")).toThrow(/CONNECTION_REFUSED/);
  });
});
