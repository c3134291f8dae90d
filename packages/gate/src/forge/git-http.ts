import { type ChildProcess, spawn } from "node:child_process";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Log } from "@drover/server";
import { gitEnvironment } from "../git/git.ts";
import { started } from "../git/started.ts";
import type { LocalForge } from "./forge.ts";
import type { User } from "./users.ts";

export interface GitHttpLimits {
  /** Requests that git works on at a time; more are told to come later. Default: 64. */
  readonly maxRequests: number;
  /** How long git may work on one. Default: 600,000. */
  readonly requestTimeoutMs: number;
  /** What a fetch may say of what it has. Default: 10 MiB. */
  readonly maxFetchBytes: number;
}

export const DEFAULT_GIT_HTTP_LIMITS: GitHttpLimits = {
  maxRequests: 64,
  requestTimeoutMs: 600_000,
  maxFetchBytes: 10 * 1024 * 1024,
};

export interface GitHttpOptions {
  readonly forge: LocalForge;
  readonly log: Log;
  /** Whether reading needs a token, as writing does. Default: false. */
  readonly readsNeedToken?: boolean;
  readonly limits?: Partial<GitHttpLimits>;
}

type Service = "git-upload-pack" | "git-receive-pack";

/** Besides the pack: what is pushed, and to which refs. */
const PUSH_HEAD_BYTES = 4 * 1024 * 1024;
const MAX_HEAD_BYTES = 64 * 1024;
const SERVICES: ReadonlySet<string> = new Set(["git-upload-pack", "git-receive-pack"]);
/** Fields of the backend's answer that are passed on. */
const PASSED = new Set(["content-type", "cache-control", "expires", "pragma"]);

/** Git over HTTP, its smart protocol only: nothing of a repository can be had but what git gives. */
export class GitHttp {
  readonly #options: GitHttpOptions;
  readonly #limits: GitHttpLimits;
  readonly #children = new Set<ChildProcess>();

  constructor(options: GitHttpOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_GIT_HTTP_LIMITS, ...options.limits };
  }

  /** Ends what is under way. */
  close(): void {
    for (const child of this.#children) end(child);
  }

  /**
   * Answers one request.
   * @param path Below where repositories are, with the query: `app.git/info/refs?service=git-upload-pack`
   */
  async handle(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    try {
      await this.#answer(request, response, path);
    } catch (error) {
      this.#options.log.error(
        { code: "GIT_HTTP_FAILED", error },
        "a fetch or push failed by a fault of the gate",
      );
      if (response.headersSent) response.destroy();
      else refuse(response, 500, "the gate has a fault here, which its log tells");
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const wanted = readPath(request.method ?? "", path);
    if (wanted === undefined) return refuse(response, 404, "there is nothing at this path");
    const { project, service, isAdvertisement } = wanted;
    const { forge, readsNeedToken = false, log } = this.#options;
    const needsToken = service === "git-receive-pack" || readsNeedToken;
    const user = needsToken ? this.#userOf(request.headers.authorization) : undefined;
    if (needsToken && user === undefined) {
      // Unread, so that the connection cannot serve another request.
      if (!isAdvertisement && request.httpVersionMajor === 1) response.setHeader("connection", "close");
      response.setHeader("www-authenticate", 'Basic realm="drover", charset="UTF-8"');
      return refuse(response, 401, "a push needs your name and a token as its password");
    }
    if (!forge.projects().includes(project)) return refuse(response, 404, `there is no project ${project}`);
    if (!forge.repositories.exists(project)) {
      log.error({ code: "PROJECT_UNREADABLE", project }, "a project has no repository");
      return refuse(
        response,
        503,
        `PROJECT_UNREADABLE: the repository of ${project} is gone; tell the operator`,
      );
    }
    if (this.#children.size >= this.#limits.maxRequests) {
      response.setHeader("retry-after", "1");
      return refuse(response, 503, "too many fetches and pushes at a time: later");
    }
    const grant = user !== undefined && service === "git-receive-pack" ? forge.grantPush(user) : undefined;
    try {
      await this.#run(request, response, wanted, user, grant);
    } finally {
      if (grant !== undefined) forge.endPush(grant);
    }
  }

  #userOf(authorization: string | undefined): User | undefined {
    const [, scheme, value] = /^(basic|bearer) +(\S+)$/i.exec(authorization ?? "") ?? [];
    if (scheme === undefined) return undefined;
    const { users } = this.#options.forge;
    if (scheme.toLowerCase() === "bearer") return users.authenticate(value!);
    const text = Buffer.from(value!, "base64").toString();
    const colon = text.indexOf(":");
    return colon < 0 ? undefined : users.authenticate(text.slice(colon + 1), text.slice(0, colon));
  }

  async #run(
    request: IncomingMessage,
    response: ServerResponse,
    { project, service, isAdvertisement }: Wanted,
    user: User | undefined,
    grant: string | undefined,
  ): Promise<void> {
    const { forge } = this.#options;
    const { "content-type": type, "content-length": length, "content-encoding": encoding } = request.headers;
    const maxBytes =
      service === "git-receive-pack"
        ? forge.limits.maxPackBytes + PUSH_HEAD_BYTES
        : this.#limits.maxFetchBytes;
    if (Number(length) > maxBytes) {
      refuse(response, 413, `a request to ${service} may have ${maxBytes} bytes`);
      return;
    }
    const protocol = request.headers["git-protocol"];
    const backend = spawn("git", ["http-backend"], {
      env: gitEnvironment({
        GIT_PROJECT_ROOT: forge.repositories.folder,
        GIT_HTTP_EXPORT_ALL: "1",
        REQUEST_METHOD: isAdvertisement ? "GET" : "POST",
        PATH_INFO: `/${project}.git/${isAdvertisement ? "info/refs" : service}`,
        QUERY_STRING: isAdvertisement ? `service=${service}` : "",
        CONTENT_TYPE: type ?? "",
        REMOTE_ADDR: request.socket.remoteAddress ?? "",
        ...(length === undefined ? {} : { CONTENT_LENGTH: length }),
        ...(encoding === undefined ? {} : { HTTP_CONTENT_ENCODING: encoding }),
        ...(typeof protocol === "string" && /^[\w=:.]{1,64}$/.test(protocol)
          ? { GIT_PROTOCOL: protocol }
          : {}),
        ...(user === undefined ? {} : { REMOTE_USER: user.name }),
        ...(grant === undefined ? {} : { DROVER_PUSH: grant }),
      }),
      stdio: ["pipe", "pipe", "pipe"],
      // Its own group, since git starts others, which must end with it.
      detached: true,
    });
    const child = started(backend);
    this.#children.add(child);
    const timer = setTimeout(() => end(child), this.#limits.requestTimeoutMs);
    const gone = (): void => end(child);
    response.once("close", gone);
    child.stderr.resume();
    try {
      const ended = new Promise<void>((resolve, reject) => {
        child.once("error", reject);
        child.once("close", () => resolve());
      });
      ended.catch(() => {});
      // The backend may end before it has read everything, and then its answer says why.
      if (isAdvertisement) child.stdin.end();
      else
        pipeline(
          request,
          atMost(maxBytes, () => end(child)),
          child.stdin,
        ).catch(() => {});
      await answer(child.stdout, response);
      await ended;
      // An answer that was cut off must not look like a whole one.
      if (child.signalCode !== null) response.destroy();
      else response.end();
    } catch (error) {
      end(child);
      if (response.headersSent) response.destroy();
      else refuse(response, 502, "git gave no answer");
      if ((error as NodeJS.ErrnoException).code === "ENOENT")
        this.#options.log.error({ code: "GIT_MISSING" }, "there is no git");
    } finally {
      clearTimeout(timer);
      response.removeListener("close", gone);
      this.#children.delete(child);
    }
  }
}

