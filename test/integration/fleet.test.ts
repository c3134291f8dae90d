import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { Client } from "@drover/client";
import { Worker } from "@drover/worker";
import { afterEach, expect, it } from "vitest";
import { describeWith } from "../peers/needs.ts";
import { until } from "../peers/until.ts";
import { Random } from "../sim/random.ts";
import { untilWaiting } from "./admin.ts";
import { Books } from "./fleet/books.ts";
import { Processes } from "./fleet/processes.ts";
import { buildPrograms, runProgram, startProgram } from "./programs.ts";

/* Real servers that are peers of each other, killed and started again. */

const deadlineMs = 30_000;
const backoff = { initialMs: 5, maxMs: 50 };
const SEED = 7;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startFleet(
  names: readonly string[],
  args?: (name: string) => readonly string[],
): Promise<Processes> {
  const fleet = await Processes.start(names, args);
  cleanups.push(() => fleet.end());
  return fleet;
}

const text = async (result: Promise<Uint8Array>) => Buffer.from(await result).toString();

/** One client for each server, each of which knows that server only. */
function clientsOf(fleet: Processes): Map<string, Client> {
  return new Map(
    fleet.names.map((name) => {
      const client = new Client({ servers: fleet.address(name), backoff });
      cleanups.push(() => client.close());
      return [name, client];
    }),
  );
}

/** A worker of all servers that writes down its runs: of `work`, which takes a while, and of `hold`, until `open`. */
async function startWorker(fleet: Processes, books: Books, random: Random): Promise<() => void> {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const worker = new Worker({ servers: fleet.addresses, concurrency: 64, backoff });
  for (const fn of ["work", "hold"]) {
    // It heeds no signal: whoever computes does not notice that a server is lost either.
    worker.handle(fn, async (job) => {
      const ended = books.began(fn, job.unique, fleet.name(job.server));
      await job.data(job.workload);
      if (fn === "hold") await opened;
      else await after(random.between(20, 80));
      ended();
      return job.workload;
    });
  }
  cleanups.push(() => {
    open();
    return worker.close();
  });
  await worker.run();
  await until("the worker is known everywhere", deadlineMs, async () => {
    const known = await Promise.all(fleet.names.map((name) => fleet.workersOf(name, "hold")));
    return known.every((count) => count === 1);
  });
  return open;
}

const UNIQUES = 16;
/** Submissions of one client at a time. */
const DEPTH = 4;

/** Clients that submit the same uniques all the time, each at its server. */
class Load {
  done = 0;
  readonly wrong: string[] = [];
  /** Codes of the errors that calls ended with. */
  readonly failed: string[] = [];
  readonly #stopping = new AbortController();
  readonly #lanes: Promise<void>[];

  constructor(clients: Iterable<Client>) {
    this.#lanes = [...clients].flatMap((client) =>
      Array.from({ length: DEPTH }, (_, lane) => this.#submitAll(client, lane)),
    );
    cleanups.push(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#lanes);
  }

  async #submitAll(client: Client, lane: number): Promise<void> {
    for (let i = lane; !this.#stopping.signal.aborted; i = (i + DEPTH) % UNIQUES) {
      const unique = `u${i}`;
      try {
        const answer = await text(client.submit("work", unique, { unique }).result());
        if (answer !== unique) this.wrong.push(`${answer} for ${unique}`);
        this.done++;
      } catch (error) {
        this.failed.push(String((error as { code?: string }).code));
        await after(backoff.maxMs);
      }
    }
  }
}

/** Clients in C, which submit the same uniques at all servers. */
async function startSubmitters(fleet: Processes) {
  const ports = fleet.addresses.map((address) => address.split(":")[1]!);
  const args = ["work", "u", String(UNIQUES), String(DEPTH), ...ports];
  const program = startProgram(join(await buildPrograms("fleet"), "submitters"), args, "", 90_000);
  cleanups.push(() => program.kill());
  return program;
}

