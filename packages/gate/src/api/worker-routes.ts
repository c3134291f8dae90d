import type { Readable } from "node:stream";
import { Problem } from "@drover/server/http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import * as z from "zod";
import { ExecutorError } from "../executor/index.ts";
import { buildsByName, type Gate } from "../gate.ts";
import { GitError } from "../git/git.ts";
import { takePack } from "../git/packs.ts";
import type { WorkerView } from "./types.ts";
import { userOf } from "./user-of.ts";
import { API } from "./views.ts";

/* What executors and mergers on other machines bring to the gate. Their token is that of a worker. */

/** What a worker may say of itself. */
const MAX_FACTS_BYTES = 512 * 1024;
/** Pieces of logs, artifacts and packs that are taken at a time; more are told to come later. */
const MAX_COMING = 64;

const facts = z.strictObject({
  kind: z.enum(["executor", "merger"]),
  name: z.string().regex(/^[\x21-\x7e]{1,100}$/),
  isConnected: z.boolean(),
  accepts: z.boolean(),
  why: z.string().max(500).nullable(),
  slots: z.number().int().min(0).max(100_000),
  running: z.array(z.string().max(255)).max(10_000),
  isolation: z.string().max(40).nullable(),
  /** Workspaces that it holds. */
  held: z
    .array(
      z.strictObject({
        execution: z.string().max(80),
        sinceMs: z.number(),
        untilMs: z.number(),
        bytes: z.number(),
      }),
    )
    .max(1_000)
    .default([]),
});

/** What an executor asks about: a build that has failed. */
const failed = z.strictObject({
  build: z.string().max(255),
  result: z.union([
    z.strictObject({
      kind: z.literal("final"),
      result: z.enum(["SUCCESS", "FAILURE", "TIMED_OUT", "POST_FAILURE", "DISK_FULL", "ERROR"]),
    }),
    z.strictObject({ kind: z.literal("retry"), again: z.boolean() }),
    z.strictObject({ kind: z.literal("lost") }),
  ]),
});

export function addWorkerRoutes(
  app: FastifyInstance,
  gate: Gate,
  { readsNeedToken }: { readonly readsNeedToken: boolean },
): void {
  app.addHook("onRequest", async (_request, reply) => {
    reply.header("cache-control", "no-store");
  });
  app.get(`${API}/workers`, (request) => {
    if (readsNeedToken) userOf(gate, request);
    return gate.workers.list().map(workerView);
  });
  app.register(async (scope) => {
    // Bodies are streams, limited where they are read.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, _body, done) => done(null));
    scope.addHook("onRequest", async (request) => requireWorker(gate, request));
    let coming = 0;
    const taking = async <T>(act: () => Promise<T>): Promise<T> => {
      if (coming >= MAX_COMING) throw new Problem("rate-limited", "too much comes at a time: later");
      coming++;
      try {
        return await act();
      } catch (error) {
        if (error instanceof ExecutorError) throw new Problem("bad-request", error.message);
        throw error;
      } finally {
        coming--;
      }
    };
    scope.post(`${API}/workers`, async (request) => {
      const bytes = await readBody(request.raw, MAX_FACTS_BYTES);
      const { success, data, error } = facts.safeParse(jsonOf(bytes));
      if (!success) throw new Problem("bad-request", error.issues[0]!.message);
      const { held, ...worker } = data;
      if (!gate.workers.tell(worker))
        throw new Problem("rate-limited", "too many workers tell of themselves");
      return { letGo: worker.kind === "executor" ? gate.autoholds.compare(worker.name, held) : [] };
    });
    scope.post(`${API}/holds`, async (request) => {
      const { success, data, error } = failed.safeParse(jsonOf(await readBody(request.raw, MAX_FACTS_BYTES)));
      if (!success) throw new Problem("bad-request", error.issues[0]!.message);
      return { holdMs: gate.autoholds.holdMs(data.build, data.result) };
    });
    scope.put(`${API}/executions/:id/log`, (request) =>
      taking(async () => {
        const { id } = request.params as { id: string };
        const from = Number((request.query as { from?: string }).from);
        if (!Number.isSafeInteger(from) || from < 0) throw new Problem("bad-request", "from is no offset");
        const bytes = await readBody(request.raw, gate.executions.limits.maxPieceBytes);
        return { bytes: await gate.executions.appendLog(id, from, bytes) };
      }),
    );
    scope.put(`${API}/executions/:id/artifacts/*`, (request) =>
      taking(async () => {
        const { id, "*": name } = request.params as { id: string; "*": string };
        await gate.executions.putArtifact(id, name, request.raw);
        return {};
      }),
    );
    scope.post(`${API}/packs/*`, (request) =>
      taking(async () => {
        const { "*": project } = request.params as { "*": string };
        const { forge } = gate;
        if (!forge.projects().includes(project))
          throw new Problem("not-found", `there is no project ${project}`);
        try {
          await takePack(forge.gitDir(project), request.raw, forge.limits.maxPackBytes);
        } catch (error) {
          if (error instanceof GitError) throw new Problem("bad-request", error.message);
          throw error;
        }
        return {};
      }),
    );
  });

  function workerView({ running, ...worker }: ReturnType<Gate["workers"]["list"]>[number]): WorkerView {
    // One that builds share is there by its content.
    const builds = running.flatMap((name) => buildsByName(gate.id, gate.ledger, name).map(String));
    return { ...worker, builds };
  }
}

/** @throws Problem `unauthenticated`, `forbidden` */
function requireWorker(gate: Gate, request: FastifyRequest): void {
  const user = userOf(gate, request);
  if (user.role !== "worker")
    throw new Problem("forbidden", `${user.name} is no worker: drover gate user add NAME --worker`);
}

/** @throws Problem `too-large` */
async function readBody(stream: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Problem("too-large", `at most ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    throw new Problem("bad-request", "the body is no JSON");
  }
}
