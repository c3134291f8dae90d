import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ScriptedPeer, ScriptedServers, settled } from "../../client/test/scripted-server.ts";
import { type HandleOptions, Worker } from "../src/index.ts";

const module = new URL("./modules/shout.ts", import.meta.url);

let servers: ScriptedServers;
let worker: Worker;
let peer: ScriptedPeer;
beforeEach(() => {
  servers = new ScriptedServers();
  servers.listen("gm1");
  worker = new Worker({ servers: "gm1", dial: servers.dial, concurrency: 3, heartbeatMs: 0 });
});
afterEach(() => worker.close());

async function begin(threads: { size?: number; abortGraceMs?: number } = {}, options: HandleOptions = {}) {
  worker.handle("f", { threads: { module, size: 2, ...threads } }, options);
  await worker.run();
  peer = await servers.accepted();
}

async function report(handle: string, ends = /^WORK_(COMPLETE|FAIL|EXCEPTION)/): Promise<string> {
  for (;;) {
    const word = peer.all.find((one) => ends.test(one) && one.split(" ")[1] === handle);
    if (word !== undefined) return word;
    await settled();
  }
}

const assign = (handle: string, workload: string) =>
  peer.send("JOB_ASSIGN_UNIQ", [handle, "f", ""], workload);

describe("handlers in threads", () => {
  it("do jobs, more than there are threads, and their reports come in order", async () => {
    await begin();
    for (const [handle, workload] of [
      ["H:1", "a"],
      ["H:2", "report"],
      ["H:3", "c"],
    ] as const) {
      assign(handle, workload);
    }
    expect(await report("H:1")).toBe("WORK_COMPLETE H:1 A");
    expect(await report("H:2")).toBe("WORK_COMPLETE H:2 REPORT");
    expect(await report("H:3")).toBe("WORK_COMPLETE H:3 C");
    expect(peer.all.filter((word) => word.includes("H:2"))).toEqual([
      "WORK_STATUS H:2 1 2",
      "WORK_DATA H:2 one",
      "WORK_WARNING H:2 two",
      "WORK_COMPLETE H:2 REPORT",
    ]);
  });

  it("fail as handlers here do", async () => {
    await begin();
    assign("H:1", "throw");
    assign("H:2", "fail");
    expect(await report("H:1")).toBe("WORK_EXCEPTION H:1 thrown in a thread");
    expect(await report("H:2")).toBe("WORK_FAIL H:2");
  });

  it("that end their thread fail their job; the next gets a new thread", async () => {
    await begin({ size: 1 });
    assign("H:1", "exit");
    assign("H:2", "b");
    expect(await report("H:1")).toMatch(/^WORK_EXCEPTION H:1 THREAD_ENDED/);
    expect(await report("H:2")).toBe("WORK_COMPLETE H:2 B");
  });

  it("are told to stop", async () => {
    await begin({ abortGraceMs: 600_000 }, { timeoutMs: 50 });
    assign("H:1", "wait");
    expect(await report("H:1")).toBe("WORK_COMPLETE H:1 stopped: JOB_OVERDUE");
  });

  it("that do not stop are stopped with their thread", async () => {
    await begin({ abortGraceMs: 5, size: 1 }, { timeoutMs: 300 });
    assign("H:1", "hang");
    expect(await report("H:1")).toBe("WORK_FAIL H:1");
    await worker.close();
  });

  it("from a module that is none fail with its name", async () => {
    worker.handle("g", { threads: { module: "/nowhere/to/be/found.js" } });
    await begin();
    peer.send("JOB_ASSIGN_UNIQ", ["H:1", "g", ""], "x");
    expect(await report("H:1")).toMatch(/^WORK_EXCEPTION H:1 .*nowhere/);
  });
});
