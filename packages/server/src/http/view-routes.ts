import { byteStringOfText } from "@drover/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import {
  countWorkers,
  deleteDeadLetter,
  FUNCTION_ORDERS,
  type FunctionPlace,
  jobDetail,
  listDeadLetters,
  listFunctions,
  listJobs,
  listJobsOfUnique,
  listOutcomesOfUnique,
  listWorkers,
  pauseFunction,
  requeueDeadLetter,
  type ServerState,
  totals,
  viewFunction,
  viewKey,
} from "../core/index.ts";
import { shownText } from "./answers.ts";
import type {
  FleetJson,
  FoundJob,
  FunctionJson,
  JobJson,
  OverviewJson,
  Page,
  SearchJson,
  WorkerJson,
} from "./api.ts";
import type { Gateway } from "./gateway.ts";
import { Problem } from "./problems.ts";
import { Pulse, type WatchLimits } from "./pulse.ts";
import {
  deadLetterJson,
  functionJson,
  jobDetailJson,
  jobJson,
  memberJson,
  outcomeJson,
  scheduleJson,
  workerJson,
} from "./shown.ts";
import { functionName } from "./submissions.ts";

/** Items of a list where the request does not say, and the most that it may ask for. */
const DEFAULT_ITEMS = 100;
const MAX_ITEMS = 1000;
/** Submitters shown of one job, and jobs found for one unique. */
const MAX_SUBMITTERS = 100;
const MAX_FOUND = 100;

/**
 * What the server knows, for pages and programs: lists, one stream of changes, and the acts of an administrator.
 * Reading needs the role `status`, acting `admin`.
 */
export function addViewRoutes(
  app: FastifyInstance,
  gateway: Gateway,
  limits: Partial<WatchLimits> = {},
): void {
  const pulse = new Pulse(gateway.server, limits);
  app.addHook("onClose", async () => pulse.stop());
  app.register(async (reads) => {
    reads.addHook("onRequest", async (request, reply) => {
      gateway.require("status", request);
      reply.header("cache-control", "no-store");
    });
    addLists(reads, gateway);
    reads.get("/v1/overview", () => overview(gateway, pulse));
    reads.get("/v1/changes", (_request, reply) => {
      gateway.refuseWhileDraining();
      pulse.watch(reply);
    });
  });
  app.register(async (acts) => {
    acts.addHook("onRequest", async (request) => gateway.require("admin", request));
    // What was refused is worth as much as what was done.
    acts.addHook("onResponse", async (request, reply) => {
      const act = request.method === "DELETE" ? "delete" : request.routeOptions.url!.split("/").at(-1)!;
      const { fn, handle } = request.params as { fn?: string; handle?: string };
      const result = reply.statusCode < 400 ? "OK" : `HTTP ${reply.statusCode}`;
      gateway.audit(request, act, fn ?? handle ?? "", result);
    });
    addActs(acts, gateway);
  });
}

