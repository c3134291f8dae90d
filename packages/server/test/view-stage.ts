import { type Handler, Worker } from "@drover/worker";
import { HttpServer, type HttpServerOptions } from "../src/http/index.ts";
import { JobServer, type JobServerOptions } from "../src/index.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** A job server with HTTP beside it, both on ports that the system picked. */
export class Stage implements AsyncDisposable {
  readonly server: JobServer;
  readonly http: HttpServer;
  readonly #workers: Worker[] = [];

  private constructor(server: JobServer, http: HttpServer) {
    this.server = server;
    this.http = http;
  }

  static async open(
    options: Partial<JobServerOptions> = {},
    http: Partial<HttpServerOptions> = {},
  ): Promise<Stage> {
    const server = await JobServer.start({
      listen: ["127.0.0.1:0"],
      log: SILENT,
      version: "1.2.3",
      handlePrefix: "H:stage",
      ...options,
    });
    return new Stage(
      server,
      await HttpServer.start({ server, log: SILENT, listen: ["127.0.0.1:0"], ...http }),
    );
  }

  get url(): string {
    return `http://${this.http.addresses[0]}`;
  }

  async worker(handlers: Readonly<Record<string, Handler>>): Promise<Worker> {
    const { address, port } = this.server.addresses[0]!;
    const worker = new Worker({
      servers: `${address}:${port}`,
      concurrency: 4,
      backoff: { initialMs: 5, maxMs: 50 },
    });
    for (const [name, handler] of Object.entries(handlers)) worker.handle(name, handler);
    this.#workers.push(worker);
    await worker.run();
    return worker;
  }

  /** Submits a background job. @returns its handle. */
  async submit(fn: string, unique = "", headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const response = await fetch(`${this.url}/v1/functions/${encodeURIComponent(fn)}/jobs`, {
      method: "POST",
      headers: {
        prefer: "respond-async",
        ...(unique === "" ? {} : { "gearman-unique": JSON.stringify(unique) }),
        ...headers,
      },
      body: "workload",
    });
    return ((await response.json()) as { handle: string }).handle;
  }

  /** The JSON of a path, whatever the status. */
  async get<T>(path: string): Promise<T> {
    return (await (await fetch(this.url + path)).json()) as T;
  }

  /** The status that a request without a body is answered with. */
  async ask(method: "GET" | "POST" | "DELETE", path: string): Promise<number> {
    const response = await fetch(this.url + path, { method });
    await response.arrayBuffer();
    return response.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) await worker.close();
    await this.http.close();
    await this.server.stop(0);
  }
}

/** The events of a stream, as they come. */
export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = "";

  private constructor(reader: ReadableStreamDefaultReader<string>) {
    this.#reader = reader;
  }

  static async open(url: string, signal: AbortSignal): Promise<EventReader> {
    const response = await fetch(url, { headers: { accept: "text/event-stream" }, signal });
    const { body } = response;
    if (!response.ok || body === null) throw new Error(`${url} answered ${response.status}`);
    return new EventReader(body.pipeThrough(new TextDecoderStream()).getReader());
  }

  /** The next event's name and data; undefined at the end. */
  async next<T = never>(): Promise<{ event: string; data: T } | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end >= 0) {
        const lines = this.#text.slice(0, end).split("\n");
        this.#text = this.#text.slice(end + 2);
        const field = (name: string) =>
          lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        const data = field("data");
        if (data !== undefined) return { event: field("event") ?? "", data: JSON.parse(data) as T };
        continue;
      }
      const { value, done } = await this.#reader.read();
      if (done) return undefined;
      this.#text += value;
    }
  }
}
