import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { bytesOf, encodePacket, PacketType, REQ } from "@drover/protocol";
import { backupStore, restoreStore, verifyBackup } from "@drover/server";
import { countsOf, jobsOf, type ScratchSettings, type Stage, until } from "./stage.ts";

/** A game day: what is done to a server, and what has to hold. */
export interface Drill {
  readonly name: string;
  readonly title: string;
  /** What will happen. */
  readonly plan: readonly string[];
  /** What should hold. */
  readonly promises: readonly string[];
  /** Whether it may play on a server that others use. */
  readonly onTarget: boolean;
  readonly settings?: ScratchSettings;
  readonly play: (stage: Stage) => Promise<void>;
}

/** A function of this drill's own, so that it meets nobody else's jobs. */
const ownFunction = (): string => `drill-${randomBytes(4).toString("hex")}`;

const ms = (value: number): string => `${Math.round(value)} ms`;

async function timed<T>(action: () => Promise<T>): Promise<[T, number]> {
  const began = performance.now();
  return [await action(), performance.now() - began];
}

async function workerLoss(stage: Stage): Promise<void> {
  const fn = ownFunction();
  const jobs = 60;
  const [program, script] = process.argv as [string, string];
  const workers = Array.from({ length: 3 }, () => {
    const words = ["work", "-h", stage.server, "-f", fn, "--", "sh", "-c", "sleep 0.1; cat"];
    return spawn(program, [...process.execArgv, script, ...words], { stdio: "ignore", detached: true });
  });
  const killed = new Set<number>();
  const kill = (pid: number): void => {
    killed.add(pid);
    try {
      // With the program that it runs.
      process.kill(-pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  };
  stage.atEnd(() => {
    for (const { pid } of workers) kill(pid!);
  });
  const client = stage.client();
  const names = Array.from({ length: jobs }, (_, i) => `job ${i}`);
  stage.tell(`three workers, ${jobs} jobs of a tenth of a second each`);
  let done = 0;
  const results = names.map(async (name) => {
    const result = Buffer.from(await client.submit(fn, name, { unique: name }).result()).toString();
    done++;
    return result;
  });
  const all = Promise.allSettled(results);
  await until("some jobs are done", () => done >= 6);
  for (const { pid } of workers.slice(0, 2)) kill(pid!);
  stage.tell(`killed two of the workers at work, with ${done} jobs done`);
  const [settled, tookMs] = await timed(() => all);
  const right = settled.filter((one, i) => one.status === "fulfilled" && one.value === names[i]).length;
  stage.tell(`all jobs ended ${ms(tookMs)} later`);
  stage.check("every submitter gets its result", right === jobs, `${right} of ${jobs}`);
  stage.check(
    "nothing is left behind",
    (await jobsOf(stage.server, fn)) === 0,
    `${await jobsOf(stage.server, fn)} jobs left`,
  );
}

async function serverKill(stage: Stage): Promise<void> {
  const fn = ownFunction();
  const jobs = 500;
  const client = stage.client();
  const names = Array.from({ length: jobs }, (_, i) => `job ${i}`);
  const runs = new Map<string, number>();
  const handle = (name: string): string => {
    runs.set(name, (runs.get(name) ?? 0) + 1);
    return "";
  };
  const [, submittedMs] = await timed(() =>
    Promise.all(names.map((name) => client.background(fn, name, { unique: name }))),
  );
  stage.tell(`${jobs} background jobs were acknowledged in ${ms(submittedMs)}`);
  await stage.worker(fn, async (name) => {
    await after(5);
    return handle(name);
  });
  await until("some jobs are done", () => runs.size >= 50);
  await stage.scratch.end("SIGKILL");
  stage.tell(`killed the server with ${runs.size} jobs begun`);
  const [, readyMs] = await timed(() => stage.scratch.start());
  stage.tell(`the server is back ${ms(readyMs)} later, on ${stage.server}`);
  await stage.worker(fn, handle, 16);
  await until("no job is left", async () => (await jobsOf(stage.server, fn)) === 0);
  const again = [...runs.values()].reduce((sum, count) => sum + count - 1, 0);
  stage.tell(`all jobs are done; ${again} ran again`);
  stage.check("every acknowledged job ran", runs.size === jobs, `${runs.size} of ${jobs}`);
  const most = Math.max(...runs.values());
  stage.check("none ran more than once for each life of the server", most <= 2, `at most ${most} times`);
  stage.check("the server is back within 15 s", readyMs < 15_000, ms(readyMs));
}

async function storeFull(stage: Stage): Promise<void> {
  const fn = ownFunction();
  const now = ownFunction();
  const client = stage.client();
  const limitFiles = (bytes: string): boolean =>
    spawnSync("prlimit", [`--fsize=${bytes}:unlimited`, "--pid", String(stage.scratch.pid)]).status === 0;
  if (!limitFiles("400000")) {
    stage.check("the disk can be made full", false, "needs the program prlimit, of the package util-linux");
    return;
  }
  stage.tell("no file of the server may grow beyond 400 kB: to it the disk is nearly full");
  const acknowledged = new Set<string>();
  let refusal = "";
  for (let i = 0; refusal === "" && i < 2000; i++) {
    const name = `job ${i}`;
    try {
      await client.background(fn, `${name} ${"x".repeat(2000)}`, { unique: name });
      acknowledged.add(name);
    } catch (error) {
      refusal = (error as Error).message;
    }
  }
  stage.tell(
    `${acknowledged.size} background jobs were acknowledged, then: ${refusal || "none was refused"}`,
  );
  stage.check(
    "background submissions are refused with a clear error",
    refusal.startsWith("QUEUE_FULL"),
    refusal,
  );
  await stage.worker(now, (text) => text);
  const [answer, answeredMs] = await timed(async () =>
    Buffer.from(await client.submit(now, "hello").result()).toString(),
  );
  stage.check("foreground jobs go on", answer === "hello", `answered in ${ms(answeredMs)}`);
  const fails = (await countsOf(stage.server)).get("store_fails");
  stage.check("the server says so", fails === 1, `store_fails ${fails}`);
  limitFiles("unlimited");
  stage.tell("there is room again");
  const [, recoveredMs] = await timed(() =>
    until("background jobs are taken again", async () => {
      try {
        await client.background(fn, "later", { unique: "later" });
        acknowledged.add("later");
        return true;
      } catch {
        return false;
      }
    }),
  );
  stage.check("it recovers by itself", recoveredMs < 10_000, `after ${ms(recoveredMs)}`);
  const done = new Set<string>();
  await stage.worker(fn, (text) => {
    done.add(text.replace(/ x+$/, ""));
    return "";
  });
  await until("no job is left", async () => (await jobsOf(stage.server, fn)) === 0);
  const lost = [...acknowledged].filter((name) => !done.has(name)).length;
  stage.check("nothing that was acknowledged is lost", lost === 0, `${lost} of ${acknowledged.size} lost`);
}

async function backupRestore(stage: Stage): Promise<void> {
  const fn = ownFunction();
  const jobs = 1000;
  const client = stage.client();
  const names = Array.from({ length: jobs }, (_, i) => `job ${i}`);
  await Promise.all(names.map((name) => client.background(fn, name, { unique: name })));
  stage.tell(`${jobs} background jobs wait`);
  let isLoaded = true;
  let more = 0;
  const load = (async () => {
    for (; isLoaded; more++) await client.background(fn, "", { unique: `more ${more}` });
  })();
  const copy = join(stage.scratch.folder, "copy.db");
  const store = `sqlite:${stage.scratch.store}`;
  const [rows, backupMs] = await timed(() => backupStore({ store }, copy));
  isLoaded = false;
  await load;
  stage.tell(`backed up ${rows} jobs in ${ms(backupMs)}, while ${more} more were submitted`);
  const [verified, verifyMs] = await timed(() => verifyBackup(copy, join(stage.scratch.folder, "verify.db")));
  stage.check(
    "the backup is whole",
    verified.jobs === rows,
    `${verified.jobs} of ${rows} jobs, in ${ms(verifyMs)}`,
  );
  await stage.scratch.end("SIGKILL");
  const restored = join(stage.scratch.folder, "restored.db");
  const [, restoreMs] = await timed(() => restoreStore(copy, { store: `sqlite:${restored}` }));
  await stage.scratch.start(restored);
  stage.tell(`the server is gone; restored into a new store in ${ms(restoreMs)}, and started with it`);
  const done = new Set<string>();
  await stage.worker(
    fn,
    (name) => {
      done.add(name);
      return "";
    },
    16,
  );
  await until("no job is left", async () => (await jobsOf(stage.server, fn)) === 0);
  const missing = names.filter((name) => !done.has(name)).length;
  stage.check("every job from before the backup runs", missing === 0, `${missing} of ${jobs} missing`);
}

async function slowReader(stage: Stage): Promise<void> {
  const fn = ownFunction();
  const small = ownFunction();
  const [host, port] = [stage.server.replace(/:\d+$/, ""), Number(/:(\d+)$/.exec(stage.server)?.[1] ?? 4730)];
  const worker = connect(port, host);
  const slow = connect(port, host);
  stage.atEnd(() => {
    worker.destroy();
    slow.destroy();
  });
  for (const socket of [worker, slow]) socket.on("error", () => {});
  let isClosed = false;
  slow.on("close", () => {
    isClosed = true;
  });
  slow.write(encodePacket(REQ, PacketType.SUBMIT_JOB, [fn, ""], bytesOf("")));
  await once(slow, "data");
  slow.pause();
  worker.write(encodePacket(REQ, PacketType.CAN_DO, [fn]));
  worker.write(encodePacket(REQ, PacketType.GRAB_JOB));
  const handle = await new Promise<string>((resolve) => {
    worker.on("data", (chunk: Buffer) => resolve(chunk.subarray(12).toString("latin1").split("\0")[0]!));
  });
  stage.tell("a client waits for a job and reads nothing of what its worker sends");
  const before = (await countsOf(stage.server)).get("slowReaders") ?? 0;
  const chunk = new Uint8Array(256 * 1024);
  const stream = (async () => {
    for (let i = 0; i < 400 && !isClosed; i++) {
      if (!worker.write(encodePacket(REQ, PacketType.WORK_DATA, [handle], chunk))) {
        await new Promise<void>((resolve) => worker.once("drain", resolve));
      }
    }
  })();
  await stage.worker(small, (text) => text, 1);
  const client = stage.client();
  const times: number[] = [];
  for (let i = 0; i < 200; i++) times.push((await timed(() => client.submit(small, `job ${i}`).result()))[1]);
  await stream;
  const count = async () => ((await countsOf(stage.server)).get("slowReaders") ?? 0) - before;
  await until("the server has given it up", async () => (await count()) > 0);
  const p99 = times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)]!;
  stage.tell("the worker sent it 100 MB");
  stage.check(
    "the one who does not read is closed",
    (await count()) === 1,
    `${await count()} connections closed`,
  );
  stage.check("the others are unharmed", p99 < 1000, `200 jobs beside it, 99 of 100 within ${ms(p99)}`);
}

