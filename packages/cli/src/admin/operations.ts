import { byteStringOfText, bytesOf, printable } from "@drover/protocol";
import { EXIT, UsageError } from "../errors.ts";
import type { Target } from "../server-address.ts";
import { type AdminConnection, AdminRefused, withAdmin } from "./admin-connection.ts";

type Operation = (admin: AdminConnection, value: string) => Promise<readonly string[]>;

const listing =
  (command: string): Operation =>
  async (admin) => [...(await admin.list(command)), "."];

const answer =
  (command: string): Operation =>
  async (admin) => [await admin.ask(command)];

/** Gearadmin prints OK for what has no other answer. */
const done =
  (words: (value: string) => readonly string[]): Operation =>
  async (admin, value) => {
    await admin.ask(commandLine(words(value)));
    return ["OK"];
  };

const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ["getpid", answer("getpid")],
  ["createFunction", done((name) => ["create", "function", name])],
  ["dropFunction", done((name) => ["drop", "function", name])],
  ["cancelJob", done((handle) => ["cancel", "job", handle])],
  ["showJobs", listing("show jobs")],
  ["showUniqueJobs", listing("show unique jobs")],
  ["serverVerbose", answer("verbose")],
  ["serverVersion", answer("version")],
  ["workers", listing("workers")],
  ["priorityStatus", listing("prioritystatus")],
  ["status", listing("status")],
  ["shutdown", done((how) => (how === "graceful" ? ["shutdown", how] : ["shutdown"]))],
]);

/** Carries out gearadmin's options, all that were given. A refusal does not keep the others from being done. */
export async function runOperations(
  server: Target,
  values: Readonly<Record<string, unknown>>,
  help: () => string,
): Promise<void> {
  if (values.ssl !== undefined) {
    throw new UsageError("OPTION_REFUSED", "--ssl: name the server as tls://HOST:PORT instead");
  }
  const chosen = [...OPERATIONS].filter(([name]) => values[name] !== undefined);
  if (chosen.length === 0) {
    process.stdout.write(help());
    throw new UsageError("OPTION_INVALID", "name at least one thing to do");
  }
  await withAdmin(server, async (admin) => {
    for (const [name, operation] of chosen) {
      try {
        const lines = await operation(admin, String(values[name]));
        writeNames(lines.map((line) => `${line}\n`).join(""));
      } catch (error) {
        if (!(error instanceof AdminRefused)) throw error;
        const remedy =
          name === "shutdown" && error.unknownCommand
            ? "the server was not started with --allow-shutdown"
            : "";
        process.stderr.write(`Error: ${remedy || printable(error.answer)}\n`);
        process.exitCode = EXIT.failed;
      }
    }
  });
}

/** Gives one order that is answered by OK. */
export async function order(server: Target, words: readonly string[]): Promise<void> {
  await withAdmin(server, (admin) => admin.ask(commandLine(words)));
  process.stdout.write("OK\n");
}

export async function setMaxQueue(server: Target, name: string, numbers: readonly string[]): Promise<void> {
  const right = (numbers.length < 2 || numbers.length === 3) && numbers.every((one) => /^\d{1,9}$/.test(one));
  if (!right) {
    throw new UsageError(
      "OPTION_INVALID",
      "max-queue takes one number, or three for high, normal and low, or none for the default",
    );
  }
  await order(server, ["maxqueue", name, ...numbers]);
}

/** The protocol divides words by spaces and has no quotes, so that some names cannot be said. */
export function commandLine(words: readonly string[]): string {
  for (const word of words) {
    if (word === "" || /[\s\0]/.test(word)) {
      throw new UsageError(
        "OPTION_INVALID",
        `${JSON.stringify(word)} cannot be named to a server: its admin protocol divides words by spaces`,
      );
    }
  }
  return words.map(byteStringOfText).join(" ");
}

/** Byte for byte where a program reads, escaped where a terminal would obey what a name says. */
export function writeNames(text: string): void {
  if (!process.stdout.isTTY) process.stdout.write(bytesOf(text));
  else process.stdout.write(text.replace(/[^\n\t]+/g, (part) => printable(part)));
}
