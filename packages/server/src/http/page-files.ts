import { existsSync } from "node:fs";
import { join, sep } from "node:path";
import fastifyStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";
import { Problem } from "./problems.ts";

/** Nothing from elsewhere, nothing inline, and in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** What the page's build names after its content. */
const HASHED = `${sep}assets${sep}`;

/**
 * Serves the files of a built page at `/`. They are public: all that they show comes from routes that ask for a role.
 * @param folder Has `index.html`, and in `assets` what may be cached for ever.
 */
export function addPageFiles(app: FastifyInstance, folder: string): void {
  if (!existsSync(join(folder, "index.html"))) {
    app.get("/", () => {
      throw new Problem("not-found", "the dashboard is not built here: npm run dashboard builds it");
    });
    return;
  }
  app.register(fastifyStatic, {
    root: folder,
    // One route a file, so that all else keeps its answer.
    wildcard: false,
    decorateReply: false,
    cacheControl: false,
    setHeaders(reply, path) {
      reply.header(
        "cache-control",
        path.includes(HASHED) ? "public, max-age=31536000, immutable" : "no-cache",
      );
      reply.header("content-security-policy", POLICY);
      reply.header("referrer-policy", "no-referrer");
    },
  });
}