async function retryStorm(stage: Stage): Promise<void> {
  const fn = "drill-fails";
  const small = ownFunction();
  const jobs = 300;
  const client = stage.client();
  const attempts = new Map<string, number[]>();
  await stage.worker(
    fn,
    (name) => {
      const times = attempts.get(name) ?? [];
      attempts.set(name, [...times, performance.now()]);
      throw new Error("the database is down");
    },
    16,
  );
  await stage.worker(small, (text) => text, 1);
  const names = Array.from({ length: jobs }, (_, i) => `job ${i}`);
  await Promise.all(names.map((name) => client.background(fn, name, { unique: name })));
  stage.tell(`${jobs} background jobs of a function that always fails, each tried 3 times`);
  const times: number[] = [];
  const letters = async () => (await countsOf(stage.server)).get("dead_letters") ?? 0;
  while ((await letters()) < jobs) {
    times.push((await timed(() => client.submit(small, "hello").result()))[1]);
    await after(20);
    if (times.length > 1500) break;
  }
  const found = await letters();
  stage.tell(`${found} of them are dead letters`);
  const counts = [...attempts.values()].map(({ length }) => length);
  stage.check(
    "every job is tried as often as the settings say",
    counts.every((n) => n === 3),
    `${Math.min(...counts)} to ${Math.max(...counts)} times`,
  );
  stage.check("then it is a dead letter, for people to look at", found === jobs, `${found} of ${jobs}`);
  const waits = [...attempts.values()].map((at) => at[1]! - at[0]!);
  const spread = Math.max(...waits) - Math.min(...waits);
  stage.check("the second attempts do not come all at once", spread > 50, `spread over ${ms(spread)}`);
  const p99 = times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
  stage.check(
    "others are unharmed",
    p99 < 1000,
    `${times.length} jobs beside it, 99 of 100 within ${ms(p99)}`,
  );
}

