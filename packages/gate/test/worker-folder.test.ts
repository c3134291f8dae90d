import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { RemoteExecutor, RemoteMerger } from "../src/index.ts";

const folder = mkdtempSync(join(tmpdir(), "drover-worker-folder-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Nobody is there, which neither has to know to find its folder taken. */
const options = (inFolder: string) => ({
  folder: join(folder, inFolder),
  gate: { url: "http://127.0.0.1:9", token: "x" },
  servers: ["127.0.0.1:9"],
  name: "one",
  slots: 1,
  log: { debug() {}, info() {}, warn() {}, error() {} },
});

describe("the folder of an executor or a merger", () => {
  test("is its own, until it ends", async () => {
    const merger = await RemoteMerger.start(options("mine"));
    const taken = {
      code: "WORKER_FOLDER_IN_USE",
      message: expect.stringContaining("another process works in"),
    };
    await expect(RemoteMerger.start(options("mine"))).rejects.toMatchObject(taken);
    await expect(RemoteExecutor.start(options("mine"))).rejects.toMatchObject(taken);
    await merger.close();
    const executor = await RemoteExecutor.start(options("mine"));
    await expect(RemoteMerger.start(options("mine"))).rejects.toMatchObject(taken);
    await executor.close();
  });

  test("is not a gate's", async () => {
    writeFileSync(join(folder, "gate.yaml"), "");
    const taken = { code: "WORKER_FOLDER_IN_USE", message: expect.stringContaining("is a gate's") };
    await expect(RemoteMerger.start(options(""))).rejects.toMatchObject(taken);
    await expect(RemoteExecutor.start(options(""))).rejects.toMatchObject(taken);
  });

  test("has to be one that can be written", async () => {
    writeFileSync(join(folder, "file"), "");
    await expect(RemoteMerger.start(options("file"))).rejects.toMatchObject({
      code: "WORKER_FOLDER_IN_USE",
      message: expect.stringContaining("cannot be used"),
    });
  });
});
