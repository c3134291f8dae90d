import { byteString } from "@drover/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { JobView } from "../core/index.ts";
import { shownText } from "./answers.ts";
import type { Gateway } from "./gateway.ts";
import { Problem } from "./problems.ts";
import { attach, functionName, submit } from "./submissions.ts";

/** Submitting, asking, attaching, taking back. */
export function addJobRoutes(app: FastifyInstance, gateway: Gateway): void {
  const { core } = gateway;

  const byHandle = (request: FastifyRequest): JobView => {
    const { handle } = request.params as { handle: string };
    const view = core.view(core.numberOf(handle));
    if (view !== null) gateway.requireSight(request, view.fn);
    if (view === null)
      throw new Problem("unknown-job", "there is no such job, and how it ended is not known", { handle });
    return view;
  };
  const byUnique = (request: FastifyRequest): JobView => {
    const { fn, unique } = request.params as { fn: string; unique: string };
    const name = functionName(fn);
    gateway.requireSight(request, name);
    const view = core.viewUnique(name, uniqueOf(unique));
    if (view === null)
      throw new Problem("unknown-job", "there is no job of this unique, and how it ended is not known");
    return view;
  };

  app.post("/v1/functions/:fn/jobs", (request, reply) => submit(gateway, request, reply));
  app.get("/v1/jobs/:handle", (request, reply) => {
    reply.header("cache-control", "no-store").send(shown(byHandle(request)));
  });
  app.get("/v1/functions/:fn/uniques/:unique", (request, reply) => {
    const view = byUnique(request);
    reply.header("cache-control", "no-store").send(shown(view));
  });
  app.get("/v1/uniques/:unique", (request, reply) => {
    const unique = uniqueOf((request.params as { unique: string }).unique);
    const identity = gateway.identityOf(request);
    const view =
      core.findUnique(unique, (fn) => identity.mayLookAt(fn)) ?? core.findUnique(unique, () => true);
    if (view === null) throw new Problem("unknown-job", "there is no live job of this unique");
    gateway.requireSight(request, view.fn);
    reply.header("cache-control", "no-store").send(shown(view));
  });
  app.get("/v1/jobs/:handle/events", (request, reply) => {
    const { handle } = request.params as { handle: string };
    attach(gateway, request, reply, handle, core.view(core.numberOf(handle))?.unique ?? "");
  });
  app.get("/v1/functions/:fn/uniques/:unique/events", (request, reply) => {
    const view = byUnique(request);
    attach(gateway, request, reply, view.handle, view.unique);
  });
  app.delete("/v1/jobs/:handle", (request, reply) => {
    const view = byHandle(request);
    const { handle } = view;
    gateway.requireSubmit(request, view.fn);
    const became = gateway.server.withdraw(view.number);
    switch (became) {
      case "removed":
        reply.code(204).send();
        return;
      case "detached":
        reply.code(202).send({ handle, detached: true });
        return;
      case "running":
        throw new Problem("already-running", "the job runs, and cannot be taken back", { handle });
      case "unknown":
        throw new Problem("unknown-job", "the job is over", { handle });
    }
  });
}

/** A unique in a path: base64url, or `~` and its text. @throws Problem `bad-request` */
function uniqueOf(text: string): string {
  if (text.startsWith("~")) return functionName(text.slice(1));
  if (!/^[\w-]+$/.test(text))
    throw new Problem("bad-request", "a unique in a path is base64url, or ~ and its text");
  return byteString(Buffer.from(text, "base64url"));
}

function shown(view: JobView): Record<string, unknown> {
  const { handle, fn, unique, state, numerator, denominator, waiting, attempts, endedMs } = view;
  return {
    handle,
    function: shownText(fn),
    unique: shownText(unique),
    state,
    known: endedMs === 0,
    running: state === "running",
    numerator: Number(numerator) || 0,
    denominator: Number(denominator) || 0,
    waiting,
    attempts,
    ...(endedMs === 0 ? {} : { ended: new Date(endedMs).toISOString() }),
  };
}
