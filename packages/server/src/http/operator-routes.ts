import type { FastifyInstance } from "fastify";
import { CONTENT_TYPE } from "../metrics/exposition.ts";
import { healthOf, whyNotReady } from "../metrics/health.ts";
import { Scrape } from "../metrics/scrape.ts";
import type { Gateway } from "./gateway.ts";
import type { HttpExtension } from "./http-server.ts";

/** Paths that answer while the server starts. */
export const ANSWER_EARLY: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics"]);

/** What Prometheus scrapes. It has the names of functions. */
export function addMetricsRoutes(
  app: FastifyInstance,
  gateway: Gateway,
  extensions: readonly Pick<HttpExtension, "metrics">[],
): void {
  const scrape = new Scrape(gateway.server, extensions);
  app.get("/metrics", async (request, reply) => {
    gateway.require("status", request);
    reply.header("cache-control", "no-store").type(CONTENT_TYPE);
    return scrape.text();
  });
}

/** What a supervisor asks. It is open to everybody, and says nothing of jobs. */
export function addHealthRoutes(app: FastifyInstance, gateway: Gateway): void {
  const { server } = gateway;
  app.get("/healthz", (_request, reply) => {
    reply.header("cache-control", "no-store").send(healthOf(server));
  });
  app.get("/readyz", (_request, reply) => {
    const reasons = whyNotReady(server);
    reply
      .code(reasons.length === 0 ? 200 : 503)
      .header("cache-control", "no-store")
      .send({ ready: reasons.length === 0, reasons });
  });
}
