import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type {
  AutoholdView,
  BuildView,
  ChangeView,
  ConfigProblem,
  ExplanationView,
  FlakeView,
  JobDefinitionsView,
  StatusView,
} from "@drover/gate/api";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { addPageFiles } from "../../server/src/http/page-files.ts";

/** What somebody asked a gate to do. */
export interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

interface Console {
  bytes: Buffer;
  hasEnded: boolean;
}

/** The gate's HTTP API as a script plays it, with the real page and its policy. */
export class GateStage implements AsyncDisposable {
  /** The one that may act. */
  static readonly TOKEN = "secret-of-ann";

  readonly changes = new Map<number, ChangeView>();
  readonly explanations = new Map<number, ExplanationView>();
  readonly diffs = new Map<string, string>();
  readonly asked: Asked[] = [];
  /** Offsets that consoles were followed from. */
  readonly followedFrom: number[] = [];
  builds: readonly BuildView[] = [];
  problems: readonly ConfigProblem[] = [];
  jobs: readonly JobDefinitionsView[] = [];
  flakes: readonly FlakeView[] = [];
  autoholds: readonly AutoholdView[] = [];
  /** Takes what somebody did, after its token was looked at. */
  onAct: (asked: Asked) => void = () => {};
  /** `null`: there is no gate. */
  #status: StatusView | null;
  readonly #app: FastifyInstance;
  readonly #watchers = new Set<ServerResponse>();
  readonly #readers = new Map<ServerResponse, { readonly build: string; sent: number }>();
  readonly #consoles = new Map<string, Console>();

  private constructor(app: FastifyInstance, status: StatusView | null) {
    this.#app = app;
    this.#status = status;
  }

  /** @param folder Of the built page. */
  static async open(folder: string, status: StatusView | null): Promise<GateStage> {
    const app = Fastify({ forceCloseConnections: true });
    const stage = new GateStage(app, status);
    addPageFiles(app, folder);
    stage.#addServer();
    stage.#addReads();
    stage.#addConsoles();
    stage.#addActs();
    await app.listen({ host: "127.0.0.1", port: 0 });
    return stage;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#app.server.address() as AddressInfo).port}`;
  }

  /** Those that follow the status. */
  get watching(): number {
    return this.#watchers.size;
  }

  tell(status: StatusView): void {
    this.#status = status;
    for (const watcher of this.#watchers) sendEvent(watcher, "status", status);
  }

  /** As a gate that stops does. */
  cutWatchers(): void {
    for (const watcher of this.#watchers) watcher.destroy();
  }

  /** Adds to a build's console. */
  print(build: string, text: string | Buffer): void {
    const console = this.#consoleOf(build);
    console.bytes = Buffer.concat([console.bytes, Buffer.from(text)]);
    this.#sendConsoles();
  }

  endConsole(build: string): void {
    this.#consoleOf(build).hasEnded = true;
    this.#sendConsoles();
  }

  /** As a network that fails does. */
  cutConsoles(): void {
    for (const reader of this.#readers.keys()) reader.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#app.close();
  }

  /** Of the job server as much as the head of the page asks for. */
  #addServer(): void {
    this.#app.get("/v1/changes", (_, reply) => {
      sendEvent(eventStream(reply), "snapshot", { functions: 0, rows: [], samples: [] });
    });
  }

