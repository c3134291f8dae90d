import { freePort } from "../../peers/ports.ts";
import { startDrover, type TestServer } from "../../peers/servers.ts";
import { until } from "../../peers/until.ts";
import { askList, listStatus } from "../admin.ts";

const deadlineMs = 30_000;

/** `drover serve` processes that are peers of each other, each on a port of its own for good. */
export class Processes {
  readonly names: readonly string[];
  readonly #addresses: ReadonlyMap<string, string>;
  readonly #args: (name: string) => readonly string[];
  readonly #running = new Map<string, TestServer>();

  private constructor(addresses: ReadonlyMap<string, string>, args: (name: string) => readonly string[]) {
    this.names = [...addresses.keys()];
    this.#addresses = addresses;
    this.#args = args;
  }

  /** Starts one for each name. @param args More for the command line of one. */
  static async start(
    names: readonly string[],
    args: (name: string) => readonly string[] = () => [],
  ): Promise<Processes> {
    const ports = await Promise.all(names.map(() => freePort()));
    const fleet = new Processes(new Map(names.map((name, i) => [name, `127.0.0.1:${ports[i]}`])), args);
    try {
      await Promise.all(names.map((name) => fleet.start(name)));
    } catch (error) {
      await fleet.end();
      throw error;
    }
    return fleet;
  }

  get addresses(): readonly string[] {
    return [...this.#addresses.values()];
  }

  /** Those that run. */
  get alive(): readonly string[] {
    return this.names.filter((name) => this.#running.has(name));
  }

  address(name: string): string {
    return this.#addresses.get(name)!;
  }

  name(address: string): string {
    return this.names.find((name) => this.address(name) === address)!;
  }

  server(name: string): TestServer {
    return this.#running.get(name)!;
  }

  async start(name: string): Promise<void> {
    const peers = this.names.flatMap((one) => ["--peer", `${one}=${this.address(one)}`]);
    const port = this.address(name).split(":")[1]!;
    const own = ["--port", port, "--server-name", name, "--warm-up-ms", "0", ...peers, ...this.#args(name)];
    this.#running.set(name, await startDrover(...own));
  }

  /** `kill -9`. */
  async kill(name: string): Promise<void> {
    const server = this.server(name);
    this.#running.delete(name);
    await server.stop("SIGKILL");
  }

  /** Workers of a function, as a server counts them. */
  async workersOf(name: string, fn: string): Promise<number> {
    return (await listStatus(this.server(name))).get(fn)?.workers ?? 0;
  }

  /** What each server that runs says of a member. */
  async statesOf(name: string): Promise<string[]> {
    const others = this.alive.filter((one) => one !== name);
    return Promise.all(
      others.map(async (other) => {
        const lines = await askList(this.server(other), "fleet");
        return lines.map((line) => line.split("\t")).find(([member]) => member === name)![2]!;
      }),
    );
  }

  /** Waits until all servers that run say so of these members. */
  async untilAllSay(state: "up" | "down", ...names: readonly string[]): Promise<void> {
    await until(`all have ${names.join()} as ${state}`, deadlineMs, async () => {
      const said = await Promise.all(names.map((name) => this.statesOf(name)));
      return said.flat().every((one) => one === state);
    });
  }

  async end(): Promise<void> {
    await Promise.all(this.alive.map((name) => this.kill(name)));
  }
}
