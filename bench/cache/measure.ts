import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { until } from "../../test/peers/until.ts";
import { need, ROOT } from "../tools.ts";
import { Backend } from "./backend.ts";
import type { Found } from "./client.ts";
import type { Places } from "./places.ts";
import type { Form, Mishap, Plan, Scenario } from "./scenarios.ts";
import { JOB_SERVER, type SchemeName } from "./schemes.ts";
import { type ClientProcess, Puppet, Server, type WorkerProcess } from "./stage.ts";

/* One run: a scheme in a scenario. */

/** Times in ms since each request was due; of all that were answered or failed, or of the values that came. */
export interface Figures {
  readonly computations: number;
  readonly minimum: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly answered: number;
  readonly failed: number;
  readonly stale: number;
  readonly stale99Ms: number | null;
  readonly fresh: number;
  readonly fresh99Ms: number | null;
  readonly wrong: number;
}

const START_MS = 10_000;
const WORKERS = 2;
const NODES = 2;

/** The servers and client processes of all runs. */
export class Bench {
  readonly #form: Form;
  readonly #backend: Backend;
  readonly #memcached: readonly Server[];
  readonly #jobServers: Readonly<Record<"gearmand" | "drover" | "redis", Server | undefined>>;
  readonly #clients: ClientProcess[];
  #workers: WorkerProcess[] = [];
  #workersOf: string | undefined;
  #runs = 0;

  private constructor(
    form: Form,
    backend: Backend,
    memcached: readonly Server[],
    jobServers: Readonly<Record<"gearmand" | "drover" | "redis", Server | undefined>>,
  ) {
    this.#form = form;
    this.#backend = backend;
    this.#memcached = memcached;
    this.#jobServers = jobServers;
    this.#clients = Array.from({ length: form.processes }, () => new Puppet("client.ts"));
  }

  static async start(form: Form, schemes: readonly SchemeName[]): Promise<Bench> {
    const wanted = new Set(schemes.map((scheme) => JOB_SERVER[scheme]));
    const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
    const memcached = await need("memcached", ["memcached"]);
    const nodes = Array.from({ length: NODES }, () =>
      Server.start((port) => [
        memcached,
        "-l",
        "127.0.0.1",
        "-p",
        String(port),
        "-t",
        "1",
        "-c",
        "4096",
        ...user,
      ]),
    );
    return new Bench(form, await Backend.start(form), await Promise.all(nodes), {
      gearmand: wanted.has("gearmand") ? await startGearmand() : undefined,
      drover: wanted.has("drover") ? await startDrover() : undefined,
      redis: wanted.has("redis") ? await startRedis() : undefined,
    });
  }