describeWith(["c-compiler"], "five processes of one fleet", () => {
  it("run each unique once through kill -9 and restart, whoever submits it where, and give it back", async () => {
    const random = new Random(SEED);
    const names = ["gm1", "gm2", "gm3", "gm4", "gm5"];
    const fleet = await startFleet(names);
    await fleet.untilAllSay("up", ...names);
    const books = new Books(names);
    const open = await startWorker(fleet, books, random);
    const clients = clientsOf(fleet);
    const submitters = await startSubmitters(fleet);
    const load = new Load(clients.values());
    const isUnderLoad = async () => {
      const { done } = load;
      await until("the load goes on", deadlineMs, () => load.done > done + 100);
    };
    const kill = async (...victims: string[]) => {
      for (const name of victims) books.killing(name);
      await Promise.all(victims.map((name) => fleet.kill(name)));
      await fleet.untilAllSay("down", ...victims);
      for (const name of victims) books.dead(name);
      await isUnderLoad();
    };
    const start = async (...victims: string[]) => {
      for (const name of victims) books.starting(name);
      await Promise.all(victims.map((name) => fleet.start(name)));
      await isUnderLoad();
    };
    await isUnderLoad();

    const [owner, fallback, ...others] = books.rank("hold", "held") as [string, string, ...string[]];
    const held: Promise<string>[] = [];
    const submitHeld = (...at: readonly string[]) => {
      for (const name of at) {
        const job = clients.get(name)!.submit("hold", "x", { unique: "held" });
        held.push(text(job.result()));
        held.at(-1)!.catch(() => {});
      }
    };
    await kill(owner);
    submitHeld(...fleet.alive);
    await until("the held one runs", deadlineMs, () => books.ranOn("hold", "held").length === 1);
    await start(owner);
    submitHeld(owner);
    const victims = [random.pick(others), random.pick(others)];
    await kill(...new Set(victims));
    await start(...new Set(victims));
    await fleet.untilAllSay("up", ...names);
    for (const name of [owner, ...new Set(victims)]) books.back(name);

    // What ran in the owner's place is joined still; afterwards it is the owner's.
    submitHeld(...names);
    await Promise.all(
      names.map((name) => clients.get(name)!.submit("work", "u0", { unique: "u0" }).created()),
    );
    expect(books.ranOn("hold", "held")).toEqual([fallback]);
    open();
    for (const answer of held) expect(await answer).toBe("x");
    held.length = 0;
    submitHeld(...names);
    for (const answer of held) expect(await answer).toBe("x");
    expect(new Set(books.ranOn("hold", "held").slice(1))).toEqual(new Set([owner]));

    const homeMs = performance.now();
    const uniques = Array.from({ length: UNIQUES }, (_, i) => `u${i}`);
    await until("each unique is its owner's", deadlineMs, () =>
      uniques.every((unique) => books.ranOn("work", unique, homeMs).at(-1) === books.rank("work", unique)[0]),
    );
    const settledMs = performance.now();
    await isUnderLoad();
    await load.stop();
    for (const unique of uniques) {
      for (const server of books.ranOn("work", unique, settledMs))
        expect(server).toBe(books.rank("work", unique)[0]);
    }

    submitters.terminate();
    const { code, stdout, stderr } = await submitters.ended;
    const report = JSON.parse(stdout) as Record<string, number>;
    expect([code, stderr]).toEqual([0, ""]);
    expect(report).toMatchObject({ failed: 0, missing: 0, corrupt: 0, unexpected: 0 });
    // Those whose server was killed were told by the loss of their connections, and came again.
    expect(report.cut).toBeGreaterThan(0);
    expect(report.redials).toBeGreaterThan(0);
    expect(load).toMatchObject({ wrong: [], failed: [] });
    expect(books.broken()).toEqual([]);
    expect(books.runs).toBeLessThan((load.done + report.done!) / 2);
  });
});

