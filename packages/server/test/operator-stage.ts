import net from "node:net";
import { Client } from "@drover/client";
import { encodePacket, type PacketName, PacketType, REQ } from "@drover/protocol";
import { type Handler, Worker } from "@drover/worker";
import { afterEach } from "vitest";
import { HttpServer } from "../src/http/http-server.ts";
import { JobServer, type JobServerOptions } from "../src/index.ts";
import { Exposition } from "./exposition.ts";

const silent = () => {};
export const LOG = { debug: silent, info: silent, warn: silent, error: silent };

/** A job server with its HTTP, as operators meet them. */
export class Operated {
  readonly server: JobServer;
  readonly http: HttpServer;
  readonly #ends: (() => unknown)[] = [];

  constructor(server: JobServer, http: HttpServer) {
    this.server = server;
    this.http = http;
  }

  get address(): string {
    return `127.0.0.1:${this.server.addresses[0]!.port}`;
  }

  get(path: string): Promise<Response> {
    return fetch(`http://${this.http.addresses[0]}${path}`);
  }

  async scrape(): Promise<Exposition> {
    return new Exposition(await (await this.get("/metrics")).text());
  }

  client(): Client {
    const client = new Client({ servers: this.address });
    this.#ends.push(() => client.close());
    return client;
  }

  /** A worker that is registered. */
  async work(functionName: string, handler: Handler<Uint8Array, unknown>): Promise<Worker> {
    const worker = new Worker({ servers: this.address, concurrency: 4 });
    worker.handle(functionName, handler as never);
    this.#ends.push(() => worker.close());
    await worker.run();
    return worker;
  }

  /** Sends packets over a connection of their own. Text is byte strings. */
  send(packets: readonly (readonly [PacketName, readonly string[]])[]): net.Socket {
    const { port } = this.server.addresses[0]!;
    const socket = net.connect(port, "127.0.0.1").on("error", () => {});
    socket.resume();
    for (const [name, args] of packets) socket.write(encodePacket(REQ, PacketType[name], args));
    this.#ends.push(() => socket.destroy());
    return socket;
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end();
    await this.http.close();
    await this.server.stop(0);
  }
}

const running: Operated[] = [];

/** Starts both on free ports. They end with the test. */
export async function operate(options: Partial<JobServerOptions> = {}): Promise<Operated> {
  const server = await JobServer.start({ version: "1.2.3", log: LOG, listen: ["127.0.0.1:0"], ...options });
  const http = await HttpServer.start({ server, log: LOG, listen: ["127.0.0.1:0"] });
  const operated = new Operated(server, http);
  running.push(operated);
  return operated;
}

afterEach(async () => {
  for (const operated of running.splice(0)) await operated.end();
});