  #addReads(): void {
    const app = this.#app;
    app.get("/api/gate/status", (_, reply) => this.#status ?? refuse(reply, 404, "there is no gate here"));
    app.get("/api/gate/events", (_, reply) => {
      const watcher = eventStream(reply);
      this.#watchers.add(watcher);
      watcher.on("close", () => this.#watchers.delete(watcher));
      sendEvent(watcher, "status", this.#status);
    });
    app.get<{ Params: { number: string } }>("/api/gate/changes/:number", ({ params }, reply) => {
      return this.changes.get(Number(params.number)) ?? refuse(reply, 404, "no such change");
    });
    app.get<{ Params: { number: string } }>("/api/gate/explain/:number", ({ params }, reply) => {
      return this.explanations.get(Number(params.number)) ?? refuse(reply, 404, "no such change");
    });
    app.get<{ Params: { number: string }; Querystring: { revision: string } }>(
      "/api/gate/changes/:number/diff",
      ({ params, query }, reply) => {
        const diff = this.diffs.get(`${params.number},${query.revision}`);
        if (diff === undefined) return refuse(reply, 404, "no such revision");
        return reply.type("text/x-diff; charset=utf-8").send(diff);
      },
    );
    app.get<{ Querystring: Record<string, string | undefined> }>("/api/gate/builds", ({ query }) => {
      const { project, job, result, buildset, before, limit } = query;
      const found = this.builds.filter(
        (build) =>
          (buildset === undefined || build.buildset === Number(buildset)) &&
          (project === undefined || build.subject.project === project) &&
          (job === undefined || build.job === job) &&
          (result === undefined || build.result === result),
      );
      const from = before === undefined ? 0 : found.findIndex(({ id }) => id === before) + 1;
      return found.slice(from, from + Number(limit));
    });
    app.get<{ Params: { id: string } }>("/api/gate/builds/:id", ({ params }, reply) => {
      const build = this.builds.find(({ id }) => id === params.id);
      if (build === undefined) return refuse(reply, 404, "no such build");
      return { ...build, logBytes: this.#consoleOf(build.id).bytes.length };
    });
    app.get<{ Querystring: Record<string, string | undefined> }>("/api/gate/changes", ({ query }) => {
      const { project, state, limit } = query;
      return [...this.changes.values()]
        .filter((one) => project === undefined || one.subject.project === project)
        .filter((one) => state === undefined || one.state === state)
        .map(({ subject, state, isApproved }) => ({ subject, state, isApproved, topic: null, updatedMs: 0 }))
        .toReversed()
        .slice(0, Number(limit));
    });
    app.get("/api/gate/jobs", () => this.jobs);
    app.get("/api/gate/flakes", () => this.flakes);
    app.get("/api/gate/autoholds", () => this.autoholds);
    app.get("/api/gate/config-problems", () => this.problems);
  }

  #addConsoles(): void {
    this.#app.get<{ Params: { id: string }; Querystring: { from?: string } }>(
      "/api/gate/builds/:id/log",
      ({ params, query, headers }, reply) => {
        const from = Number(query.from ?? 0);
        if (headers.accept !== "text/event-stream")
          return reply
            .type("text/plain; charset=utf-8")
            .send(this.#consoleOf(params.id).bytes.subarray(from));
        this.followedFrom.push(from);
        const reader = eventStream(reply);
        this.#readers.set(reader, { build: params.id, sent: from });
        reader.on("close", () => this.#readers.delete(reader));
        this.#sendConsoles();
        return reply;
      },
    );
  }

  #addActs(): void {
    this.#app.delete("/api/gate/autoholds/:id", (request, reply) => this.#act("delete", request, reply));
    for (const act of ["approve", "unapprove", "abandon", "restore", "comment"]) {
      this.#app.post<{ Params: { number: string } }>(`/api/gate/changes/:number/${act}`, (request, reply) =>
        this.#act(act, request, reply),
      );
    }
  }

  #act(act: string, { url, headers, body }: FastifyRequest, reply: FastifyReply): FastifyReply {
    const asked = { path: url, authorization: headers.authorization, body };
    this.asked.push(asked);
    if (headers.authorization !== `Bearer ${GateStage.TOKEN}`)
      return refuse(reply, 401, "nobody has this token");
    this.onAct(asked);
    return reply.send({ done: [`${act}: done`] });
  }

  #consoleOf(build: string): Console {
    let console = this.#consoles.get(build);
    if (console === undefined) {
      console = { bytes: Buffer.alloc(0), hasEnded: false };
      this.#consoles.set(build, console);
    }
    return console;
  }

  #sendConsoles(): void {
    for (const [reader, place] of this.#readers) {
      const { bytes, hasEnded } = this.#consoleOf(place.build);
      while (place.sent < bytes.length) {
        const part = bytes.subarray(place.sent, place.sent + 64 * 1024);
        reader.write(
          `id: ${place.sent + part.length}\ndata: ${JSON.stringify({ from: place.sent, text: part.toString() })}\n\n`,
        );
        place.sent += part.length;
      }
      if (!hasEnded) continue;
      this.#readers.delete(reader);
      reader.end("event: end\ndata: {}\n\n");
    }
  }
}

function eventStream(reply: FastifyReply): ServerResponse {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  raw.flushHeaders();
  return raw;
}

function sendEvent(to: ServerResponse, name: string, data: unknown): void {
  to.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}

function refuse(reply: FastifyReply, status: number, detail: string): FastifyReply {
  return reply.code(status).type("application/problem+json").send({ status, detail });
}
