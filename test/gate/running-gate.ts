import { execFile } from "node:child_process";
import { chmodSync, constants, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  GATE_FUNCTION_RULES,
  GATE_FUNCTIONS,
  Gate,
  type GateOptions,
  gateHttp,
  initGate,
} from "@drover/gate";
import { JobServer } from "@drover/server";
import { HttpServer } from "@drover/server/http";
import { Clone, run } from "../../packages/gate/test/forge/stage.ts";
import { until } from "../peers/until.ts";

/** What HTTP answered. */
export interface Answer<T = unknown> {
  readonly status: number;
  readonly body: T;
  readonly headers: Headers;
}

/** Title of what a repository that is imported begins with. */
export const FIRST_COMMIT = "Begin";

/** Role of a user that a test has. */
export type Role = "user" | "operator";

/**
 * A gate with its job server and its HTTP port, in a folder of its own. `root` is its operator, `alice` pushes and `bob`
 * approves.
 */
export class RunningGate {
  readonly folder = mkdtempSync(join(tmpdir(), "drover-gate-"));
  readonly tokens = new Map<string, string>();
  readonly logged: object[] = [];
  url = "";
  gate!: Gate;
  server!: JobServer;
  #http: HttpServer | undefined;
  #clones = 0;
  /** From which executions are told how to end. */
  readonly #pipes = new Map<string, Promise<FileHandle>>();
  #options: Partial<GateOptions> = {};

  private constructor() {}

  static async start(options: Partial<GateOptions> = {}): Promise<RunningGate> {
    const running = new RunningGate();
    running.#options = options;
    const log = running.#log();
    const { token } = await initGate(running.gateFolder, { log, user: "root", sample: null });
    running.tokens.set("root", token);
    // What builds see of the test's own.
    mkdirSync(running.control);
    for (const path of [running.folder, running.control]) chmodSync(path, 0o755);
    await running.open();
    for (const name of ["alice", "bob"]) await running.addUser(name, "user");
    return running;
  }

  get gateFolder(): string {
    return join(this.folder, "gate");
  }

  /** A folder that builds can read. */
  get control(): string {
    return join(this.folder, "control");
  }

