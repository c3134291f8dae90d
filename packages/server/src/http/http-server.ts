import {
  formatAddress,
  type ListeningSockets,
  listenError,
  parseAddress,
  type TlsFiles,
  TransportError,
} from "@drover/transport";
import cors from "@fastify/cors";
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
import { DEFAULT_HTTP_LIMITS, type HttpHandlers, type HttpLimits, HttpListener } from "./listeners.ts";
import { openApi } from "./openapi.ts";
import { ANSWER_EARLY, addHealthRoutes, addMetricsRoutes } from "./operator-routes.ts";
import { addPageFiles } from "./page-files.ts";
import { PROBLEMS, Problem, type ProblemName, sendProblem } from "./problems.ts";
import type { WatchLimits } from "./pulse.ts";
import { SiteGuard } from "./site-guard.ts";
import { addViewRoutes } from "./view-routes.ts";
import { webSockets } from "./websockets.ts";
import { addWorkRoutes } from "./work-routes.ts";

/** What another part of the process has on the same port. */
export interface HttpExtension {
  /** Adds its routes, outside of `/v1/`. Who may use them is its own affair; hosts and origins are looked at before. */
  addRoutes(app: FastifyInstance): void | Promise<void>;
  /** Families in the text format of Prometheus, added to `/metrics`. */
  metrics?(): string | Promise<string>;
}

export interface HttpServerOptions {
  /** May still be starting (`onStarting` of its options); then it is only told how far it is. */
  readonly server: JobServer;
  readonly log: Log;
  /** Where to listen: `host:port`, `[v6]:port`. Default: `localhost:4780`, or nowhere when `secure` says where. */
  readonly listen?: readonly string[];
  /** Where to listen with TLS. Default: nowhere. */
  readonly secure?: { readonly listen: readonly string[]; readonly files: TlsFiles };
  /** Listening sockets that are taken from the process before this one and left to the next. Default: own ones. */
  readonly sockets?: ListeningSockets;
  /** Largest body of a request. Default: 16 MiB. */
  readonly maxBodyBytes?: number;
  readonly limits?: Partial<HttpLimits>;
  readonly watchLimits?: Partial<WatchLimits>;
  /** Folder of the built dashboard, served at `/`. Default: none. */
  readonly dashboard?: string;
  readonly extensions?: readonly HttpExtension[];
  /** Names besides loopback's by which browsers may reach it, as `Host` has them, without the port. Default: none. */
  readonly hosts?: readonly string[];
  /** Origins whose pages may ask for anything, as `Origin` has them. Default: its own only. */
  readonly origins?: readonly string[];
}