function addLists(app: FastifyInstance, { server, core }: Gateway): void {
  app.get("/v1/functions", (request): Page<FunctionJson> => {
    const wanted = {
      contains: byteStringOfText(query(request, "q") ?? ""),
      order: choice(request, "sort", FUNCTION_ORDERS, "name"),
      after: placeOf(query(request, "after")),
      limit: limitOf(request),
    };
    const found = server.inTurn((state) => listFunctions(state, wanted));
    const { next } = found;
    return {
      items: found.functions.map(functionJson),
      next: next === null ? null : cursor([next.value, next.name]),
    };
  });

  app.get("/v1/functions/:fn", (request): FunctionJson => {
    const { fn } = request.params as { fn: string };
    return server.inTurn((state) => functionJson(viewFunction(state, knownFunction(state, fn))!));
  });

  app.get("/v1/functions/:fn/jobs", (request): Page<JobJson> => {
    const { fn } = request.params as { fn: string };
    const from = numberOf(request, "after");
    const limit = limitOf(request);
    return server.inTurn((state) => {
      const { jobs, next } = listJobs(state, knownFunction(state, fn), from, limit);
      return { items: jobs.map(jobJson), next: next === null ? null : String(next) };
    });
  });

  app.get("/v1/jobs/:handle/detail", (request): FoundJob => {
    const { handle } = request.params as { handle: string };
    const number = core.numberOf(handle);
    const detail = server.inTurn((state) => jobDetail(state, number, MAX_SUBMITTERS));
    if (detail !== null) return { live: true, job: jobDetailJson(detail) };
    const view = core.view(number);
    if (view === null)
      throw new Problem("unknown-job", "there is no such job, and how it ended is not known", { handle });
    return { live: false, outcome: outcomeJson(view) };
  });

  app.get("/v1/workers", (request): Page<WorkerJson> => {
    const after = numberOf(request, "after");
    const limit = limitOf(request);
    const { workers, next } = server.inTurn((state) => listWorkers(state, after, limit));
    return { items: workers.map(workerJson), next: next === null ? null : String(next) };
  });

  app.get("/v1/dead-letters", (request) => {
    const after = query(request, "after");
    const [diedMs, number] = after === undefined ? [] : cursorNumbers(after);
    const { letters, more } = listDeadLetters(core.state, {
      after: diedMs === undefined ? null : { diedMs, number: number! },
      limit: limitOf(request),
    });
    const last = letters.at(-1);
    return {
      items: letters.map(deadLetterJson),
      next: more ? cursor([last!.diedMs, last!.number]) : null,
    };
  });

  app.get("/v1/schedules", () => ({ items: server.schedules.map(scheduleJson), next: null }));

  app.get("/v1/fleet", (request): FleetJson => {
    const fn = query(request, "function");
    const unique = query(request, "unique");
    if ((fn === undefined) !== (unique === undefined) || unique === "" || unique === "-")
      throw new Problem("bad-request", "fleet takes ?function=NAME&unique=TEXT, or neither");
    return server.inTurn(({ fleet }) => {
      if (fleet === null) return { members: [], key: null };
      const members = fleet.view().map(memberJson);
      if (fn === undefined || unique === undefined) return { members, key: null };
      const { ranked, owner } = viewKey(fleet, functionName(fn), byteStringOfText(unique));
      return {
        members,
        key: { function: fn, unique, ranked: ranked.map(shownText), owner: shownText(owner) },
      };
    });
  });

  app.get("/v1/search", (request): SearchJson => {
    const text = query(request, "unique");
    if (text === undefined || text === "") throw new Problem("bad-request", "search takes ?unique=TEXT");
    const key = byteStringOfText(text);
    return server.inTurn((state) => ({
      unique: text,
      jobs: listJobsOfUnique(state, key, MAX_FOUND).map(jobJson),
      outcomes: listOutcomesOfUnique(state, key, MAX_FOUND).map(outcomeJson),
      deadLetters: listDeadLetters(state, { after: null, limit: MAX_FOUND, unique: key }).letters.map(
        deadLetterJson,
      ),
    }));
  });
}

function addActs(app: FastifyInstance, { server, core }: Gateway): void {
  const pause = (request: FastifyRequest, reply: FastifyReply, paused: boolean): void => {
    const { fn } = request.params as { fn: string };
    server.inTurn((state) => pauseFunction(state, knownFunction(state, fn), paused));
    reply.code(204).send();
  };
  app.post("/v1/functions/:fn/pause", (request, reply) => pause(request, reply, true));
  app.post("/v1/functions/:fn/resume", (request, reply) => pause(request, reply, false));

  const unknown = (handle: string): Problem =>
    new Problem("unknown-job", "there is no such dead letter", { handle });
  app.post("/v1/dead-letters/:handle/requeue", (request, reply) => {
    const { handle } = request.params as { handle: string };
    const isQueued = server.inTurn((state) => {
      const letter = state.deadLetters.get(core.numberOf(handle));
      if (letter === undefined) throw unknown(handle);
      return requeueDeadLetter(state, letter);
    });
    if (!isQueued) throw new Problem("queue-full", "there is no room for it now", { handle, retryAfter: 1 });
    reply.code(204).send();
  });
  app.delete("/v1/dead-letters/:handle", (request, reply) => {
    const { handle } = request.params as { handle: string };
    if (!server.inTurn((state) => deleteDeadLetter(state, core.numberOf(handle)))) throw unknown(handle);
    reply.code(204).send();
  });
}

