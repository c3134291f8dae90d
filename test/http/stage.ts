import { JobServer, type JobServerOptions, type Log } from "@drover/server";
import { HttpServer, type HttpServerOptions } from "@drover/server/http";
import { type Handler, Worker } from "@drover/worker";
import { onTestFinished } from "vitest";

/** A job server with its port for HTTP, both on free ports of loopback, ended with the test. */
export interface Stage {
  readonly server: JobServer;
  readonly http: HttpServer;
  /** `http://127.0.0.1:PORT/v1` */
  readonly url: string;
  /** Gearman's own port. */
  readonly port: number;
  /** What was logged: whole lines as JSON. */
  readonly logged: string[];
  worker(functions: Readonly<Record<string, Handler>>, concurrency?: number): Worker;
}

export async function stage(
  options: Partial<JobServerOptions> = {},
  httpOptions: Partial<HttpServerOptions> = {},
): Promise<Stage> {
  const logged: string[] = [];
  const log = logInto(logged);
  const server = await JobServer.start({ listen: ["127.0.0.1:0"], log, version: "test", ...options });
  const http = await HttpServer.start({ server, log, listen: ["127.0.0.1:0"], ...httpOptions });
  const port = server.addresses[0]!.port;
  const workers: Worker[] = [];
  onTestFinished(async () => {
    await Promise.all(workers.map((worker) => worker.close()));
    await http.close();
    await server.stop(0);
  });
  return {
    server,
    http,
    url: `http://${http.addresses[0]}/v1`,
    port,
    logged,
    worker: (functions, concurrency = 4) => {
      const worker = new Worker({ servers: `127.0.0.1:${port}`, concurrency });
      for (const [name, handler] of Object.entries(functions)) worker.handle(name, handler);
      void worker.run();
      workers.push(worker);
      return worker;
    },
  };
}

function logInto(lines: string[]): Log {
  const write = (fields: unknown, message: unknown): void => {
    lines.push(
      JSON.stringify([message, fields], (_key, value) => (value instanceof Error ? value.stack : value)),
    );
  };
  return { debug: write, info: write, warn: write, error: write } as unknown as Log;
}

/** Events of an NDJSON stream as they come. */
export async function* eventsOf(
  response: Response,
): AsyncGenerator<Record<string, unknown>, void, undefined> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      if (line !== "") yield JSON.parse(line) as Record<string, unknown>;
    }
  }
}