  #log() {
    const note = (fields: object): void => {
      this.logged.push(fields);
    };
    return { debug: note, info: note, warn: note, error: note };
  }

  /** As a process that starts. */
  async open(): Promise<void> {
    const log = this.#log();
    const readOnly = [this.control];
    this.server = await JobServer.start({
      listen: ["127.0.0.1:0"],
      version: "0",
      log,
      functions: GATE_FUNCTION_RULES,
      reserved: [GATE_FUNCTIONS],
    });
    this.gate = await Gate.open({
      folder: this.gateFolder,
      server: this.server,
      log,
      slots: 50,
      directPush: true,
      readOnly,
      ...this.#options,
    });
    this.#http = await HttpServer.start({
      server: this.server,
      log,
      listen: [this.url === "" ? "127.0.0.1:0" : new URL(this.url).host],
      extensions: [gateHttp(this.gate, { log })],
    });
    this.url = `http://${this.#http.addresses[0]}`;
    this.gate.forge.urls = [this.url];
  }

  /** As a process that ends. */
  async close(): Promise<void> {
    await this.#http?.close();
    await this.gate.close();
    await this.server.stop(0);
  }

  async end(): Promise<void> {
    await this.close();
    for (const pipe of this.#pipes.values()) await (await pipe).close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Asks the API; without a user, without a token. */
  async ask<T = unknown>(
    method: "GET" | "POST",
    path: string,
    user?: string,
    body?: unknown,
  ): Promise<Answer<T>> {
    const response = await fetch(`${this.url}/api/gate${path}`, {
      method,
      headers: {
        ...(user === undefined ? {} : { authorization: `Bearer ${this.tokens.get(user) ?? user}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return {
      status: response.status,
      body: (isJson ? JSON.parse(text) : text) as T,
      headers: response.headers,
    };
  }

  /** @throws when the answer is no success */
  async get<T>(path: string): Promise<T> {
    const { status, body } = await this.ask<T>("GET", path);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** @throws when the answer is no success */
  async post<T = { readonly done: readonly string[] }>(
    path: string,
    user: string,
    body: unknown = {},
  ): Promise<T> {
    const answer = await this.ask<T>("POST", path, user, body);
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async addUser(name: string, role: Role): Promise<void> {
    const { token } = await this.post<{ token: string }>("/users", "root", { name, role });
    this.tokens.set(name, token);
  }

  /** Where a user clones from and pushes to. */
  remote(project: string, user: string): string {
    return `${this.url.replace("//", `//${user}:${this.tokens.get(user)}@`)}/git/${project}.git`;
  }

  /** A user's clone. */
  async clone(project: string, user: string): Promise<Clone> {
    const folder = join(this.folder, `clone-${++this.#clones}`);
    const said = await run(this.folder, ["clone", "--quiet", this.remote(project, user), folder]);
    if (said.code !== 0) throw new Error(said.text);
    return new Clone(folder, user);
  }

  /** Writes files into a branch past the gate, as an operator may here. */
  async pushDirectly(
    project: string,
    files: Readonly<Record<string, string>>,
    branch = "main",
  ): Promise<Clone> {
    const clone = await this.clone(project, "root");
    await clone.commit("Set up", files);
    const said = await clone.push(`refs/heads/${branch}`);
    if (said.code !== 0) throw new Error(said.text);
    return clone;
  }

  /** A user's repository that is not the gate's yet; its `origin` will be there. */
  async repository(project: string, user: string, files: Readonly<Record<string, string>>): Promise<Clone> {
    const folder = join(this.folder, `clone-${++this.#clones}`);
    mkdirSync(folder);
    const source = new Clone(folder, user);
    await source.ok("init", "--quiet", "--initial-branch=main");
    await source.commit(FIRST_COMMIT, files);
    await source.ok("remote", "add", "origin", this.remote(project, user));
    return source;
  }

  /** Makes the files from which builds are told how to end: each waits until its own is written. */
  async makeControls(builds: number): Promise<void> {
    const paths = Array.from({ length: builds }, (_, at) => join(this.control, String(at + 1)));
    await promisify(execFile)("mkfifo", ["--mode=644", ...paths]);
  }

  /** Tells a build how to end. */
  async endBuild(build: string, code: number): Promise<void> {
    await this.tellBuild(build, String(code));
  }

  /** The execution of a build, which may be that of others, too, can be told how to end. */
  async #pipeOf(build: string): Promise<FileHandle> {
    const execution = this.gate.builds.get(Number(build))!.execution!;
    const path = join(this.control, execution);
    // Both ends are open here, so that it holds what nobody reads yet, or ever.
    const opened =
      this.#pipes.get(execution) ??
      promisify(execFile)("mkfifo", ["--mode=644", path]).then(() => open(path, "r+"));
    this.#pipes.set(execution, opened);
    return await opened;
  }

  /** An execution waits until this was done. */
  async openExecution(build: string): Promise<void> {
    await this.#pipeOf(build);
  }

  /** Writes a word to the execution of a build. */
  async tellExecution(build: string, word: string): Promise<void> {
    const pipe = await this.#pipeOf(build);
    await pipe.write(`${word}\n`);
  }

  /** Has the job server take a build from its executor, which the gate cannot tell from an executor that is gone. */
  async loseBuild(build: string): Promise<void> {
    const unique = this.gate.ledger.of(Number(build))?.unique ?? `${this.gate.id}-${build}`;
    const jobs = (await this.#admin("jobs")).split("\n").map((row) => row.split("\t"));
    const job = jobs.find(([, name, of]) => name?.startsWith("gate:build:") && of === unique);
    if (job === undefined) throw new Error(`the job server has no build ${build}`);
    await this.#admin(`cancel job ${job[0]}`);
  }

  /** Asks the job server as `gearadmin` does. @returns its answer */
  async #admin(command: string): Promise<string> {
    const { port } = this.server.addresses.find((address) => "port" in address) as { readonly port: number };
    const socket = connect(port, "127.0.0.1");
    try {
      socket.end(`${command}\n`);
      let answer = "";
      for await (const chunk of socket) answer += chunk;
      return answer;
    } finally {
      socket.destroy();
    }
  }

  /** Writes a word to a build that waits for one. */
  async tellBuild(build: string, word: string): Promise<void> {
    const path = join(this.control, build);
    // It fails until the build reads.
    const pipe = await until(`build ${build} reads`, 10_000, () =>
      open(path, constants.O_WRONLY | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENXIO") throw error;
        return undefined;
      }),
    );
    await pipe.write(`${word}\n`);
    await pipe.close();
  }
}

/** Pushes a change of one commit on `main` as it is. @returns its number @throws when it is refused */
export async function proposeChange(
  clone: Clone,
  message: string,
  files: Readonly<Record<string, string>> = {},
): Promise<number> {
  await clone.ok("fetch", "--quiet", "origin");
  await clone.ok("checkout", "--quiet", "--detach", "origin/main");
  await clone.commit(message, files);
  const said = await clone.push("refs/for/main");
  if (said.code !== 0) throw new Error(said.text);
  return numberIn(said.text);
}

/** The number of the change that a push was answered with. @throws when it was none */
export function numberIn(answer: string): number {
  const number = /^Change (\d+) /m.exec(answer)?.[1];
  if (number === undefined) throw new Error(`no change: ${answer}`);
  return Number(number);
}
