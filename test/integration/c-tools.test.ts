import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { serverUnderTest, startServer, type TestServer } from "../peers/servers.ts";
import { until } from "../peers/until.ts";
import { untilStatus, untilWaiting } from "./admin.ts";
import { Gate } from "./gate.ts";
import { type Ended, type Running, runProgram, startProgram } from "./programs.ts";

describeWith(["gearman-tools"], "the gearman command", () => {
  let server: TestServer;
  let folder: string;
  let workers: Running[];
  beforeEach(async () => {
    server = await startServer(serverUnderTest);
    folder = mkdtempSync(join(tmpdir(), "drover-tools-"));
    workers = [];
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.kill("SIGTERM")));
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  const at = () => ["-h", server.host, "-p", String(server.port)];
  const gearman = (args: string[], input = ""): Promise<Ended> =>
    runProgram("gearman", [...at(), ...args], input);
  /** Starts the tool as a worker that runs a command for each job, and waits until the server knows. */
  async function work(name: string, options: string[], ...command: string[]): Promise<Running> {
    const worker = startProgram("gearman", [...at(), "-w", "-f", name, ...options, "--", ...command]);
    workers.push(worker);
    await untilStatus(server, name, "a worker", (status) => status.workers > 0);
    return worker;
  }
  /** A worker whose jobs add their workload to a file, one line each. */
  const log = () => join(folder, "log");
  const recorder = (name: string, ...options: string[]) =>
    work(name, options, "sh", "-c", `cat >> ${log()}; echo >> ${log()}`);
  const logged = () => (existsSync(log()) ? readFileSync(log(), "utf8").trim().split("\n") : []);

  describe("as a client", () => {
    test("sends an argument and prints the result", async () => {
      await work("upper", [], "tr", "a-z", "A-Z");
      expect(await gearman(["-f", "upper", "hello"])).toMatchObject({ code: 0, stdout: "HELLO" });
    });

    test("sends its input", async () => {
      await work("upper", [], "tr", "a-z", "A-Z");
      const input = "many lines\n".repeat(5_000);
      expect(await gearman(["-f", "upper"], input)).toMatchObject({ code: 0, stdout: input.toUpperCase() });
    });

    test("sends an empty workload with -s", async () => {
      await work("size", [], "wc", "-c");
      expect((await gearman(["-s", "-f", "size"])).stdout.trim()).toBe("0");
    });

    test("makes a job of each line with -n and strips the line's end with -N", async () => {
      await work("upper", [], "tr", "a-z", "A-Z");
      expect((await gearman(["-n", "-f", "upper"], "one\ntwo\n")).stdout).toBe("ONE\nTWO\n");
      expect((await gearman(["-N", "-f", "upper"], "one\ntwo\n")).stdout).toBe("ONETWO");
    });

    test("tells the function before each line with -P", async () => {
      await work("upper", [], "tr", "a-z", "A-Z");
      expect((await gearman(["-n", "-P", "-f", "upper"], "one\ntwo\n")).stdout).toBe(
        "upper: ONE\nupper: TWO\n",
      );
    });

    test("asks several functions", async () => {
      await work("upper", [], "tr", "a-z", "A-Z");
      await work("rot", [], "tr", "a-z", "n-za-m");
      const { lines } = await gearman(["-n", "-f", "upper", "-f", "rot"], "abc\n");
      expect(lines.sort()).toEqual(["ABC", "nop"]);
    });

    test("ends with a failure when the worker's command fails", async () => {
      await work("bad", [], "sh", "-c", "exit 3");
      expect(await gearman(["-f", "bad", "x"])).toMatchObject({ code: 1, stdout: "" });
    });

    test("submits in the background with -b, and priorities decide the order", async () => {
      await gearman(["-b", "-L", "-f", "record", "low"]);
      await gearman(["-b", "-f", "record", "normal"]);
      await gearman(["-b", "-I", "-f", "record", "high"]);
      await untilStatus(server, "record", "three jobs", (status) => status.total === 3);
      await recorder("record");
      await until("all are done", 30_000, () => logged().length === 3);
      expect(logged()).toEqual(["high", "normal", "low"]);
    });

    test("joins a job of the same unique with -u", async () => {
      const gate = new Gate();
      const script = `echo started >> ${gate.folder}/started; until [ -e ${gate.folder}/gate ]; do sleep 0.01; done; cat`;
      await work("shared", [], "sh", "-c", script);
      const first = startProgram("gearman", [...at(), "-f", "shared", "-u", "key", "first"]);
      await gate.started();
      const second = startProgram("gearman", [...at(), "-f", "shared", "-u", "key", "second"]);
      await untilWaiting(server, "key", 2);
      gate.open();
      expect((await first.ended).stdout).toBe("first");
      expect((await second.ended).stdout).toBe("first");
      expect(gate.starts()).toHaveLength(1);
    });
  });

  describe("as a worker", () => {
    test("ends after as many jobs as -c says", async () => {
      const worker = await recorder("record", "-c", "2");
      await gearman(["-f", "record", "one"]);
      await gearman(["-f", "record", "two"]);
      expect((await worker.ended).code).toBe(0);
      await gearman(["-b", "-f", "record", "three"]);
      await untilStatus(
        server,
        "record",
        "a job nobody does",
        (status) => status.total === 1 && status.workers === 0,
      );
      expect(logged()).toEqual(["one", "two"]);
    });

    test("sends each line as data with -n", async () => {
      await work("lines", ["-n"], "sh", "-c", "echo one; echo two");
      const { stdout } = await gearman(["-f", "lines", "x"]);
      // The tool itself sends its first line twice.
      expect(stdout).toBe("one\none\ntwo\n");
    });

    test("offers several functions", async () => {
      const worker = startProgram("gearman", [...at(), "-w", "-f", "a", "-f", "b", "--", "cat"]);
      workers.push(worker);
      await untilStatus(server, "b", "a worker", (status) => status.workers > 0);
      await untilStatus(server, "a", "a worker", (status) => status.workers > 0);
      expect((await gearman(["-f", "a", "for a"])).stdout).toBe("for a");
      expect((await gearman(["-f", "b", "for b"])).stdout).toBe("for b");
    });
  });
});