export const DRILLS: readonly Drill[] = [
  {
    name: "worker-loss",
    title: "Workers are killed at work",
    plan: [
      "three workers do 60 jobs",
      "two of them are killed in the middle, with the programs that they run",
    ],
    promises: [
      "the jobs of the dead go to the one that is left",
      "every submitter gets its result",
      "nothing is left behind",
    ],
    onTarget: true,
    play: workerLoss,
  },
  {
    name: "server-kill",
    title: "The server is killed",
    plan: [
      "500 background jobs are submitted, and some are done",
      "the server is killed with kill -9, and started again",
    ],
    promises: [
      "every acknowledged job runs",
      "none runs more than once for each life of the server",
      "the server is back within 15 s",
    ],
    onTarget: false,
    play: serverKill,
  },
  {
    name: "store-full",
    title: "The disk is full",
    plan: [
      "the server's files may not grow any more",
      "background jobs are submitted until one is refused",
      "then there is room again",
    ],
    promises: [
      "the refusal is a clear error",
      "foreground jobs go on",
      "the server says that it is degraded",
      "it recovers by itself",
      "nothing acknowledged is lost",
    ],
    onTarget: false,
    play: storeFull,
  },
  {
    name: "backup-restore",
    title: "A backup is taken under load, and restored",
    plan: [
      "1,000 background jobs wait, and more come",
      "the store is backed up and the backup verified",
      "the server is killed, and another one starts with the backup",
    ],
    promises: ["the backup is whole", "every job from before the backup runs"],
    onTarget: false,
    play: backupRestore,
  },
  {
    name: "slow-reader",
    title: "A client does not read",
    plan: [
      "a worker sends 100 MB to a client that reads nothing",
      "meanwhile another client has 200 small jobs done",
    ],
    promises: ["the one who does not read is closed", "the others are unharmed"],
    onTarget: true,
    play: slowReader,
  },
  {
    name: "retry-storm",
    title: "A function fails, always",
    plan: [
      "300 background jobs fail at each of 3 attempts",
      "meanwhile small jobs of another function are done",
    ],
    promises: [
      "every job is tried 3 times, with pauses that are spread",
      "then it is a dead letter",
      "the others are unharmed",
    ],
    onTarget: false,
    settings: {
      functions: {
        "drill-fails": {
          retry: { maxAttempts: 3, backoff: { initialMs: 300, maxMs: 2000, factor: 2, jitter: 0.5 } },
        },
      },
    },
    play: retryStorm,
  },
];
