import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type NetConnectOpts } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../peers/until.ts";
import { Bystander } from "./bystander.ts";
import { mutatedStream, Random } from "./streams.ts";

/** Seed of all streams; a failure names the stream's number, and both repeat it. */
const SEED = 20_260_701;
const STREAMS_UNIX = 98_000;
/** Few, so that closed connections do not use up the ports of the machine. */
const STREAMS_TCP = 2_000;
const AT_ONCE = 48;
/** A connection that is still open this long after its peer has ended its half hangs. */
const HANG_MS = 20_000;

interface Report {
  readonly rssBytes: number;
  readonly peers: number;
  readonly jobs: number;
  readonly workloadBytes: number;
  readonly problems: number;
}

describe("a live server under nonsense", () => {
  const folder = mkdtempSync(join(tmpdir(), "drover-fuzz-"));
  const path = join(folder, "socket");
  let server: ChildProcess;
  let port = 0;

  beforeAll(async () => {
    server = fork(join(import.meta.dirname, "server-process.ts"), [`unix:${path}`, "127.0.0.1:0"], {
      execArgv: ["--expose-gc"],
    });
    const [message] = (await once(server, "message")) as [{ ports: number[] }];
    port = message.ports.find((each) => each > 0)!;
  });
  afterAll(() => {
    server.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });

  const report = async (): Promise<Report> => {
    const answer = once(server, "message");
    server.send("report");
    return ((await answer) as [Report])[0];
  };

  test(`${STREAMS_UNIX + STREAMS_TCP} mutated streams are answered or closed, and nobody else notices`, {
    timeout: 600_000,
  }, async () => {
    // The first streams fill the server's pools and compile its code: memory is compared from there on.
    await send({ path }, 0, 3_000);
    const before = await report();
    const bystander = new Bystander(path);
    const hung = [
      ...(await send({ path }, 3_000, STREAMS_UNIX)),
      ...(await send({ host: "127.0.0.1", port }, STREAMS_UNIX, STREAMS_UNIX + STREAMS_TCP)),
    ];
    await bystander.stop();
    expect(hung, `streams of seed ${SEED} whose connection hung`).toEqual([]);
    expect(bystander.problems).toEqual([]);
    expect(bystander.done).toBeGreaterThan(1_000);
    expect(server.exitCode, "the server is still there").toBeNull();
    const after = await until("the server has seen every connection end", HANG_MS, async () => {
      const now = await report();
      return now.peers === 0 ? now : undefined;
    });
    expect(after.problems).toBe(0);
    // Background jobs of valid packets stay queued, as they should; what they take is not lost memory.
    const allowed = 1.2 * before.rssBytes + 32 * 1024 * 1024 + 1024 * (after.jobs - before.jobs);
    expect(after.rssBytes).toBeLessThan(allowed);
  });
});

/** Sends the streams numbered `[from, to)`, several at a time. @returns the numbers of those that hung. */
async function send(where: NetConnectOpts, from: number, to: number): Promise<number[]> {
  const hung: number[] = [];
  let next = from;
  const lane = async () => {
    while (next < to) {
      const number = next++;
      if (!(await sendOne(where, number))) hung.push(number);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return hung;
}

/** Sends one stream, in one or two pieces, and waits for the end. @returns false when the connection hung. */
function sendOne(where: NetConnectOpts, number: number): Promise<boolean> {
  const random = new Random(SEED + number);
  const stream = mutatedStream(random);
  const cut = random.below(stream.length + 1);
  return new Promise((resolve) => {
    const socket = connect(where);
    const watchdog = setTimeout(() => {
      socket.destroy();
      resolve(false);
    }, HANG_MS);
    socket.on("connect", () => {
      socket.write(stream.subarray(0, cut));
      if (random.below(20) === 0) {
        socket.destroy();
        return;
      }
      socket.end(stream.subarray(cut));
    });
    socket.on("error", () => {
      // A server may close while the peer still writes: the close that follows is what counts.
    });
    socket.on("close", () => {
      clearTimeout(watchdog);
      resolve(true);
    });
    socket.resume();
  });
}
