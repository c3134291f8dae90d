import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";

/* As much of memcached's meta protocol as the compared schemes need: pipelined, one connection to each node. */

/** A node that refused is not asked again for so long; its keys are the next node's meanwhile. */
const EJECTED_MS = 100;

export class MemcachedDown extends Error {}

export interface Reply {
  /** `HD`, `VA`, `EN`, `NS` and so on. */
  readonly code: string;
  readonly flags: readonly string[];
  /** Of `VA`. */
  readonly value: string;
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

class Node {
  readonly #port: number;
  #socket: Promise<Socket> | undefined;
  #waiting: Waiting[] = [];
  #retryAt = 0;

  constructor(port: number) {
    this.#port = port;
  }

  get isEjected(): boolean {
    return performance.now() < this.#retryAt;
  }

  async send(text: string): Promise<Reply> {
    const socket = await this.#connected();
    return new Promise((resolve, reject) => {
      if (socket.destroyed) return reject(new MemcachedDown("the connection was lost"));
      this.#waiting.push({ resolve, reject });
      socket.write(text, "latin1");
    });
  }

  close(): void {
    void this.#socket?.then(
      (socket) => socket.destroy(),
      () => {},
    );
  }

  #connected(): Promise<Socket> {
    if (this.isEjected) return Promise.reject(new MemcachedDown("the node was lost just now"));
    this.#socket ??= new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port: this.#port, noDelay: true });
      let text = "";
      socket.setEncoding("latin1");
      socket.on("connect", () => resolve(socket));
      socket.on("data", (chunk: string) => {
        text = this.#take(text + chunk);
      });
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#socket = undefined;
        this.#retryAt = performance.now() + EJECTED_MS;
        const lost = new MemcachedDown(`no memcached on port ${this.#port}`);
        reject(lost);
        for (const waiting of this.#waiting.splice(0)) waiting.reject(lost);
      });
    });
    return this.#socket;
  }

  /** @returns What is not a whole reply yet. */
  #take(text: string): string {
    let at = 0;
    for (;;) {
      const end = text.indexOf("\r\n", at);
      if (end < 0) break;
      const [code, ...flags] = text.slice(at, end).split(" ");
      let next = end + 2;
      let value = "";
      if (code === "VA") {
        const size = Number(flags.shift());
        if (text.length < next + size + 2) break;
        value = text.slice(next, next + size);
        next += size + 2;
      }
      at = next;
      this.#waiting.shift()?.resolve({ code: code!, flags, value });
    }
    return text.slice(at);
  }
}

export class Memcached {
  readonly #nodes: readonly Node[];

  constructor(ports: readonly number[]) {
    this.#nodes = ports.map((port) => new Node(port));
  }

  get(key: string, ...flags: string[]): Promise<Reply> {
    return this.#send(key, `mg ${key} ${flags.join(" ")}\r\n`);
  }

  set(key: string, value: string, ...flags: string[]): Promise<Reply> {
    return this.#send(key, `ms ${key} ${value.length} ${flags.join(" ")}\r\n${value}\r\n`);
  }

  delete(key: string, ...flags: string[]): Promise<Reply> {
    return this.#send(key, `md ${key} ${flags.join(" ")}\r\n`);
  }

  close(): void {
    for (const node of this.#nodes) node.close();
  }

  #send(key: string, text: string): Promise<Reply> {
    const first = ownerOf(key, this.#nodes.length);
    const inOrder = this.#nodes.map((_, i) => this.#nodes[(first + i) % this.#nodes.length]!);
    return (inOrder.find(({ isEjected }) => !isEjected) ?? inOrder[0]!).send(text);
  }
}

/** Which of `count` nodes has the key. */
export function ownerOf(key: string, count: number): number {
  return createHash("md5").update(key).digest().readUInt32LE() % count;
}
