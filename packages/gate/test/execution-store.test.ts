import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ExecutionStore } from "../src/index.ts";
import { MAX_WORKERS, SILENT_MS, type WorkerFacts, WorkerList } from "../src/scheduler/worker-list.ts";

const ID = "01234567-0123-0123-0123-0123456789ab";

let folder: string;
let store: ExecutionStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "drover-executions-"));
  store = new ExecutionStore(folder, { maxLogBytes: 20, maxArtifacts: 2, maxArtifactBytes: 10 });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a piece of a log is taken once, where the log ends", async () => {
  expect(await store.appendLog(ID, 0, Buffer.from("one"))).toBe(3);
  expect(await store.appendLog(ID, 0, Buffer.from("one"))).toBe(3);
  expect(await store.appendLog(ID, 9, Buffer.from("far"))).toBe(3);
  const twice = [" two", " two"].map((piece) => store.appendLog(ID, 3, Buffer.from(piece)));
  expect(await Promise.all(twice)).toEqual([7, 7]);
  expect(await store.appendLog(ID, 3, Buffer.from(" two"))).toBe(7);
  expect(Buffer.from((await store.readLog(ID))!.bytes).toString()).toBe("one two");
});

test("a log longer than its limit is refused, and what was there stays", async () => {
  await store.appendLog(ID, 0, Buffer.alloc(20, "x"));
  await expect(store.appendLog(ID, 20, Buffer.from("y"))).rejects.toThrow(
    "EXECUTION_REFUSED: a log may have 20 bytes",
  );
  expect((await store.readLog(ID))!.bytes).toHaveLength(20);
});

test("artifacts are taken whole, within their limits, and again in place of themselves", async () => {
  const put = (name: string, text: string) => store.putArtifact(ID, name, Readable.from([Buffer.from(text)]));
  await put("a/b", "12345");
  await put("a/b", "1234567890");
  expect(readFileSync(join(folder, ID, "artifacts/a/b"), "utf8")).toBe("1234567890");
  await expect(put("c", "1")).rejects.toThrow("artifacts may have 10 bytes together");
  await put("a/b", "1");
  await put("c", "1");
  await expect(put("d", "1")).rejects.toThrow("at most 2 artifacts are kept");
  for (const name of ["../x", "a/../../x", "", "a//b", ".."])
    await expect(put(name, "1")).rejects.toThrow("is no name of an artifact");
});

test("artifacts that come at once have no more room than one after the other", async () => {
  const big = ["a", "b", "c"].map((name) => ({ name, content: new PassThrough() }));
  const put = big.map(({ name, content }) => store.putArtifact(ID, name, content));
  for (const { content } of big) content.write("1234");
  await new Promise((resolve) => setImmediate(resolve));
  for (const { content } of big) content.end("56");
  const results = await Promise.allSettled(put);
  expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected", "rejected"]);
  const told = results.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
  expect(told.join()).toContain("artifacts may have 10 bytes together");
  const small = await Promise.allSettled(
    ["d", "e", "f"].map((name) => store.putArtifact(ID, name, Readable.from([Buffer.from("1")]))),
  );
  expect(small.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(readdirSync(join(folder, ID)).filter((name) => name.startsWith("coming"))).toEqual([]);
  expect(readdirSync(join(folder, ID, "artifacts"))).toHaveLength(2);
});

test("only names of executions elsewhere are taken", async () => {
  for (const name of ["..", "x", `../${ID}`, ID.toUpperCase()])
    await expect(store.appendLog(name, 0, Buffer.from("x"))).rejects.toThrow("is no execution elsewhere");
});

test("what was handed in is forgotten by its age, then by its size", async () => {
  await store.appendLog(ID, 0, Buffer.from("x"));
  expect(await store.sweep(0, 1)).toEqual([]);
  expect(await store.sweep(0, 0)).toEqual([ID]);
  expect(store.folderOf(ID)).toBeUndefined();
});

test("a worker that tells nothing is silent after a while, and forgotten later", () => {
  let nowMs = 0;
  const list = new WorkerList(
    () => [],
    () => nowMs,
  );
  const facts: WorkerFacts = {
    kind: "merger",
    name: "m",
    isConnected: true,
    accepts: true,
    why: null,
    slots: 1,
    running: [],
    isolation: null,
  };
  expect(list.tell(facts)).toBe(true);
  nowMs = SILENT_MS + 1;
  expect(list.list()).toMatchObject([{ name: "m", isSilent: true, isHere: false }]);
  nowMs = 3_600_000;
  expect(list.list()).toEqual([]);
  for (let at = 0; at < MAX_WORKERS; at++) expect(list.tell({ ...facts, name: String(at) })).toBe(true);
  expect(list.tell({ ...facts, name: "one more" })).toBe(false);
});