  async run(scheme: SchemeName, scenario: Scenario): Promise<Figures> {
    const prefix = `run${++this.#runs}:`;
    const plan = scenario.plan(this.#form, prefix);
    const { workMs, failuresOfTen = 0 } = plan;
    this.#backend.reset({ pool: this.#form.pool, workMs, failuresOfTen }, prefix);
    const places = this.#places(plan);
    try {
      await this.#connect(scheme, places);
      if (plan.stored !== undefined) await this.#clients[0]!.order({ do: "put", ...plan.stored });
      if (plan.isMemcachedDown) await Promise.all(this.#memcached.map((node) => node.kill()));
      return await this.#released(scheme, plan);
    } finally {
      await this.#tidy();
    }
  }

  async stop(): Promise<void> {
    const servers = [...this.#memcached, ...Object.values(this.#jobServers)];
    await Promise.all([...this.#clients, ...this.#workers].map((puppet) => puppet.kill()));
    await Promise.all(servers.map((server) => server?.stop()));
    this.#backend.close();
  }

  #places({ nodes = 1, deadlineMs }: Plan): Places {
    const { gearmand, drover, redis } = this.#jobServers;
    return {
      backend: this.#backend.port,
      memcached: this.#memcached.slice(0, nodes).map(({ port }) => port),
      gearmand: gearmand?.port ?? 0,
      drover: drover?.port ?? 0,
      redis: redis?.port ?? 0,
      leaseS: this.#form.leaseS,
      deadlineMs,
    };
  }

  async #connect(scheme: SchemeName, places: Places): Promise<void> {
    const staff = `${scheme} ${places.memcached}`;
    const isStaffed = this.#workersOf === staff && this.#workers.every((worker) => worker.isRunning);
    if (!isStaffed) await this.#dismiss();
    if (JOB_SERVER[scheme] !== undefined && !isStaffed) {
      this.#workersOf = staff;
      this.#workers = Array.from({ length: WORKERS }, () => new Puppet("worker.ts"));
      await Promise.all(this.#workers.map((worker) => worker.order({ scheme, places })));
    }
    const lanes = this.#form.requests;
    await Promise.all(this.#clients.map((client) => client.order({ do: "connect", scheme, places, lanes })));
  }

  async #dismiss(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.kill()));
    this.#workers = [];
    this.#workersOf = undefined;
  }

  async #released(
    scheme: SchemeName,
    { requests, deadlineMs, mishaps = [], minimum }: Plan,
  ): Promise<Figures> {
    const releaseAt = Date.now() + this.#form.headstartMs;
    const finding = this.#clients.map((client, i) =>
      client.order<Found>({ do: "run", releaseAt, requests: requests[i]!, deadlineMs }),
    );
    const happening = mishaps.map(async ([afterMs, mishap]) => {
      await after(releaseAt + afterMs - Date.now());
      await this.#happen(mishap, scheme);
    });
    const [found] = await Promise.all([Promise.all(finding), Promise.all(happening)]);
    // Requests of a process that was killed have nobody left to tell.
    return figuresOf(
      found.filter((one) => one !== undefined),
      this.#backend.calls,
      minimum,
    );
  }

  async #happen(mishap: Mishap, scheme: SchemeName): Promise<void> {
    const restart = async (server: Server | undefined) => {
      await server?.kill();
      await server?.start();
    };
    switch (mishap) {
      case "kill-computing": {
        await until("somebody computes", START_MS, () => this.#backend.computingPid !== undefined);
        const pid = this.#backend.computingPid;
        await [...this.#workers, ...this.#clients].find((puppet) => puppet.pid === pid)?.kill();
        return;
      }
      case "restart-job-server": {
        const name = JOB_SERVER[scheme];
        return name && restart(this.#jobServers[name]);
      }
      case "restart-memcached-0":
        return restart(this.#memcached[0]);
      case "restart-memcached-1":
        return restart(this.#memcached[1]);
    }
  }

  async #tidy(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.order({ do: "close" })));
    for (const [i, client] of this.#clients.entries())
      if (!client.isRunning) this.#clients[i] = new Puppet("client.ts");
    await Promise.all(
      [...this.#memcached, ...Object.values(this.#jobServers)].map((server) => server?.start()),
    );
  }
}

async function startGearmand(): Promise<Server> {
  const program = await need("gearmand", ["gearman-job-server"]);
  const options = ["--listen=127.0.0.1", "--log-file=none", "--pid-file=pid"];
  return Server.start((port) => [program, ...options, `--port=${port}`]);
}

async function startRedis(): Promise<Server> {
  const program = await need("redis-server", ["redis-server"]);
  // Jobs are to survive a restart, as gearmand's do in its clients.
  const options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--port"];
  return Server.start((port) => [program, ...options, String(port)]);
}

function startDrover(): Promise<Server> {
  const program = join(ROOT, "packages/cli/bin/drover.js");
  const options = ["serve", "--listen", "127.0.0.1", "--log-file", "none", "--port"];
  return Server.start((port) => [process.execPath, program, ...options, String(port)]);
}

function figuresOf(found: readonly Found[], computations: number, minimum: number): Figures {
  const all = (of: (one: Found) => number[]) => found.flatMap(of).toSorted((a, b) => a - b);
  const [first, stale, fresh] = [
    all((one) => one.firstMs),
    all((one) => one.staleMs),
    all((one) => one.freshMs),
  ];
  const sum = (of: (one: Found) => number) => found.reduce((total, one) => total + of(one), 0);
  const failed = sum((one) => one.failed);
  return {
    computations,
    minimum,
    p50Ms: percentile(first, 0.5) ?? 0,
    p99Ms: percentile(first, 0.99) ?? 0,
    answered: first.length - failed,
    failed,
    stale: stale.length,
    stale99Ms: percentile(stale, 0.99),
    fresh: fresh.length,
    fresh99Ms: percentile(fresh, 0.99),
    wrong: sum((one) => one.wrong),
  };
}

function percentile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}
