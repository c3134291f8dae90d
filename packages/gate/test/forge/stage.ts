import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import Fastify, { type FastifyInstance } from "fastify";
import {
  addGitRoutes,
  FORGE_MIGRATIONS,
  type ForgeEvent,
  GateDatabase,
  type GitHttpOptions,
  LocalForge,
  type LocalForgeOptions,
} from "../../src/index.ts";

export interface Said {
  readonly code: number;
  /** What the program wrote to both, without what git puts before a line of another's. */
  readonly text: string;
}

/** A forge with its HTTP server in a folder of its own, and users alice and bob and the operator root. */
export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), "drover-forge-"));
  readonly events: ForgeEvent[] = [];
  /** What `onEvents` does besides. */
  onEvents: (events: readonly ForgeEvent[]) => void = () => {};
  readonly tokens = new Map<string, string>();
  readonly logged: object[] = [];
  forge!: LocalForge;
  database!: GateDatabase;
  url = "";
  #app: FastifyInstance | undefined;
  #clones = 0;

  static async start(
    options: Partial<LocalForgeOptions> = {},
    http: Partial<GitHttpOptions> = {},
  ): Promise<Stage> {
    const stage = new Stage();
    await stage.open(options, http);
    for (const [name, role] of [
      ["alice", "user"],
      ["bob", "user"],
      ["root", "operator"],
    ] as const) {
      stage.forge.users.add(name, role);
      stage.tokens.set(name, stage.forge.users.createToken(name).text);
    }
    return stage;
  }

  /** As a process that starts. */
  async open(options: Partial<LocalForgeOptions> = {}, http: Partial<GitHttpOptions> = {}): Promise<void> {
    const note = (fields: object): void => {
      this.logged.push(fields);
    };
    const log = { debug: note, info: note, warn: note, error: note };
    this.database = new GateDatabase(join(this.folder, "gate.db"), FORGE_MIGRATIONS);
    this.forge = await LocalForge.open({
      database: this.database,
      folder: this.repositories,
      log,
      onEvents: (events) => {
        this.onEvents(events);
        this.events.push(...events);
      },
      ...options,
    });
    this.#app = Fastify({ forceCloseConnections: true });
    addGitRoutes(this.#app, { forge: this.forge, log, ...http });
    const port = this.url === "" ? 0 : Number(new URL(this.url).port);
    this.url = await this.#app.listen({ host: "127.0.0.1", port });
    this.forge.urls = [this.url];
  }

  /** As a process that ends. */
  async close(): Promise<void> {
    await this.#app?.close();
    await this.forge.close();
    this.database.close();
  }

  async end(): Promise<void> {
    await this.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get repositories(): string {
    return join(this.folder, "repositories");
  }

  /** Where a user clones from and pushes to. */
  remote(project: string, user?: string): string {
    const who = user === undefined ? "" : `${user}:${this.tokens.get(user)}@`;
    return `${this.url.replace("//", `//${who}`)}/git/${project}.git`;
  }

  /** A user's clone. */
  async clone(project: string, user: string): Promise<Clone> {
    const folder = join(this.folder, `clone-${++this.#clones}`);
    const said = await run(this.folder, ["clone", "--quiet", this.remote(project, user), folder]);
    if (said.code !== 0) throw new Error(said.text);
    return new Clone(folder, user);
  }

  /** Takes what was told so far, in short. */
  told(): string[] {
    return this.events.splice(0).map(inShort);
  }
}

export class Clone {
  readonly folder: string;
  readonly user: string;

  constructor(folder: string, user: string) {
    this.folder = folder;
    this.user = user;
  }

  git(...args: string[]): Promise<Said> {
    return run(this.folder, args, this.user);
  }

  /** @throws when git fails */
  async ok(...args: string[]): Promise<string> {
    const said = await this.git(...args);
    if (said.code !== 0) throw new Error(`git ${args[0]}: ${said.text}`);
    return said.text.trim();
  }

  /** What begins as a program does is one. */
  write(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), content);
    if (typeof content === "string" && content.startsWith("#!")) chmodSync(join(this.folder, path), 0o755);
  }

  /** @returns the commit's id */
  async commit(message: string, files: Readonly<Record<string, string | Uint8Array>> = {}): Promise<string> {
    for (const [path, content] of Object.entries(files)) this.write(path, content);
    await this.ok("add", "--all");
    await this.ok("commit", "--quiet", "--allow-empty", "--allow-empty-message", "-m", message);
    return this.head();
  }

  /** @returns the commit's id */
  async amend(
    message: string | undefined,
    files: Readonly<Record<string, string | Uint8Array>> = {},
  ): Promise<string> {
    for (const [path, content] of Object.entries(files)) this.write(path, content);
    await this.ok("add", "--all");
    const words = message === undefined ? ["--no-edit"] : ["-m", message];
    await this.ok("commit", "--quiet", "--amend", "--allow-empty", ...words);
    return this.head();
  }

  head(): Promise<string> {
    return this.ok("rev-parse", "HEAD");
  }

  push(ref: string, ...options: string[]): Promise<Said> {
    return this.git("push", ...options, "origin", `HEAD:${ref}`);
  }
}

/** Runs git as one who knows nothing of the gate. */
export function run(
  cwd: string,
  args: readonly string[],
  user = "nobody",
  env: Readonly<Record<string, string>> = {},
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const child = spawn("git", args, {
      cwd,
      env: {
        PATH: process.env.PATH ?? "",
        HOME: "/nonexistent",
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_TERMINAL_PROMPT: "0",
        GIT_AUTHOR_NAME: user,
        GIT_AUTHOR_EMAIL: `${user}@example.org`,
        GIT_COMMITTER_NAME: user,
        GIT_COMMITTER_EMAIL: `${user}@example.org`,
        LC_ALL: "C.UTF-8",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => {
      const text = Buffer.concat(chunks).toString();
      resolve({ code: code ?? -1, text: text.replace(/^remote: ?(.*?) *$/gm, "$1") });
    });
  });
}

function inShort(event: ForgeEvent): string {
  if (event.kind === "branchMoved") return `moved ${event.project} ${event.branch}`;
  if (event.kind === "change") {
    const { id, revision, state, isApproved, needs } = event.change;
    const needed = needs.map(
      ({ change, revision: of, problem }) => problem ?? `${change}${of === null ? "" : `,${of}`}`,
    );
    return `${id},${revision} ${state}${isApproved ? " approved" : ""}${needed.length === 0 ? "" : ` needs ${needed.join(" ")}`}`;
  }
  const { trigger } = event;
  if (trigger.event === "ref-updated") return `ref-updated ${trigger.ref.project} ${trigger.ref.ref}`;
  return `${trigger.event} ${trigger.change}`;
}
