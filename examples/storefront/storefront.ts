import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type pg from "pg";
import {
  countComputations,
  fillDatabase,
  openDatabase,
  type Places,
  PRODUCTS,
  queryAdvice,
} from "./catalogue.ts";
import { Customers } from "./customers.ts";
import { accepts, findProgram, freePort, Service, type ServiceOptions } from "./service.ts";
import type { ShopReport } from "./shop.ts";
import { Shops } from "./shops.ts";
import type { WardenNews } from "./warden.ts";

const DROVER = resolve(import.meta.dirname, "../../packages/cli/bin/drover.js");
const COUNT_MS = 250;
const FLUSH_MS = 2_000;
/** PostgreSQL and memcached do not run as root; `nobody` is there everywhere. */
const NOBODY = 65_534;

export interface StorefrontOptions {
  /** Shop processes. */
  readonly processes: number;
  readonly customers: number;
  /** For how long stays down what was killed. */
  readonly downMs: number;
  /** Told how far the start is. */
  readonly onProgress: (text: string) => void;
}

export const ACTIONS = ["flush-cache", "kill-memcached", "kill-worker", "kill-server"] as const;
export type Action = (typeof ACTIONS)[number];

/** Counts are since the customers came. */
export interface Figures {
  readonly atMs: number;
  readonly requests: number;
  readonly computations: number;
  readonly wrong: number;
  readonly failed: number;
  readonly lastFailure: string;
  /** Customers who wait for an answer now. */
  readonly waiting: number;
  /** Of the answers since the last figures. */
  readonly slowestMs: number;
  /** Of all shops together. */
  readonly shops: ShopReport;
  /** Shop processes that serve. */
  readonly processes: number;
  /** Shop processes that ended by themselves. */
  readonly crashes: number;
  readonly services: readonly { readonly name: string; readonly isUp: boolean }[];
}

/** A shop of many processes with all that it needs, and customers in it. */
export class Storefront {
  /** Of `GET /products/1`. */
  shopUrl = "";
  readonly #options: StorefrontOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "drover-shop-"));
  readonly #services: Service[] = [];
  readonly #servers: Service[] = [];
  #warden: ChildProcess | undefined;
  #shops: Shops | undefined;
  #memcached: Service | undefined;
  #memcachedPort = 0;
  #worker: Service | undefined;
  #database: pg.Pool | undefined;
  #customers: Customers | undefined;
  #counting: NodeJS.Timeout | undefined;
  #computations = 0;
  #slowestMs = 0;

  private constructor(options: StorefrontOptions) {
    this.#options = options;
  }

  /** Resolves when all processes serve. @throws What is missing, or did not start; nothing is left running. */
  static async open(options: StorefrontOptions): Promise<Storefront> {
    const storefront = new Storefront(options);
    try {
      await storefront.#start();
    } catch (error) {
      await storefront.close();
      throw error;
    }
    return storefront;
  }

  figures(): Figures {
    const customers = this.#customers!;
    const { requests, wrong, failed, lastFailure, waiting } = customers;
    return {
      atMs: Date.now(),
      requests,
      computations: this.#computations,
      wrong,
      failed,
      lastFailure,
      waiting,
      slowestMs: this.#slowestMs,
      shops: this.#shops!.report,
      processes: this.#shops!.serving,
      crashes: this.#shops!.crashes,
      services: this.#services.map(({ name, isUp }) => ({ name, isUp })),
    };
  }

  /** @returns What was done. @throws When what it is for is down. */
  async act(action: Action): Promise<string> {
    if (action === "flush-cache") {
      await this.#flush();
      return "flushed the cache";
    }
    const victim = this.#victimOf(action);
    if (!victim.kill()) throw new Error(`${victim.name} is down already`);
    return `killed ${victim.name}`;
  }

