import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { until } from "../peers/until.ts";
import { Author } from "./author.ts";

const DROVER = resolve(import.meta.dirname, "../../packages/cli/bin/drover.js");
/** For a machine on which much else runs. */
const START_MS = 240_000;

/** Of docs/OPERATING.md, on several machines. */
const [, DOCUMENTED_YAML, DOCUMENTED] =
  /### On several machines\n[\s\S]*?```yaml\n([\s\S]*?)```[\s\S]*?```sh\n([\s\S]*?)```/.exec(
    readFileSync(resolve(import.meta.dirname, "../../docs/OPERATING.md"), "utf8"),
  ) as unknown as [string, string, string];

/** A part of a gate. Executors and mergers have a number, from 1. */
export type Part = "server" | "gate" | `executor ${number}` | `merger ${number}`;

interface Running {
  readonly child: ChildProcess;
  said: string;
}

/**
 * A gate of which each part is a process of its own, with no folder in common: a job server, a gate without executor and merger,
 * and those. Users are alice, an operator, and worker.
 */
export class SeparateGate implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "drover-separate-"));
  readonly slots: number;
  token = "";
  url = "";
  #jobs = "";
  readonly #parts = new Map<Part, Running>();
  readonly author = new Author(join(this.folder, "clones"), () => this);

  /** @param slots Builds at a time, of the gate and of each executor. */
  constructor(slots = 50) {
    this.slots = slots;
  }

  /** Makes the folder of the gate, and starts a job server, the gate, and so many executors and mergers. */
  async start({ executors = 1, mergers = 1 } = {}): Promise<void> {
    writeFileSync(join(this.folder, "drover.yaml"), DOCUMENTED_YAML.replaceAll("/etc/drover", this.folder));
    for (const name of ["gate", "builder", "merging"]) {
      const words = this.#documented(`token create ${name}`);
      writeFileSync(join(this.folder, `${name}.token`), await this.drover(...words));
    }
    const made = await this.drover(
      ...this.#documented("gate init"),
      "--no-sample",
      "--self-approval",
      "--json",
    );
    this.token = (JSON.parse(made) as { token: string }).token;
    await this.run("server");
    await this.run("gate");
    const token = await this.drover(...this.#documented("gate user add worker"));
    writeFileSync(join(this.folder, "worker.token"), token);
    for (let at = 1; at <= mergers; at++) await this.run(`merger ${at}`);
    for (let at = 1; at <= executors; at++) await this.run(`executor ${at}`);
  }

  /** Starts a part that does not run. Ports stay as they were. */
  async run(part: Part): Promise<void> {
    const ready = join(this.folder, `${part.replace(" ", "-")}.ready`);
    rmSync(ready, { force: true });
    const running: Running = {
      child: spawn(process.execPath, [DROVER, ...this.#words(part, ready)], {
        env: this.environment(),
        stdio: ["ignore", "ignore", "pipe"],
      }),
      said: "",
    };
    running.child.stderr!.on("data", (text: Buffer) => {
      running.said = (running.said + text.toString()).slice(-16_000);
    });
    this.#parts.set(part, running);
    const isWorker = part !== "server" && part !== "gate";
    try {
      await until(`the ${part} is ready`, START_MS, () => {
        if (running.child.exitCode !== null) throw new Error("it has ended");
        return isWorker ? /(?:an executor|a merger) runs/.test(running.said) : existsSync(ready);
      });
    } catch (cause) {
      throw new Error(`the ${part} did not start; it said: ${running.said}`, { cause });
    }
    if (isWorker) return;
    const { listeners, http } = JSON.parse(readFileSync(ready, "utf8")) as ReadyFile;
    if (part === "server") this.#jobs = `127.0.0.1:${listeners[0]!.port}`;
    else this.url = `http://${http[0]}`;
  }

  /** What docs/OPERATING.md says, with this test's places for those of the page. */
  #words(part: Part, ready: string): string[] {
    const common = ["--warm-up-ms", "0", "--ready-file", ready];
    if (part === "server") return [...this.#documented("serve"), ...common];
    if (part === "gate") return [...this.#documented("gate up"), "--slots", String(this.slots), ...common];
    const [kind, number] = part.split(" ") as ["executor" | "merger", string];
    const own = this.#documented(`gate ${kind}`);
    own[2] = join(this.folder, `${kind}-${number}`);
    own.push("--name", `${kind}-${number}`);
    if (kind === "merger") return own;
    // The machine of a test may be as busy as it likes.
    const governors = ["--max-load", "0", "--min-memory", "0", "--min-disk", "0", "--max-starting", "0"];
    return [...own, "--slots", String(this.slots), ...governors];
  }

  /** Words of the page's command that begins so. */
  #documented(command: string): string[] {
    const line = DOCUMENTED.split("\n").find((one) => one.startsWith(`drover ${command} `));
    if (line === undefined) throw new Error(`docs/OPERATING.md has no drover ${command}`);
    return line
      .replace(/ > .*/, "")
      .replace("--tls jobs.example.com:4731", `--listen ${this.#jobs === "" ? "127.0.0.1:0" : this.#jobs}`)
      .replace("--http localhost:4780", `--http ${this.url === "" ? "127.0.0.1:0" : new URL(this.url).host}`)
      .replace("tls://jobs.example.com:4731", this.#jobs)
      .replace(/https:\/\/gate\.example\.com|http:\/\/localhost:4780/, this.url)
      .replaceAll("/etc/drover", this.folder)
      .replaceAll("/var/lib/drover", this.folder)
      .split(" ")
      .slice(1);
  }

  /** Ends a part at once, as a machine that loses its power. */
  async kill(part: Part): Promise<void> {
    await this.#end(part, "SIGKILL");
  }

  /** Asks a part to end. @returns its exit code */
  async stop(part: Part): Promise<number | null> {
    return this.#end(part, "SIGTERM");
  }

  async #end(part: Part, signal: NodeJS.Signals): Promise<number | null> {
    const running = this.#parts.get(part);
    this.#parts.delete(part);
    if (running === undefined || running.child.exitCode !== null) return running?.child.exitCode ?? null;
    running.child.kill(signal);
    await once(running.child, "exit");
    return running.child.exitCode;
  }

  /** What a part has written to its log of late. */
  saidBy(part: Part): string {
    return this.#parts.get(part)?.said ?? "";
  }

  /** Parts that run. */
  get running(): Part[] {
    return [...this.#parts.keys()];
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.url}/api/gate${path}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${text}`);
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return (isJson ? JSON.parse(text) : text) as T;
  }

  async post(path: string, body: unknown = {}): Promise<void> {
    const response = await fetch(`${this.url}/api/gate${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.token}` },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }

  /** Makes a project with files, its `zuul.yaml` among them, which are merged when it returns. */
  async addProject(name: string, files: Readonly<Record<string, string>>): Promise<void> {
    await this.post("/projects", { name });
    await this.propose(name, files);
    await until("the jobs are merged", START_MS, async () => (await this.openChanges()).length === 0);
  }

  async openChanges(): Promise<unknown[]> {
    return this.get<unknown[]>("/changes?state=open");
  }

  /** Pushes a change and approves it. @returns its number */
  async propose(project: string, files: Readonly<Record<string, string>>): Promise<number> {
    const number = await this.author.push(project, files);
    await this.approve(number);
    return number;
  }

  async approve(change: number): Promise<void> {
    await this.post(`/changes/${change}/approve`);
  }

  /** Runs a command of the CLI. @returns what it prints */
  async drover(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [DROVER, ...args], {
      env: this.environment(),
    });
    return stdout;
  }

  environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      XDG_STATE_HOME: join(this.folder, "state"),
      XDG_CONFIG_HOME: join(this.folder, "config"),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Gracefully, and workers first, so that no process of a build is left.
    const order = (part: Part): number => (part === "gate" ? 1 : part === "server" ? 2 : 0);
    for (const part of this.running.sort((a, b) => order(a) - order(b))) {
      const child = this.#parts.get(part)?.child;
      if (order(part) === 0) child?.kill("SIGTERM");
      await this.stop(part);
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

interface ReadyFile {
  readonly listeners: readonly { readonly port: number }[];
  readonly http: readonly string[];
}