interface Wanted {
  readonly project: string;
  readonly service: Service;
  /** Which refs there are, before anything is sent. */
  readonly isAdvertisement: boolean;
}

/** `PROJECT.git/info/refs?service=S` or `PROJECT.git/S`; whether there is such a project is not looked at. */
function readPath(method: string, path: string): Wanted | undefined {
  const [place = "", query = ""] = path.split("?", 2);
  const [, project, rest] =
    /^([A-Za-z0-9._/-]+)\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(place) ?? [];
  if (project === undefined || rest === undefined) return undefined;
  if (rest === "info/refs") {
    const service = new URLSearchParams(query).get("service") ?? "";
    if (method !== "GET" || !SERVICES.has(service)) return undefined;
    return { project, service: service as Service, isAdvertisement: true };
  }
  return method === "POST" ? { project, service: rest as Service, isAdvertisement: false } : undefined;
}

function atMost(maxBytes: number, tooMany: () => void): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= maxBytes) return done(null, chunk);
      tooMany();
      done(new Error("too many bytes"));
    },
  });
}

/** Passes on what a CGI program answers: header fields, an empty line, and the body, whose end is left to the caller. */
async function answer(output: Readable, response: ServerResponse): Promise<void> {
  let head = Buffer.alloc(0);
  for (;;) {
    const chunk = (output.read() as Buffer | null) ?? undefined;
    if (chunk === undefined) {
      if (output.readableEnded || output.destroyed) throw new Error("the answer has no body");
      await new Promise<void>((resolve) => {
        const go = (): void => {
          output.removeListener("readable", go);
          output.removeListener("end", go);
          output.removeListener("close", go);
          resolve();
        };
        output.on("readable", go);
        output.on("end", go);
        output.on("close", go);
      });
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0 && head.length > MAX_HEAD_BYTES) throw new Error("the answer has no end of its header");
    if (end < 0) continue;
    writeHead(response, head.subarray(0, end).toString("latin1"));
    response.write(head.subarray(end + 4));
    break;
  }
  await pipeline(output, response, { end: false });
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split("\r\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === "status") status = Number.parseInt(value, 10) || 500;
    else if (PASSED.has(name)) response.setHeader(name, value);
  }
  response.setHeader("x-content-type-options", "nosniff");
  response.writeHead(status);
}

/** Git shows plain text to the one who asked. */
function refuse(response: ServerResponse, status: number, text: string): void {
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.setHeader("cache-control", "no-store");
  response.setHeader("x-content-type-options", "nosniff");
  response.writeHead(status);
  response.end(`${text}\n`);
}

function end(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It ended meanwhile.
  }
}
