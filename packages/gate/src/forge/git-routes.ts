import type { FastifyInstance } from "fastify";
import { GitHttp, type GitHttpOptions } from "./git-http.ts";

const PREFIX = "/git/";

/** Serves the forge's repositories below `/git/`, `app` as `/git/app.git`. To be called before the server is ready. */
export function addGitRoutes(app: FastifyInstance, options: GitHttpOptions): void {
  const http = new GitHttp(options);
  app.addHook("onClose", async () => http.close());
  app.register(async (scope) => {
    // What git sends is for git: neither read nor limited here.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, _body, done) => done(null));
    scope.route({
      method: ["GET", "POST"],
      url: `${PREFIX}*`,
      exposeHeadRoute: false,
      handler: async (request, reply) => {
        reply.hijack();
        await http.handle(request.raw, reply.raw, request.raw.url!.slice(PREFIX.length));
      },
    });
  });
}
