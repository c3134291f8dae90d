import { createReadStream, realpathSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import type { Log } from "@drover/server";
import { type HttpExtension, Problem } from "@drover/server/http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import * as z from "zod";
import {
  addGitRoutes,
  type ChangeFilter,
  ForgeError,
  type ForgeErrorCode,
  type User,
} from "../forge/index.ts";
import { type Gate, GateError } from "../gate.ts";
import type { Undelivered } from "../reporters/index.ts";
import type { BuildRow } from "../scheduler/build-table.ts";
import { HistoryError } from "../scheduler/history.ts";
import { KEYS, ProjectKeys } from "../secrets/keys.ts";
import { addAutoholdRoutes } from "./autohold-routes.ts";
import { explanationView, refExplanationView } from "./explanation.ts";
import { jobsView } from "./jobs-view.ts";
import { LogStreams } from "./log-stream.ts";
import { gateMetrics } from "./metrics.ts";
import { body, numberIn, operator, query } from "./request-parts.ts";
import { addResourceRoutes } from "./resource-routes.ts";
import { StatusStream } from "./status-stream.ts";
import type { DoneView, FlakeView, UndeliveredView, UserView } from "./types.ts";
import { userOf } from "./user-of.ts";
import { API, buildView, changeSummary, changeView, statusView } from "./views.ts";
import { addWorkerRoutes } from "./worker-routes.ts";

export interface GateHttpOptions {
  readonly log: Log;
  /** Whether reading needs a token, as writing does. Default: false. */
  readonly readsNeedToken?: boolean;
}

/** The gate on the HTTP port: `/api/gate`, `/git/`, and its families in `/metrics`. */
export function gateHttp(gate: Gate, options: GateHttpOptions): HttpExtension {
  return {
    addRoutes(app) {
      const { log, readsNeedToken = false } = options;
      addGitRoutes(app, { forge: gate.forge, log, readsNeedToken });
      const status = new StatusStream(gate);
      app.addHook("preClose", async () => status.close());
      app.register(async (scope) => {
        scope.addHook("onRequest", async (request, reply) => {
          reply.header("cache-control", "no-store");
          if (!readsNeedToken && request.method === "GET") return;
          const { name, role } = userOf(gate, request);
          if (role === "worker" && request.method !== "GET")
            throw new Problem("forbidden", `${name} is a worker, and no user`);
        });
        addReads(scope, gate, status);
        addResourceRoutes(scope, gate);
        addAutoholdRoutes(scope, gate);
        addWrites(scope, gate);
      });
      app.register(async (scope) => addWorkerRoutes(scope, gate, { readsNeedToken }));
      app.get("/changes/:number", (request, reply) => {
        const { number } = request.params as { number: string };
        reply.redirect(`/#/gate/changes/${numberIn(number)}`);
      });
    },
    metrics: () => gateMetrics(gate),
  };
}

function addReads(app: FastifyInstance, gate: Gate, status: StatusStream): void {
  const { forge, builds } = gate;
  const keys = new ProjectKeys(join(gate.folder, KEYS));
  const logs = new LogStreams(gate);
  app.get(`${API}/status`, async (request) => {
    const { at } = query(atQuery, request);
    if (at === undefined) return statusView(gate, Date.now());
    return statusView(gate, at, await forgeDoes(() => gate.history.coreAt(at)));
  });
  app.get(`${API}/replay`, (request) => {
    operator(gate, request);
    return forgeDoes(() => gate.history.replay(() => gate.scheduler.core.snapshot()));
  });
  app.get(`${API}/events`, (_request, reply) => {
    reply.hijack();
    if (!status.add(reply.raw)) reply.raw.writeHead(503, { "retry-after": "5" }).end();
  });
  app.get(`${API}/whoami`, (request): UserView => userOf(gate, request));
  app.get(`${API}/changes`, (request) => {
    const wanted = Object.entries(query(changesQuery, request)).filter(([, value]) => value !== undefined);
    const filter = Object.fromEntries(wanted) as ChangeFilter;
    return forge.changes(filter).map(({ number }) => changeSummary(gate, number));
  });
  app.get(`${API}/changes/:number`, (request) => changeView(gate, changeIn(gate, request))!);
  app.get(`${API}/changes/:number/diff`, async (request, reply) => {
    const { revision } = query(z.object({ revision: whole.optional() }), request);
    const { text, isCut } = await forgeDoes(() => forge.diff(changeIn(gate, request), revision));
    reply.type("text/x-diff; charset=utf-8").header("drover-cut", String(isCut));
    return text;
  });
  app.get(`${API}/explain/:number`, (request) => {
    const { job, at } = query(explainQuery, request);
    const number = changeIn(gate, request);
    return forgeDoes(() => explanationView(gate, number, { job, atMs: at }));
  });
  app.get(`${API}/explain`, (request) => {
    const { ref, project, commit, job, at } = query(explainRefQuery, request);
    return forgeDoes(() => refExplanationView(gate, { ref, project, commit }, { job, atMs: at }));
  });
  app.get(`${API}/builds`, (request) => {
    const { change, ...filter } = query(buildsQuery, request);
    const subjectId = change === undefined ? undefined : `${forge.connection}:${change}`;
    return builds.list({ ...filter, subjectId }).map((row) => buildView(gate, row));
  });
  app.get(`${API}/builds/:id`, (request) => {
    const row = buildIn(gate, request);
    const folder = row.execution === null ? undefined : gate.executions.folderOf(row.execution);
    const log = folder === undefined ? undefined : statSync(join(folder, "log"), { throwIfNoEntry: false });
    return { ...buildView(gate, row), ...(log === undefined ? {} : { logBytes: log.size }) };
  });
  app.get(`${API}/builds/:id/log`, async (request, reply) => {
    const row = buildIn(gate, request);
    const { from = 0 } = query(z.object({ from: whole.optional() }), request);
    if (/\btext\/event-stream\b/.test(request.headers.accept ?? "")) {
      const last = Number(request.headers["last-event-id"] ?? from);
      reply.hijack();
      const begin = Number.isSafeInteger(last) ? last : from;
      if (!(await logs.follow(row.id, begin, reply.raw)))
        reply.raw.writeHead(503, { "retry-after": "5" }).end();
      return;
    }
    const chunk = row.execution === null ? undefined : await gate.executions.readLog(row.execution, from);
    reply
      .type("text/plain; charset=utf-8")
      .header("drover-log-from", String(chunk?.offset ?? from))
      .header("drover-log-ended", String(row.endedMs !== null && (chunk?.isEnded ?? true)));
    return Buffer.from(chunk?.bytes ?? []);
  });
  app.get(`${API}/builds/:id/artifacts/*`, (request, reply) => {
    const row = buildIn(gate, request);
    const name = (request.params as { "*": string })["*"];
    const folder = row.execution === null ? undefined : gate.executions.folderOf(row.execution);
    const file = folder === undefined ? undefined : fileBelow(join(folder, "artifacts"), name);
    if (file === undefined) throw new Problem("not-found", `build ${row.id} has no artifact of this name`);
    // A build's files are not the gate's word: a browser must not run them as if they were.
    reply
      .header("content-security-policy", "sandbox; default-src 'none'")
      .header("content-disposition", "attachment");
    return reply.type("application/octet-stream").send(createReadStream(file));
  });
  app.get(`${API}/outbox`, (request) => {
    const { change, limit = 100 } = query(outboxQuery, request);
    const subject = change === undefined ? {} : { subject: `${forge.connection}:${change}` };
    return gate.outbox.list({ ...subject, limit }).map(undeliveredView);
  });
  app.get(`${API}/flakes`, (request) =>
    gate.ledger.flakes(query(flakesQuery, request)).map(({ executions, ...flake }): FlakeView => {
      const shown = executions.map(({ build, result, detail, endedMs }) => {
        return { build: String(build), result, detail, endedMs };
      });
      return { ...flake, executions: shown };
    }),
  );
  app.get(`${API}/jobs`, () => {
    const layout = gate.loader.current?.layout;
    return layout === undefined ? [] : jobsView(layout);
  });
  app.get(`${API}/config-problems`, () => gate.configProblems);
  app.get(`${API}/projects/:name/key`, async (request, reply) => {
    const { name } = request.params as { name: string };
    if (!gate.tenant.projects.has(name)) throw new Problem("not-found", `there is no project ${name}`);
    return reply.type("application/x-pem-file").send(await keys.publicKey(name));
  });
  app.get(`${API}/projects`, () =>
    forge.projects().map((name) => ({ name, isConfigured: gate.tenant.projects.has(name) })),
  );
}

function addWrites(app: FastifyInstance, gate: Gate): void {
  const { forge } = gate;
  const onChange = (
    verb: string,
    act: (number: number, user: User, request: FastifyRequest) => void,
    done: (number: number) => string,
  ): void => {
    app.post(`${API}/changes/:number/${verb}`, async (request): Promise<DoneView> => {
      const user = userOf(gate, request);
      const number = changeIn(gate, request);
      await forgeDoes(() => act(number, user, request));
      return { done: [done(number), ...gate.pipelinesOf(`${forge.connection}:${number}`)] };
    });
  };
  onChange(
    "approve",
    (number, user, request) => {
      const { revision } =
        request.body === undefined || request.body === null ? {} : body(approveBody, request);
      forge.approve(number, user, revision);
    },
    (number) => `change ${number} is approved`,
  );
  onChange(
    "unapprove",
    (number, user) => forge.unapprove(number, user),
    (number) => `change ${number} is not approved any more`,
  );
  onChange(
    "abandon",
    (number, user) => forge.abandon(number, user),
    (number) => `change ${number} is abandoned`,
  );
  onChange(
    "restore",
    (number, user) => forge.restore(number, user),
    (number) => `change ${number} is open again`,
  );
  onChange(
    "comment",
    (number, user, request) => {
      const { text, vote, file, line, revision } = body(commentBody, request);
      forge.comment(number, user, {
        text,
        ...(vote === undefined ? {} : { vote }),
        ...(file === undefined ? {} : { file }),
        ...(line === undefined ? {} : { line }),
        ...(revision === undefined ? {} : { revision }),
      });
    },
    (number) => `change ${number} has the comment`,
  );
  app.post(`${API}/enqueue`, async (request): Promise<DoneView> => {
    operator(gate, request);
    const { change, pipeline, ignoreRequirements, ignoreDependsOn } = body(enqueueBody, request);
    const record = forge.record(change);
    if (record === undefined) throw new Problem("not-found", `there is no change ${change}`);
    knownPipeline(gate, pipeline);
    const wanted = { ignoreRequirements, ignoreNeeds: ignoreDependsOn };
    const { isTaken, done } = gate.enqueue(record, pipeline, wanted);
    if (!isTaken) throw new Problem("conflict", `change ${change} is not in ${pipeline}: ${done.join("; ")}`);
    return { done };
  });
  app.post(`${API}/dequeue`, async (request): Promise<DoneView> => {
    operator(gate, request);
    const { change, project, pipeline } = body(dequeueBody, request);
    const record = forge.record(change);
    if (record === undefined) throw new Problem("not-found", `there is no change ${change}`);
    if (project !== undefined && project !== record.project) {
      throw new Problem("not-found", `change ${change} is of ${record.project}, not of ${project}`);
    }
    knownPipeline(gate, pipeline);
    const done = gate.dequeue(record.id, pipeline);
    if (done === null)
      throw new Problem("not-found", `change ${change} is neither in ${pipeline} nor waits for it`);
    return { done };
  });
  app.post(`${API}/promote`, async (request): Promise<DoneView> => {
    operator(gate, request);
    const { changes, pipeline } = body(promoteBody, request);
    knownPipeline(gate, pipeline);
    const ids = changes.map((change) => {
      const record = forge.record(change);
      if (record === undefined) throw new Problem("not-found", `there is no change ${change}`);
      return record.id;
    });
    const obstacle = gate.promote(pipeline, ids);
    if (obstacle !== null) throw new Problem("conflict", obstacle);
    return { done: [`ahead in ${pipeline} now: change ${changes.join(", ")}`] };
  });
  app.post(`${API}/freeze`, async (request): Promise<DoneView> => {
    const { name: by } = operator(gate, request);
    const { project, branch, reason } = body(freezeBody, request);
    const branches = await forgeDoes(() => forge.branches(project));
    if (!branches.has(branch)) throw new Problem("not-found", `${project} has no branch ${branch}`);
    gate.scheduler.tellNow({ kind: "freezeBranch", project, branch, reason, by });
    const { frozenBranches } = gate.scheduler.status();
    if (!frozenBranches.some((one) => one.project === project && one.branch === branch))
      throw new Problem("conflict", `${frozenBranches.length} branches are frozen: thaw some before`);
    return { done: [`nothing is merged into ${branch} of ${project} until it is thawed`] };
  });
  app.post(`${API}/thaw`, async (request): Promise<DoneView> => {
    operator(gate, request);
    const { project, branch } = body(thawBody, request);
    const { frozenBranches } = gate.scheduler.status();
    if (!frozenBranches.some((one) => one.project === project && one.branch === branch))
      throw new Problem("conflict", `${branch} of ${project} is not frozen`);
    gate.scheduler.tellNow({ kind: "thawBranch", project, branch });
    return { done: [`what passed is merged into ${branch} of ${project} again`] };
  });
  app.post(`${API}/pause`, async (request): Promise<DoneView> => {
    operator(gate, request);
    const { on } = body(z.strictObject({ on: z.boolean() }), request);
    gate.pause(on);
    return { done: [on ? "no build starts and nothing is merged until it goes on" : "it goes on"] };
  });
  app.post(`${API}/reconfigure`, async (request): Promise<DoneView> => {
    operator(gate, request);
    const problems = await forgeDoes(() => gate.reconfigure());
    return {
      done: [
        problems.length === 0
          ? "the configuration is read again"
          : `the configuration is read again, with ${problems.length} problems`,
        ...problems
          .slice(0, 20)
          .map(
            ({ project, branch, file, line, message }) =>
              `${project} ${branch} ${file}:${line ?? "?"}: ${message}`,
          ),
      ],
    };
  });
  app.post(`${API}/projects`, async (request): Promise<DoneView> => {
    operator(gate, request);
    const { name, importFrom } = body(projectBody, request);
    await forgeDoes(() => gate.addProject(name, importFrom));
    return { done: [`project ${name} is there, and gated`] };
  });
  app.post(`${API}/users`, async (request): Promise<DoneView & { readonly token: string }> => {
    operator(gate, request);
    const { name, role } = body(userBody, request);
    const { given, token } = await forgeDoes(() => {
      const given = forge.users.add(name, role);
      return { given, token: forge.users.createToken(name).text };
    });
    return { done: [`${name} is ${given === "operator" ? "an operator" : `a ${given}`}`], token };
  });
  app.delete(`${API}/users/:name`, async (request): Promise<DoneView> => {
    const { name: own } = operator(gate, request);
    const { name } = request.params as { name: string };
    // Whoever is the last one could not be added again.
    if (name === own) throw new Problem("conflict", "another operator has to remove you");
    await forgeDoes(() => forge.users.remove(name));
    return { done: [`${name} is no user any more, and has no token`] };
  });
}

const whole = z.coerce.number().int().min(0);
const name = z.string().min(1).max(255);

/** Milliseconds since 1970. */
const atQuery = z.object({ at: whole.optional() });

const explainQuery = z.object({ job: name.optional(), at: whole.optional() });
const explainRefQuery = explainQuery.extend({
  ref: z.string().min(1).max(1_000),
  project: name.optional(),
  commit: z.string().min(4).max(64).optional(),
});

const changesQuery = z.object({
  project: name.optional(),
  branch: name.optional(),
  state: z.enum(["open", "merged", "abandoned"]).optional(),
  owner: name.optional(),
  topic: name.optional(),
  needs: whole.optional(),
  before: whole.optional(),
  limit: whole.optional(),
});

const buildsQuery = z.object({
  project: name.optional(),
  job: name.optional(),
  result: name.optional(),
  pipeline: name.optional(),
  change: whole.optional(),
  buildset: whole.optional(),
  before: whole.optional(),
  limit: whole.optional(),
});

function undeliveredView({ nextMs, ...letter }: Undelivered): UndeliveredView {
  return { ...letter, nextMs: letter.givenUpMs === null ? nextMs : null };
}

const outboxQuery = z.object({ change: whole.optional(), limit: whole.optional() });
const flakesQuery = z.object({ project: name.optional(), job: name.optional(), limit: whole.optional() });

const approveBody = z.strictObject({
  /** The one that was looked at: another one is not approved unseen. Default: the current one. */
  revision: z.number().int().min(1).optional(),
});

const commentBody = z.strictObject({
  text: z.string().min(1),
  vote: z.union([z.literal(-1), z.literal(0), z.literal(1)]).optional(),
  file: z.string().min(1).optional(),
  line: z.number().int().min(1).optional(),
  revision: z.number().int().min(1).optional(),
});

const enqueueBody = z.strictObject({
  change: z.number().int().min(1),
  pipeline: name,
  ignoreRequirements: z.boolean().default(false),
  ignoreDependsOn: z.array(z.string()).default([]),
});

const dequeueBody = z.strictObject({
  change: z.number().int().min(1),
  pipeline: name,
  /** Where given, it must be the change's. */
  project: name.optional(),
});

const promoteBody = z.strictObject({
  /** In the order that they get. */
  changes: z.array(z.number().int().min(1)).min(1).max(1_000),
  pipeline: name,
});

const thawBody = z.strictObject({ project: name, branch: name });
const freezeBody = z.strictObject({ project: name, branch: name, reason: z.string().max(1_000).default("") });

const projectBody = z.strictObject({ name, importFrom: z.string().min(1).optional() });
const userBody = z.strictObject({ name, role: z.enum(["user", "operator", "worker"]).optional() });

/** @throws Problem `bad-request`, `not-found` */
function changeIn(gate: Gate, request: FastifyRequest): number {
  const number = numberIn((request.params as { number: string }).number);
  if (gate.forge.record(number) === undefined) throw new Problem("not-found", `there is no change ${number}`);
  return number;
}

/** @throws Problem `bad-request`, `not-found` */
function buildIn(gate: Gate, request: FastifyRequest): BuildRow {
  const id = numberIn((request.params as { id: string }).id);
  const row = gate.builds.get(id);
  if (row === undefined) throw new Problem("not-found", `there is no build ${id}, or it is too long ago`);
  return row;
}

/** @throws Problem `not-found` */
function knownPipeline(gate: Gate, pipeline: string): void {
  const known = gate.loader.current?.layout.pipelines.map((one) => one.name) ?? [];
  if (!known.includes(pipeline)) {
    throw new Problem("not-found", `there is no pipeline ${pipeline}; there are: ${known.join(", ")}`);
  }
}

const STATUS_OF: Partial<Record<ForgeErrorCode, "not-found" | "conflict" | "forbidden" | "too-large">> = {
  CHANGE_UNKNOWN: "not-found",
  PROJECT_UNKNOWN: "not-found",
  REVISION_UNKNOWN: "not-found",
  USER_UNKNOWN: "not-found",
  CHANGE_CLOSED: "conflict",
  PROJECT_EXISTS: "conflict",
  NOT_PERMITTED: "forbidden",
  FORGE_LIMIT: "too-large",
};

/** What the forge refuses, as problems. */
async function forgeDoes<T>(act: () => T | Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof ForgeError)
      throw new Problem(STATUS_OF[error.code] ?? "bad-request", withoutCode(error));
    if (error instanceof HistoryError && error.code === "HISTORY_BUSY")
      throw new Problem("rate-limited", withoutCode(error));
    if (error instanceof GateError || error instanceof HistoryError)
      throw new Problem("conflict", withoutCode(error));
    throw error;
  }
}

/** The type of a problem says what its code would. */
function withoutCode({ message }: Error): string {
  return message.replace(/^[A-Z_]+: /, "");
}

/** A file in a folder, whatever its name says; `undefined` when there is none. */
function fileBelow(folder: string, path: string): string | undefined {
  try {
    const file = realpathSync(join(folder, path));
    return file.startsWith(realpathSync(folder) + sep) && statSync(file).isFile() ? file : undefined;
  } catch {
    return undefined;
  }
}