describeWith(["gearman-tools"], "the gearman command at two servers of a fleet", () => {
  it("shares one run of a unique, whichever of them owns it", async () => {
    const names = ["gm1", "gm2"];
    const fleet = await startFleet(names);
    await fleet.untilAllSay("up", ...names);
    const books = new Books(names);
    const open = await startWorker(fleet, books, new Random(SEED));
    const owner = books.rank("hold", "key")[0]!;
    const programs = names.map((name) => {
      const { host, port } = fleet.server(name);
      return startProgram("gearman", ["-h", host, "-p", String(port), "-f", "hold", "-u", "key", "x"]);
    });
    // Its own, and the one that the other server sends it.
    await untilWaiting(fleet.server(owner), "key", 2);
    open();
    for (const { ended } of programs)
      expect(await ended).toMatchObject({ code: 0, stdout: "xx", stderr: "" });
    expect(books.ranOn("hold", "key")).toEqual([owner]);
  });
});

/* Those of a fleet show each other tokens. */

const drover = (...args: string[]) =>
  runProgram(process.execPath, [resolve(import.meta.dirname, "../../packages/cli/bin/drover.js"), ...args]);

it("a server with the right token joins its fleet; one with a wrong token, or one that is no peer's, is refused and says so", async () => {
  const folder = mkdtempSync(join(tmpdir(), "drover-fleet-"));
  cleanups.push(async () => rmSync(folder, { recursive: true, force: true }));
  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const identities = `{ member: { peer: true, submit: ["*"], status: true }, shop: { submit: ["*"] }, ops: { status: true } }`;
  const config = file(
    "drover.yaml",
    `auth:\n  tokens: ${join(folder, "tokens")}\n  identities: ${identities}\n`,
  );
  const create = async (identity: string) => {
    const made = await drover("token", "create", identity, "--config", config);
    expect(made.code).toBe(0);
    return made.stdout.trim();
  };
  const member = await create("member");
  const tokens: Readonly<Record<string, string>> = {
    gm1: member,
    gm2: member,
    gm3: `${member.slice(0, -8)}aaaaaaaa`,
    gm4: await create("shop"),
  };
  const ops = file("ops", await create("ops"));
  const names = Object.keys(tokens);
  const fleet = await startFleet(names, (name) => [
    "--config",
    config,
    "--peer-token-file",
    file(name, tokens[name]!),
  ]);
  const membersOf = async (name: string) => {
    const { port } = fleet.server(name);
    const shown = await drover("status", "--fleet", "--json", "-p", String(port), "--token-file", ops);
    const { members } = JSON.parse(shown.stdout) as {
      members: { name: string; state: string; problem: string }[];
    };
    return new Map(members.map((one) => [one.name, one]));
  };
  const untilShown = (name: string, other: string, state: string, problem: string) =>
    until(`${name} shows ${other} as ${state}`, deadlineMs, async () => {
      const shown = (await membersOf(name)).get(other)!;
      return shown.state === state && shown.problem.includes(problem);
    });
  await untilShown("gm1", "gm2", "up", "");
  await untilShown("gm2", "gm1", "up", "");
  await untilShown("gm3", "gm1", "down", "The token is not valid");
  await untilShown("gm4", "gm1", "down", "FORBIDDEN");
  await until("the refusals are logged", deadlineMs, () => {
    const log = fleet.server("gm1").output();
    return log.includes('"code":"UNAUTHENTICATED"') && log.includes('"right":"peer"');
  });
  await until("so is that there is no link", deadlineMs, () =>
    ["gm3", "gm4"].every((name) => /"code":"MEMBER_LOST".*"member":"gm1"/.test(fleet.server(name).output())),
  );
  for (const name of names) {
    for (const token of Object.values(tokens)) expect(fleet.server(name).output()).not.toContain(token);
  }
});