function overview({ server, core }: Gateway, pulse: Pulse): OverviewJson {
  const now = totals(core.state);
  const { submissions, joins, runs, completed, failed, lost } = now;
  return {
    version: core.state.options.version,
    state: server.isStopping ? "stopping" : "serving",
    started: new Date(pulse.startedMs).toISOString(),
    uptimeMs: Date.now() - pulse.startedMs,
    store: { name: server.storeName, failing: now.storeFails, unstored: now.unstored },
    jobs: now.jobs,
    queued: now.queued,
    delayed: now.delayed,
    running: now.running,
    waitingSubmissions: now.waitingSubmissions,
    functions: now.functions,
    workers: countWorkers(core.state),
    connections: now.connections,
    deadLetters: now.deadLetters,
    schedules: server.schedules.length,
    totals: { submissions, joins, runs, completed, failed, lost },
    rates: pulse.rates,
    joinRatio: runs === 0 ? null : submissions / runs,
  };
}

/**
 * The byte string of a function that is known. A name that is not UTF-8 is shown, and asked for, one character a byte.
 * @throws Problem `not-found`
 */
function knownFunction(state: ServerState, text: string): string {
  const name = functionName(text);
  if (state.functions.has(name)) return name;
  if (state.functions.has(text)) return text;
  throw new Problem("not-found", `there is no function ${text.slice(0, 200)}`);
}

function query(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Record<string, unknown>)[name];
  if (value === undefined || typeof value === "string") return value;
  throw new Problem("bad-request", `${name} is given once`);
}

function choice<T extends string>(
  request: FastifyRequest,
  name: string,
  choices: readonly T[],
  byDefault: T,
): T {
  const value = query(request, name);
  if (value === undefined) return byDefault;
  const found = choices.find((one) => one === value);
  if (found === undefined) throw new Problem("bad-request", `${name} takes ${choices.join(", ")}`);
  return found;
}

/** A whole number that is not negative; 0 when it is not given. */
function numberOf(request: FastifyRequest, name: string): number {
  const value = query(request, name) ?? "0";
  if (!/^\d{1,15}$/.test(value)) throw new Problem("bad-request", `${name} takes what next gave`);
  return Number(value);
}

function limitOf(request: FastifyRequest): number {
  const value = query(request, "limit");
  if (value === undefined) return DEFAULT_ITEMS;
  if (!/^[1-9]\d{0,3}$/.test(value) || Number(value) > MAX_ITEMS)
    throw new Problem("bad-request", `limit takes a whole number from 1 to ${MAX_ITEMS}`);
  return Number(value);
}

/** A place in a list, to be given back as it is. */
function cursor(parts: readonly (number | string)[]): string {
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

function cursorParts(text: string): unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    if (Array.isArray(parts) && parts.length === 2) return parts;
  } catch {
    // Not one of ours.
  }
  throw new Problem("bad-request", "after takes what next gave");
}

function cursorNumbers(text: string): [number, number] {
  const [first, second] = cursorParts(text);
  if (typeof first === "number" && typeof second === "number") return [first, second];
  throw new Problem("bad-request", "after takes what next gave");
}

function placeOf(text: string | undefined): FunctionPlace | null {
  if (text === undefined) return null;
  const [value, name] = cursorParts(text);
  if (typeof value === "number" && typeof name === "string") return { value, name };
  throw new Problem("bad-request", "after takes what next gave");
}