  #victimOf(action: Exclude<Action, "flush-cache">): Service {
    if (action === "kill-memcached") return this.#memcached!;
    if (action === "kill-worker") return this.#worker!;
    // In turn, as far as they are up.
    this.#servers.push(this.#servers.shift()!);
    return this.#servers.findLast(({ isUp }) => isUp) ?? this.#servers.at(-1)!;
  }

  async close(): Promise<void> {
    this.#customers?.stop();
    clearInterval(this.#counting);
    await this.#shops?.close();
    await this.#worker?.stop();
    await this.#database?.end();
    await Promise.all(this.#services.map((service) => service.stop()));
    rmSync(this.#folder, { recursive: true, force: true });
    // Its work is done.
    if (this.#warden?.connected) this.#warden.disconnect();
  }

  async #start(): Promise<void> {
    const { onProgress, processes, customers } = this.#options;
    await this.#startWarden();
    const database = join(this.#folder, "pg");
    onProgress("PostgreSQL, with its orders");
    await this.#startPostgres(database);
    this.#database = openDatabase({ database }, 2);
    await fillDatabase(this.#database);
    const advice = [];
    for (let product = 1; product <= PRODUCTS; product++)
      advice.push(await queryAdvice(this.#database, product));

    onProgress("memcached, two job servers, one worker");
    await this.#startMemcached();
    const servers = [await this.#startServer(1), await this.#startServer(2)];
    const places: Places = { servers, memcached: `127.0.0.1:${this.#memcachedPort}`, database };
    await this.#startWorker(places);

    onProgress(`${processes} shops`);
    const port = await freePort();
    this.shopUrl = `http://127.0.0.1:${port}/products/1`;
    const env = { ...this.#environment(places), STOREFRONT_PORT: String(port) };
    this.#shops = await Shops.open(processes, this.#folder, env);

    this.#customers = new Customers(port, advice);
    this.#counting = setInterval(() => void this.#count(), COUNT_MS);
    this.#customers.begin(customers);
  }

  async #count(): Promise<void> {
    this.#slowestMs = this.#customers!.takeSlowestMs();
    // Between two answers the last one is shown.
    this.#computations = await countComputations(this.#database!).catch(() => this.#computations);
  }

  async #startPostgres(folder: string): Promise<void> {
    mkdirSync(folder, { mode: 0o700 });
    chmodSync(this.#folder, 0o711);
    const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
    if (identity.uid !== undefined) chownSync(folder, NOBODY, NOBODY);
    const data = join(folder, "data");
    const init = ["-D", data, "-U", "drover", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"];
    const program = findProgram("postgres", "postgresql");
    execFileSync(findProgram("initdb", "postgresql"), init, { ...identity, cwd: folder, stdio: "pipe" });
    // No port: only who may enter the folder reaches the socket in it, so there is no password.
    const where = ["-D", data, "-k", folder, "-c", "listen_addresses="];
    const how = ["-c", "fsync=off", "-c", "max_parallel_workers_per_gather=0"];
    const launch = () =>
      spawn(program, [...where, ...how], { ...identity, cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    const isReady = async () => {
      const pool = openDatabase({ database: folder }, 1);
      const answered = await pool.query("select 1").then(
        () => true,
        () => false,
      );
      await pool.end();
      return answered;
    };
    await this.#run(new Service({ ...this.#terms("PostgreSQL"), launch, isReady, stopSignal: "SIGQUIT" }));
  }

  async #startMemcached(): Promise<void> {
    const port = await freePort();
    this.#memcachedPort = port;
    const program = findProgram("memcached", "memcached");
    const args = ["-l", "127.0.0.1", "-p", String(port), "-U", "0", "-m", "64"];
    if (process.getuid?.() === 0) args.push("-u", "nobody");
    const launch = () => spawn(program, args, { cwd: this.#folder, stdio: ["ignore", "ignore", "pipe"] });
    this.#memcached = new Service({ ...this.#terms("memcached"), launch, isReady: () => accepts(port) });
    await this.#run(this.#memcached);
  }

  /** @returns Its address. */
  async #startServer(number: number): Promise<string> {
    const port = await freePort();
    const address = `127.0.0.1:${port}`;
    const launch = () =>
      spawn(process.execPath, [DROVER, "serve", "--listen", address], {
        cwd: this.#folder,
        env: this.#environment(),
        stdio: ["ignore", "ignore", "pipe"],
      });
    const server = new Service({
      ...this.#terms(`job server ${number}`),
      launch,
      isReady: () => accepts(port),
    });
    this.#servers.push(server);
    await this.#run(server);
    return address;
  }

  async #startWorker(places: Places): Promise<void> {
    const ready = new WeakSet<object>();
    const launch = () => {
      const child = fork(join(import.meta.dirname, "worker.ts"), {
        cwd: this.#folder,
        env: this.#environment(places),
        stdio: ["ignore", "ignore", "pipe", "ipc"],
      });
      child.once("message", () => ready.add(child));
      return child;
    };
    const isReady = (child: object) => ready.has(child);
    this.#worker = new Service({ ...this.#terms("worker"), launch, isReady });
    await this.#run(this.#worker);
  }

  async #startWarden(): Promise<void> {
    const warden = fork(join(import.meta.dirname, "warden.ts"), [this.#folder], {
      cwd: this.#folder,
      // What ends the storefront's process group is not to end it as well.
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#warden = warden;
    // Whatever becomes of it, the storefront goes on.
    warden.on("error", () => {});
    await Promise.race([once(warden, "message"), once(warden, "exit")]);
    if (!warden.connected) throw new Error("the warden ended at once");
  }

  #tellWarden(news: WardenNews): void {
    if (this.#warden?.connected) this.#warden.send(news, () => {});
  }

  #run(service: Service): Promise<void> {
    this.#services.push(service);
    this.#services.sort((one, other) => one.name.localeCompare(other.name));
    return service.start();
  }

  #terms(name: string): Pick<ServiceOptions, "name" | "downMs" | "onLaunch"> {
    const onLaunch = (child: ChildProcess, stopSignal: NodeJS.Signals) => {
      const { pid } = child;
      if (pid === undefined) return;
      this.#tellWarden({ began: pid, stopSignal });
      child.once("exit", () => this.#tellWarden({ ended: pid }));
    };
    return { name, downMs: this.#options.downMs, onLaunch };
  }

  #environment(places?: Places): NodeJS.ProcessEnv {
    const { DROVER_CONFIG: _, ...env } = process.env;
    return {
      ...env,
      // Many processes of the same sources, which need not be compiled anew.
      NODE_COMPILE_CACHE: join(this.#folder, "compiled"),
      ...(places && { STOREFRONT_PLACES: JSON.stringify(places) }),
    };
  }

  #flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#memcachedPort, "127.0.0.1", () => socket.write("flush_all\r\n"));
      socket.setTimeout(FLUSH_MS, () => socket.destroy());
      socket.once("data", () => {
        resolve();
        socket.destroy();
      });
      socket.on("error", () => {});
      socket.on("close", () => reject(new Error("memcached is down")));
    });
  }
}
