import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/* The slow thing behind the cache: a TCP server that does few calls at a time, each in a fixed time, and counts them. */

export interface Behaviour {
  /** Calls at a time; the others wait. */
  readonly pool: number;
  readonly workMs: number;
  /** Of ten calls, so many fail, evenly spread. Default: 0. */
  readonly failuresOfTen?: number;
}

interface Call {
  readonly key: string;
  readonly pid: number;
  readonly socket: Socket;
  readonly number: number;
}

export class Backend {
  readonly #server: Server;
  #behaviour: Behaviour;
  #running = new Set<Call>();
  #queue: Call[] = [];
  #timers = new Set<NodeJS.Timeout>();
  #calls = 0;
  #prefix = "";

  private constructor(server: Server, behaviour: Behaviour) {
    this.#server = server;
    this.#behaviour = behaviour;
  }

  static async start(behaviour: Behaviour): Promise<Backend> {
    const server = createServer();
    const backend = new Backend(server, behaviour);
    server.on("connection", (socket) => backend.#accept(socket));
    server.listen(0, "127.0.0.1", 2_048);
    await once(server, "listening");
    return backend;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Calls since the last reset, whatever became of them. */
  get calls(): number {
    return this.#calls;
  }

  /** The process whose call has been running longest. */
  get computingPid(): number | undefined {
    return this.#running.values().next().value?.pid;
  }

  /**
   * Forgets what is under way, and counts from 0.
   * @param prefix Of the keys that are computed from now on: a job of an earlier run may still be tried again.
   */
  reset(behaviour: Behaviour, prefix = ""): void {
    this.#behaviour = behaviour;
    this.#prefix = prefix;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    const left = [...this.#running, ...this.#queue];
    this.#running = new Set();
    this.#queue = [];
    for (const { socket } of left) socket.destroy();
    this.#calls = 0;
  }

  close(): void {
    this.reset(this.#behaviour);
    this.#server.close();
  }

  #accept(socket: Socket): void {
    let call: Call | undefined;
    socket.setEncoding("latin1");
    socket.on("error", () => {});
    socket.once("data", (line: string): unknown => {
      const [pid, key] = line.trim().split(" ");
      if (!key!.startsWith(this.#prefix)) return socket.destroy();
      call = { key: key!, pid: Number(pid), socket, number: ++this.#calls };
      this.#queue.push(call);
      return this.#begin();
    });
    // One that has begun is done to its end, as a query is whose client went away.
    socket.on("close", () => {
      this.#queue = this.#queue.filter((waiting) => waiting !== call);
    });
  }

  #begin(): void {
    while (this.#running.size < this.#behaviour.pool) {
      const call = this.#queue.shift();
      if (call === undefined) return;
      this.#running.add(call);
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#running.delete(call);
        const { failuresOfTen = 0 } = this.#behaviour;
        const fails = (call.number * failuresOfTen) % 10 < failuresOfTen;
        call.socket.end(fails ? "failed\n" : `${call.key}@${call.number}\n`);
        this.#begin();
      }, this.#behaviour.workMs);
      this.#timers.add(timer);
    }
  }
}

/** One call. @returns The value, which begins with the key. */
export function compute(port: number, key: string, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true, ...(signal && { signal }) });
    let text = "";
    socket.setEncoding("latin1");
    socket.write(`${process.pid} ${key}\n`);
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => {
      const value = text.trimEnd();
      if (value === "" || value === "failed") reject(new Error("the computation failed"));
      else resolve(value);
    });
  });
}