export const DEFAULT_HTTP_PORT = 4780;
const NO_IPV6 = new Set(["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"]);

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
    const { server, log, secure, sockets, hosts = [], origins = [] } = options;
    const guard = new SiteGuard(hosts, origins);
    const gateway = new Gateway(server, log);
    const app = await makeApp(options, gateway, guard);
    const http = new HttpServer(app);
    const handlers: HttpHandlers = {
      request: (request, response) => app.routing(request, response),
      upgrade: await webSockets(gateway, guard),
    };
    try {
      for (const address of options.listen ?? (secure === undefined ? ["localhost"] : [])) {
        await http.#listen(address, sockets, () => new HttpListener(handlers, limits));
      }
      for (const address of secure?.listen ?? []) {
        await http.#listen(address, sockets, () => new HttpListener(handlers, limits, secure!.files));
      }
    } catch (error) {
      await http.close();
      throw error;
    }
    return http;
  }

  async #listen(
    text: string,
    sockets: ListeningSockets | undefined,
    makeListener: () => HttpListener,
  ): Promise<void> {
    const address = parseAddress(/^\d+$/.test(text) ? `:${text}` : text, { port: DEFAULT_HTTP_PORT });
    if (address.transport !== "tcp") {
      throw new TransportError("ADDRESS_INVALID", `${text}: HTTP listens on host:port`);
    }
    const bind = async (host: string, port: number): Promise<number> => {
      const listener = makeListener();
      const chosen = await listener.listen(host, port, sockets);
      this.#listeners.push(listener);
      this.#addresses.push(formatAddress({ transport: "tcp", host, port: chosen }));
      return chosen;
    };
    try {
      if (address.host !== "localhost") {
        await bind(address.host, address.port);
        return;
      }
      const port = await bind("127.0.0.1", address.port);
      await bind("::1", port).catch((error: NodeJS.ErrnoException) => {
        if (!NO_IPV6.has(error.code ?? "")) throw error;
      });
    } catch (error) {
      throw listenError(formatAddress(address), error as Error);
    }
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

/** Fields of answers that pages of other origins may read. */
const EXPOSED = [
  "gearman-handle",
  "gearman-coalesced",
  "gearman-server",
  "gearman-lease",
  "gearman-stream",
  "location",
  "retry-after",
];

/** What is there for everybody, below `/v1`. */
const OPEN = /^\/v1\/(openapi\.json|problems\/)/;

async function makeApp(
  options: HttpServerOptions,
  gateway: Gateway,
  guard: SiteGuard,
): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: options.maxBodyBytes ?? 16 * 1024 * 1024,
    // Names may have any bytes, percent-encoded.
    routerOptions: { maxParamLength: 4096, caseSensitive: true },
    logger: false,
    trustProxy: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    // A path that is none, before anything else is asked.
    frameworkErrors: (_error, _request, reply) => {
      sendProblem(
        reply as unknown as FastifyReply,
        new Problem("bad-request", "the path is not one that can be read"),
      );
    },
  });
  app.decorateRequest("drover", null);
  app.removeAllContentTypeParsers();
  // A workload is bytes, whatever it is called.
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error: FastifyError, _request, reply) =>
    sendProblem(reply, problemOf(error, options.log)),
  );
  app.setNotFoundHandler((request, reply) => {
    sendProblem(reply, notFound(app, request));
  });
  app.addHook("onRequest", (request, reply, done) => {
    reply.header("x-content-type-options", "nosniff");
    const refusal = guard.refusal(request.raw);
    if (refusal !== null) sendProblem(reply, refusal);
    else if (isStarting(options.server) && !ANSWER_EARLY.has(request.url.split("?")[0]!)) {
      sendProblem(reply, new Problem("starting", "the server starts", { retryAfter: 1 }));
    } else done();
  });
  if ((options.origins ?? []).length > 0) {
    await app.register(cors, {
      origin: (origin, done) => done(null, origin !== undefined && guard.allows(origin)),
      methods: ["GET", "POST", "DELETE"],
      exposedHeaders: EXPOSED,
    });
  }
  app.addHook("onRequest", (request, _reply, done) => {
    // Before a body is read: strangers have none to send.
    if (request.url.startsWith("/v1/") && !OPEN.test(request.url)) gateway.identityOf(request);
    done();
  });
  addJobRoutes(app, gateway);
  addWorkRoutes(app, gateway);
  addViewRoutes(app, gateway, options.watchLimits);
  addMetricsRoutes(app, gateway, options.extensions ?? []);
  addHealthRoutes(app, gateway);
  addDescriptions(app, options.server.version);
  if (options.dashboard !== undefined) addPageFiles(app, options.dashboard);
  for (const extension of options.extensions ?? []) await extension.addRoutes(app);
  await app.ready();
  return app;
}

/** Whether nothing may be told to the core yet. */
function isStarting({ phase }: JobServer): boolean {
  return phase === "starting" || phase === "restoring";
}

/** What the API is, and what its problems mean. */
function addDescriptions(app: FastifyInstance, version: string): void {
  const document = openApi(version);
  app.get("/v1/openapi.json", (_request, reply) => reply.send(document));
  app.get("/v1/problems/:name", (request, reply) => {
    const { name } = request.params as { name: string };
    if (!Object.hasOwn(PROBLEMS, name)) throw new Problem("not-found", "there is no such problem");
    const [status, retryable, meaning] = PROBLEMS[name as ProblemName];
    reply.send({ name, status, retryable, meaning });
  });
}

function notFound(app: FastifyInstance, request: FastifyRequest): Problem {
  const path = request.url.split("?")[0]!;
  for (const method of ["GET", "POST", "DELETE"] as const) {
    if (method !== request.method && app.findRoute({ url: path, method }) !== null) {
      return new Problem("method-not-allowed", `this path takes ${method}`);
    }
  }
  // Without the path: some put secrets there.
  return new Problem("not-found", "there is nothing at this path");
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
