import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { withLock } from "../peers/lock.ts";
import type { TestServer } from "../peers/servers.ts";
import { until } from "../peers/until.ts";
import { askList } from "./admin.ts";

/** What a program did. */
export type Ended = { code: number | null; stdout: string; stderr: string; lines: string[] };

const here = import.meta.dirname;
const deadlineMs = 30_000;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Runs a program to its end, which a deadline makes sure of. */
export async function runProgram(program: string, args: readonly string[], input = ""): Promise<Ended> {
  return startProgram(program, args, input).ended;
}

/** A program that goes on while the test does other things. */
export type Running = {
  pid: number;
  ended: Promise<Ended>;
  output: () => string;
  hasEnded: () => boolean;
  /** Asks it to end. */
  terminate: () => void;
  kill: (signal?: NodeJS.Signals) => Promise<Ended>;
};

/** @param endsMs When it is killed. */
export function startProgram(
  program: string,
  args: readonly string[],
  input = "",
  endsMs = deadlineMs,
): Running {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  running.add(child);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("latin1").on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.setEncoding("latin1").on("data", (chunk) => {
    stderr += chunk;
  });
  // A program that does not read its input to the end is no fault of a test.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const impatience = setTimeout(() => child.kill("SIGKILL"), endsMs);
  let hasEnded = false;
  const ended = once(child, "close").then(([code]): Ended => {
    clearTimeout(impatience);
    running.delete(child);
    hasEnded = true;
    return { code, stdout, stderr, lines: stdout === "" ? [] : stdout.replace(/\n$/, "").split("\n") };
  });
  return {
    pid: child.pid ?? 0,
    ended,
    output: () => stdout,
    hasEnded: () => hasEnded,
    terminate: () => child.kill("SIGTERM"),
    kill: (signal: NodeJS.Signals = "SIGKILL") => {
      child.kill(signal);
      return ended;
    },
  };
}

export type Language = "c" | "perl" | "php";

export const languages: readonly Language[] = ["c", "perl", "php"];

/** What `describeWith` asks for to run the programs of a language. */
export const peerOf = { c: "libgearman", perl: "perl-gearman", php: "php-gearman" } as const;

/** The command line of a test program in a language. */
async function command(language: Language, part: "client" | "worker"): Promise<[string, ...string[]]> {
  if (language === "perl") return ["perl", join(here, `perl/${part}.pl`)];
  if (language === "php") return ["php", join(here, `php/${part}.php`)];
  return [join(await buildPrograms("c"), part)];
}

/** Starts a client that does one thing; the head of c/client.c tells the words. */
export async function startClient(
  language: Language,
  server: TestServer,
  ...words: string[]
): Promise<Running> {
  const [program, ...args] = await command(language, "client");
  return startProgram(program, [...args, String(server.port), ...words]);
}

/** Runs a client to its end and gives the events it told. */
export async function runClient(
  language: Language,
  server: TestServer,
  ...words: string[]
): Promise<string[]> {
  const ended = await (await startClient(language, server, ...words)).ended;
  if (ended.code !== 0) {
    throw new Error(
      `${language} client ${words.join(" ")} ended with ${ended.code}: ${ended.stdout}${ended.stderr}`,
    );
  }
  return ended.lines;
}

/** A worker that has told the server what it can do. */
export type TestWorker = Running & { language: Language; name: string };

/** Starts a worker, whose name is its alone; the head of c/worker.c tells the functions. */
export async function startWorker(
  language: Language,
  server: TestServer,
  name: string,
  ...functions: string[]
): Promise<TestWorker> {
  const [program, ...args] = await command(language, "worker");
  const worker = startProgram(program, [...args, String(server.port), name, ...functions]);
  await until(`the ${language} worker ${name} is known`, deadlineMs, async () => {
    if (worker.hasEnded()) throw new Error(`worker ended: ${(await worker.ended).stderr}`);
    return offers(await askList(server, "workers"), name, functions);
  });
  return { ...worker, language, name };
}

/** Whether one line of `workers` tells that a worker of this name can do all of these functions. */
function offers(lines: readonly string[], name: string, functions: readonly string[]): boolean {
  return lines.some((line) => {
    const [head, abilities] = line.split(" : ");
    if (!head?.endsWith(` ${name}`) || abilities === undefined) return false;
    return functions.every((one) => abilities.split(" ").includes(one.split(":")[0]!));
  });
}

/**
 * Compiles the C programs of a folder once for all test files.
 * @returns Where they are: a folder that belongs to these sources.
 */
export function buildPrograms(name: "c" | "fleet" | "libmemcached"): Promise<string> {
  const building = built.get(name) ?? build(resolve(here, name));
  built.set(name, building);
  return building;
}
const built = new Map<string, Promise<string>>();

async function build(sources: string): Promise<string> {
  const digest = createHash("sha1");
  const files = readdirSync(sources, { withFileTypes: true }).filter((entry) => entry.isFile());
  for (const file of files.map((entry) => entry.name).sort())
    digest.update(file).update(readFileSync(join(sources, file)));
  const out = join(
    tmpdir(),
    `drover-tests-${basename(sources)}-${process.getuid?.() ?? 0}-${digest.digest("hex").slice(0, 12)}`,
  );
  mkdirSync(out, { recursive: true });
  await withLock(join(out, "lock"), async () => {
    await new Promise<void>((done, fail) => {
      execFile("make", ["-C", sources, `OUT=${out}`], (error, stdout, stderr) => {
        if (error === null) done();
        else fail(new Error(`${sources} does not compile:\n${stdout}${stderr}`));
      });
    });
  });
  return out;
}
