import type { IncomingMessage, ServerResponse } from "node:http";
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import type { JobServer } from "../job-server.ts";
import type { Log } from "../note-log.ts";
import { Gateway } from "./gateway.ts";
import { addJobRoutes } from "./job-routes.ts";
import { DEFAULT_HTTP_LIMITS, type HttpLimits, HttpListener } from "./listeners.ts";
import { ANSWER_EARLY, addHealthRoutes, addMetricsRoutes } from "./operator-routes.ts";
import { Problem, sendProblem } from "./problems.ts";

export interface HttpServerOptions {
  /** May still be starting (`onStarting` of its options); then it is only told how far it is. */
  readonly server: JobServer;
  readonly log: Log;
  /** Where to listen: `host:port`, `[v6]:port`, `unix:/path`. Default: `localhost:4780`. */
  readonly listen?: readonly string[];
  /** Largest body of a request. Default: 16 MiB. */
  readonly maxBodyBytes?: number;
  readonly limits?: Partial<HttpLimits>;
  /** Names besides loopback's by which browsers may reach it, as `Host` has them, without the port. Default: none. */
  readonly hosts?: readonly string[];
  /** Origins whose pages may ask for anything, as `Origin` has them. Default: its own only. */
  readonly origins?: readonly string[];
}

/** The job server over HTTP/1.1, HTTP/2 and WebSocket, on one port. @see docs/PROTOCOL.md#http */
export class HttpServer {
  readonly app: FastifyInstance;
  readonly #listeners: HttpListener[] = [];
  #addresses: string[] = [];

  private constructor(app: FastifyInstance) {
    this.app = app;
  }

  /** @throws TransportError when an address cannot be had; nothing is left listening then. */
  static async start(options: HttpServerOptions): Promise<HttpServer> {
    const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits };
    const app = makeApp(options);
    await app.ready();
    const http = new HttpServer(app);
    const onRequest = (request: IncomingMessage, response: ServerResponse) => app.routing(request, response);
    try {
      for (const address of options.listen ?? ["localhost:4780"]) {
        const listener = new HttpListener(onRequest, (_request, socket) => socket.destroy(), limits);
        http.#listeners.push(listener);
        const { address: host, port } = await listener.listen(address);
        http.#addresses.push(`${host.includes(":") ? `[${host}]` : host}:${port}`);
      }
    } catch (error) {
      await http.close();
      throw error;
    }
    return http;
  }

  /** Where it listens, as `host:port`. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** Takes no more connections; streams that are open go on until the job server ends them. */
  async stopAccepting(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  async close(): Promise<void> {
    await this.stopAccepting();
    for (const listener of this.#listeners) listener.destroy();
    await this.app.close();
  }
}

function makeApp(options: HttpServerOptions): FastifyInstance {
  const app = Fastify({
    bodyLimit: options.maxBodyBytes ?? 16 * 1024 * 1024,
    // Names may have any bytes, percent-encoded.
    routerOptions: { maxParamLength: 4096, caseSensitive: true },
    logger: false,
    trustProxy: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
  });
  app.removeAllContentTypeParsers();
  // A workload is bytes, whatever it is called.
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error: FastifyError, _request, reply) =>
    sendProblem(reply, problemOf(error, options.log)),
  );
  app.setNotFoundHandler((request, reply) => {
    sendProblem(reply, notFound(app, request));
  });
  const guard = new SiteGuard(options);
  app.addHook("onRequest", (request, reply, done) => {
    reply.header("x-content-type-options", "nosniff");
    const refusal = guard.refusal(request);
    if (refusal !== null) sendProblem(reply, refusal);
    else if (isStarting(options.server) && !ANSWER_EARLY.has(request.url.split("?")[0]!)) {
      sendProblem(reply, new Problem("starting", "the server starts", { retryAfter: 1 }));
    } else done();
  });
  const gateway = new Gateway(options.server);
  addJobRoutes(app, gateway);
  addMetricsRoutes(app, gateway);
  addHealthRoutes(app, gateway);
  return app;
}

/** Whether nothing may be told to the core yet. */
function isStarting({ phase }: JobServer): boolean {
  return phase === "starting" || phase === "restoring";
}

function notFound(app: FastifyInstance, request: FastifyRequest): Problem {
  const path = request.url.split("?")[0]!;
  for (const method of ["GET", "POST", "DELETE"] as const) {
    if (method !== request.method && app.findRoute({ url: path, method }) !== null) {
      return new Problem("method-not-allowed", `${path} takes ${method}`);
    }
  }
  return new Problem("not-found", `there is nothing at ${path.slice(0, 200)}`);
}

function problemOf(error: FastifyError, log: Log): Problem {
  if (error instanceof Problem) return error;
  if (error.code === "FST_ERR_CTP_BODY_TOO_LARGE") return new Problem("too-large", "the body is too large");
  if (error.code === "FST_ERR_CTP_INVALID_CONTENT_LENGTH") {
    return new Problem("bad-request", "the body is not as long as Content-Length says");
  }
  if (error.statusCode !== undefined && error.statusCode < 500)
    return new Problem("bad-request", error.message);
  log.error({ code: "HTTP_INTERNAL", error }, "a request failed by a fault of the server");
  return new Problem("internal", "the server has a fault here, which its log tells");
}

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]", ""]);

/**
 * Keeps pages of other sites out: a browser carries their requests to loopback, where no password is asked for, and a name
 * of theirs may resolve to it (DNS rebinding).
 */
class SiteGuard {
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;

  constructor({ hosts = [], origins = [] }: HttpServerOptions) {
    this.#hosts = new Set(hosts.map((host) => host.toLowerCase()));
    this.#origins = new Set(origins);
  }

  refusal(request: FastifyRequest): Problem | null {
    const authority = (request.headers[":authority"] as string | undefined) ?? request.headers.host ?? "";
    const host = authority.replace(/:\d*$/, "").toLowerCase();
    const isOnLoopback = isLoopback(request.raw.socket.localAddress);
    if (isOnLoopback && !LOOPBACK.has(host) && !this.#hosts.has(host)) {
      return new Problem(
        "host-not-allowed",
        `this server is not called ${host.slice(0, 100)}: add it to http.hosts`,
      );
    }
    const { origin } = request.headers;
    if (origin !== undefined && !this.#isOwn(origin, authority) && !this.#origins.has(origin)) {
      return new Problem(
        "cross-site",
        `pages of ${origin.slice(0, 100)} may not use this server: see http.origins`,
      );
    }
    const site = request.headers["sec-fetch-site"];
    if (origin === undefined && site === "cross-site" && request.headers["sec-fetch-mode"] !== "navigate") {
      return new Problem("cross-site", "pages of other sites may not use this server: see http.origins");
    }
    return null;
  }

  #isOwn(origin: string, authority: string): boolean {
    return origin === `http://${authority}` || origin === `https://${authority}`;
  }
}

function isLoopback(address: string | undefined): boolean {
  return address === undefined || address === "::1" || /^(::ffff:)?127\./.test(address);
}

export type { FastifyReply };
