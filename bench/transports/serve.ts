import { JobServer } from "@drover/server";
import { DEFAULT_HTTP_LIMITS, HttpListener, HttpServer } from "@drover/server/http";
import { TlsFiles } from "@drover/transport";
import Fastify from "fastify";

/*
 * What is measured, as one process: HTTP on $PORT, with TLS 2 above it, and Gearman 4 above it: the system gives every other
 * port to connections. `bare` has the same listeners and the same router, and answers each job with its workload at once.
 * Usage: node serve.ts drover|bare CERTIFICATE KEY
 */

const [what, certificate = "", key = ""] = process.argv.slice(2);
const port = Number(process.env.PORT);
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const files = await TlsFiles.load({ certificates: [{ certificate, key }] });

if (what === "bare") {
  const app = Fastify({ logger: false });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.post("/v1/functions/:fn/jobs", (request, reply) => {
    reply.type("application/octet-stream").send(request.body);
  });
  await app.ready();
  const handlers = {
    request: app.routing,
    upgrade: (_request: unknown, socket: { destroy(): void }) => socket.destroy(),
  };
  await new HttpListener(handlers, DEFAULT_HTTP_LIMITS, files).listen("127.0.0.1", port + 2);
  await new HttpListener(handlers, DEFAULT_HTTP_LIMITS).listen("127.0.0.1", port);
} else {
  const server = await JobServer.start({
    listen: [`127.0.0.1:${port + 4}`],
    log: silent,
    version: "bench",
  });
  const secure = { listen: [`127.0.0.1:${port + 2}`], files };
  // The last one to listen is the one that is waited for.
  await HttpServer.start({ server, log: silent, listen: [], secure });
  await HttpServer.start({ server, log: silent, listen: [`127.0.0.1:${port}`] });
}
