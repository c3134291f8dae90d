import { bytesOf, printable } from "@drover/protocol";
import { forbidLine, refuseStrangersLine } from "./access.ts";
import type { DeadLetter } from "./dead-letters.ts";
import { stateName } from "./extensions.ts";
import type { JobFunction } from "./function.ts";
import { STRANGER } from "./identity.ts";
import { type Job, JobState, PRIORITY_NAMES } from "./job.ts";
import { cancelJob } from "./jobs.ts";
import type { Peer } from "./peer.ts";
import { closePeer, sendText } from "./replies.ts";
import type { ServerState } from "./state.ts";
import { deleteDeadLetter, requeueDeadLetter } from "./submissions.ts";
import { shownUnique } from "./uniques.ts";
import { wakeFor } from "./workers.ts";

/*
 * The text protocol for administrators. Gearmand's commands answer byte for byte as gearmand does (differences are
 * listed in docs/PROTOCOL.md); names stand in them as they came, since programs read them. Drover's own listings
 * escape every name.
 */

/** Words on a line beyond which gearmand closes the connection; so does Drover. */
const MAX_WORDS = 5;
/** Rows of a Drover listing without a limit of its own. */
const DEFAULT_ROWS = 1000;
const END = ".\n";

/** First words of HTTP: a page in a browser must not be able to post commands to a server on loopback. */
const HTTP_WORDS = /^(?:get|head|post|put|delete|options|connect|trace|patch|pri|host:)$/i;

type Command = (state: ServerState, peer: Peer, words: readonly string[], line: string) => string;

/** Handles one line. A word in the wrong place is an unknown command, as gearmand has it. */
export function receiveLine(state: ServerState, peer: Peer, line: string): void {
  // As gearmand reads it: a space at the end begins an empty word, and a NUL ends the line.
  const words = line.split("\0", 1)[0]!.split(/ +/);
  const first = words[0]!.toLowerCase();
  if (HTTP_WORDS.test(first)) {
    state.note({ code: "PROTOCOL_VIOLATION", peer, detail: "an HTTP request on the Gearman port" });
    closePeer(state, peer, "HTTP request on the Gearman port");
    return;
  }
  if (peer.identity === STRANGER) {
    refuseStrangersLine(state, peer);
    return;
  }
  if (words.length > MAX_WORDS) {
    state.note({ code: "PROTOCOL_VIOLATION", peer, detail: "too many words in an admin command" });
    closePeer(state, peer, "too many words in an admin command");
    return;
  }
  sendText(state, peer, answerLine(state, peer, first, words, line));
}

function answerLine(
  state: ServerState,
  peer: Peer,
  first: string,
  words: readonly string[],
  line: string,
): string {
  const command = COMMANDS.get(first);
  if (command === undefined) return unknownCommand(words[0]!);
  const verb = words[1]?.toLowerCase();
  const changes = CHANGING.has(first) || (first === "deadletter" && verb !== "show");
  // A dead letter's workload is shown to those only who might have it run again.
  const right = changes || first === "deadletter" ? "admin" : "status";
  const { identity } = peer;
  if (right === "admin" ? !identity.mayAdminister : !identity.mayLookAtAll) {
    return forbidLine(state, peer, right);
  }
  const answer = command(state, peer, words, line);
  if (changes) {
    const target = words.slice(1).join(" ");
    state.note({ code: "ADMIN_ACT", peer, act: first, target, result: answer.trimEnd() });
  }
  return answer;
}

function unknownCommand(word: string): string {
  return `ERR UNKNOWN_COMMAND Unknown+server+command${word}\r\n`;
}

function incomplete(word: string): string {
  return `ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+${word}\r\n`;
}

const OK = "OK\r\n";

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ["status", status],
  ["prioritystatus", priorityStatus],
  ["workers", workers],
  ["show", show],
  ["cancel", cancel],
  ["create", create],
  ["drop", drop],
  ["maxqueue", maxQueue],
  ["getpid", (state) => `OK ${state.options.pid}\n`],
  ["verbose", (state) => `OK ${state.options.logLevel}\n`],
  ["version", (state) => `OK ${state.options.version}\n`],
  ["shutdown", shutdown],
  ["functions", functions],
  ["jobs", jobs],
  ["deadletters", deadLetters],
  ["deadletter", deadLetter],
  ["pause", (state, _peer, words) => setPaused(state, words, true)],
  ["resume", (state, _peer, words) => setPaused(state, words, false)],
  ["counts", counts],
  ["fleet", fleet],
]);

/** Commands that change something. */
const CHANGING: ReadonlySet<string> = new Set([
  "cancel",
  "create",
  "drop",
  "maxqueue",
  "pause",
  "resume",
  "shutdown",
]);

function status(state: ServerState): string {
  let text = "";
  for (const fn of state.functions.values())
    text += `${fn.name}\t${fn.total}\t${fn.running}\t${fn.workers}\n`;
  return text + END;
}

/** One line for each server of the fleet; none where there is no fleet. */
function fleet(state: ServerState): string {
  let text = "";
  for (const member of state.fleet?.view() ?? []) {
    const { name, address, state: now, forMs, jobs, forwarded, share, problem } = member;
    text += `${printable(name)}\t${printable(address)}\t${now}\t${forMs}\t${jobs}\t${forwarded}\t${share}\t${printable(problem)}\n`;
  }
  return text + END;
}

function priorityStatus(state: ServerState): string {
  let text = "";
  for (const fn of state.functions.values()) {
    text += `${fn.name}\t${fn.waiting(0)}\t${fn.waiting(1)}\t${fn.waiting(2)}\t${fn.workers}\n`;
  }
  return text + END;
}

function workers(state: ServerState): string {
  let text = "";
  for (const peer of state.peers) {
    text += `${peer.id} ${peer.address} ${peer.clientId} :`;
    const abilities = peer.abilities === null ? [] : [...peer.abilities.places.keys()];
    for (let i = abilities.length - 1; i >= 0; i--) text += ` ${abilities[i]!.name}`;
    text += "\n";
  }
  return text + END;
}

function show(state: ServerState, _peer: Peer, words: readonly string[]): string {
  if (words.length < 2) return unknownCommand(words[0]!);
  const what = words.slice(1).join(" ").toLowerCase();
  if (what === "jobs") {
    let text = "";
    for (const job of state.jobs.values()) {
      const losses = job.run === null ? job.attempts : job.attempts - 1;
      // gearmand's last column: 1 for a background job, with a store or without.
      text += `${state.handles.text(job.number)}\t${losses}\t0\t${job.claimed ? 1 : 0}\n`;
    }
    return text + END;
  }
  if (what === "unique jobs") {
    let text = "";
    for (const job of state.jobs.values()) text += `${shownUnique(job.key)}\n`;
    return text + END;
  }
  return "ERR UNKNOWN_SHOW_ARGUMENTS\r\n";
}

function cancel(state: ServerState, _peer: Peer, words: readonly string[]): string {
  if (words.length < 3) return unknownCommand(words[0]!);
  if (words[1]!.toLowerCase() !== "job") return "ERR UNKNOWN_ERROR\r\n";
  const job = state.jobs.get(jobNumber(state, words[2]!));
  if (job === undefined || job.state === JobState.CANCELLING) return "ERR UNKNOWN_JOB\r\n";
  cancelJob(state, job);
  return OK;
}

function create(state: ServerState, _peer: Peer, words: readonly string[]): string {
  if (words.length !== 3 || words[1]!.toLowerCase() !== "function") return incomplete(words[0]!);
  const name = words[2]!;
  if (name.length > state.limits.maxFunctionBytes)
    return "ERR ARGUMENT_TOO_LARGE Function+name+too+large\r\n";
  const fn = state.functionOf(name);
  if (fn === null) return "ERR QUEUE_ERROR Too+many+functions\r\n";
  fn.pinned = true;
  state.updateIdle(fn);
  return OK;
}

function drop(state: ServerState, _peer: Peer, words: readonly string[]): string {
  if (words.length !== 3 || words[1]!.toLowerCase() !== "function") return incomplete(words[0]!);
  const fn = state.functions.get(words[2]!) ?? functionOfAnyCase(state, words[2]!);
  if (fn === undefined) return "ERR function not found\r\n";
  if (fn.total > 0 || fn.forwarded > 0 || fn.workers > 0 || fn.overruns > 0) {
    return "ERR there are still connected workers or executing clients\r\n";
  }
  forgetFunction(state, fn);
  return OK;
}

/** gearmand compares names of `drop function` without regard to case. */
function functionOfAnyCase(state: ServerState, name: string): JobFunction | undefined {
  const wanted = name.toLowerCase();
  for (const fn of state.functions.values()) if (fn.name.toLowerCase() === wanted) return fn;
  return undefined;
}

/** Forgets a function that nobody offers and nobody queued for. */
export function forgetFunction(state: ServerState, fn: JobFunction): void {
  fn.forgotten = true;
  state.functions.delete(fn.name);
  state.ownTimes.forget(fn);
  state.idleFunctions.delete(fn);
}

function maxQueue(state: ServerState, _peer: Peer, words: readonly string[]): string {
  if (words.length < 2) return incomplete(words[0]!);
  const fn = state.functionOf(words[1]!);
  if (fn === null) return "ERR QUEUE_ERROR Too+many+functions\r\n";
  if (words.length === 2) {
    fn.maxQueue = null;
  } else {
    const limit = (word: string | undefined): number => Math.max(0, Number.parseInt(word ?? "0", 10) || 0);
    const first = limit(words[2]);
    fn.maxQueue = words.length > 3 ? [first, limit(words[3]), limit(words[4])] : [first, first, first];
  }
  state.updateIdle(fn);
  return OK;
}

function shutdown(state: ServerState, _peer: Peer, words: readonly string[]): string {
  if (!state.options.allowShutdown) return unknownCommand(words[0]!);
  if (words.length > 1 && words[1]!.toLowerCase() !== "graceful") {
    return "ERR UNKNOWN_ARGS Unknown+arguments+to+server+command+shutdown\r\n";
  }
  state.shutdownRequested = words.length > 1 ? "graceful" : "now";
  return "OK\n";
}

/** Drover: one row a function, with its counts since the start. */
function functions(state: ServerState): string {
  let text = "";
  for (const fn of state.functions.values()) {
    const { submissions, joins, runs, completed, failed, lost } = fn;
    const flags = fn.paused ? "paused" : "-";
    text +=
      `${printable(fn.name)}\t${fn.queued}\t${fn.delayed}\t${fn.running}\t${fn.workers}\t` +
      `${submissions}\t${joins}\t${runs}\t${completed}\t${failed}\t${lost}\t${flags}\n`;
  }
  return text + END;
}

/** Drover: `jobs [FUNCTION [ROWS]]`. */
function jobs(state: ServerState, _peer: Peer, words: readonly string[]): string {
  const rows = rowLimit(words[2]);
  const only = words[1] === undefined ? undefined : state.functions.get(words[1]);
  if (rows === null) return "ERR INVALID_ARGUMENTS ROWS+is+a+number\r\n";
  if (words[1] !== undefined && only === undefined) return "ERR function not found\r\n";
  let text = "";
  let shown = 0;
  for (const job of state.jobs.values()) {
    if (only !== undefined && job.fn !== only) continue;
    if (shown++ === rows) break;
    text += jobRow(state, job);
  }
  return text + END;
}

function jobRow(state: ServerState, job: Job): string {
  const age = Math.max(0, Math.round(state.nowMs - job.createdMs));
  const worker = job.run === null ? "-" : `${job.run.worker.id}`;
  return (
    `${state.handles.text(job.number)}\t${printable(job.fn.name)}\t${printable(shownUnique(job.key))}\t` +
    `${stateName(job)}\t${PRIORITY_NAMES[job.priority]}\t${age}\t${job.attempts}\t${job.submissionCount}\t` +
    `${job.claimed ? "background" : "-"}\t${worker}\t${job.workloadBytes}\n`
  );
}

function deadLetters(state: ServerState, _peer: Peer, words: readonly string[]): string {
  const rows = rowLimit(words[1]);
  if (rows === null) return "ERR INVALID_ARGUMENTS ROWS+is+a+number\r\n";
  let text = "";
  let shown = 0;
  for (const letter of state.deadLetters.values()) {
    if (shown++ === rows) break;
    text += letterRow(state, letter);
  }
  return text + END;
}

function letterRow(state: ServerState, letter: DeadLetter): string {
  return (
    `${state.handles.text(letter.number)}\t${printable(letter.fn)}\t${printable(shownUnique(letter.key))}\t` +
    `${printable(letter.reason)}\t${letter.attempts}\t${new Date(letter.diedMs).toISOString()}\t` +
    `${letter.workload.length}\n`
  );
}

/** Drover: `deadletter show|requeue|delete HANDLE`. */
function deadLetter(state: ServerState, _peer: Peer, words: readonly string[]): string {
  if (words.length < 3) return incomplete(words[0]!);
  const letter = state.deadLetters.get(jobNumber(state, words[2]!));
  if (letter === undefined) return "ERR UNKNOWN_JOB\r\n";
  switch (words[1]!.toLowerCase()) {
    case "show":
      return `${letterRow(state, letter)}${printable(letter.workload, 4096)}\n${END}`;
    case "requeue":
      return requeueDeadLetter(state, letter) ? OK : "ERR QUEUE_ERROR Job+queue+is+full\r\n";
    case "delete":
      deleteDeadLetter(state, letter.number);
      return OK;
    default:
      return "ERR UNKNOWN_DEADLETTER_ARGUMENTS\r\n";
  }
}

function setPaused(state: ServerState, words: readonly string[], paused: boolean): string {
  if (words.length < 3 || words[1]!.toLowerCase() !== "function") return incomplete(words[0]!);
  return pauseFunction(state, words[2]!, paused) ? OK : "ERR function not found\r\n";
}

/** Stops or goes on giving the jobs of a function to workers; what runs goes on. @returns whether it is known. */
export function pauseFunction(state: ServerState, name: string, paused: boolean): boolean {
  const fn = state.functions.get(name);
  if (fn === undefined) return false;
  fn.paused = paused;
  fn.updateReadiness();
  state.updateIdle(fn);
  wakeFor(state, fn, 0);
  return true;
}

/** Drover: totals since the start and levels now, one `NAME TAB NUMBER` a line. */
function counts(state: ServerState): string {
  let text = "";
  for (const [name, value] of Object.entries(state.counts)) text += `${name}\t${value}\n`;
  text += `jobs\t${state.jobs.size}\nrunning\t${state.running}\nwaiting_submissions\t${state.submissionCount}\n`;
  text += `delayed\t${state.dueJobs.size}\nfunctions\t${state.functions.size}\npeers\t${state.peers.size}\n`;
  text += `workload_bytes\t${state.workloadBytes}\nreplay_bytes\t${state.replayBytes}\n`;
  text += `unstored\t${state.journal?.length ?? 0}\nstore_fails\t${state.storeFails ? 1 : 0}\n`;
  text += `dead_letters\t${state.deadLetters.size}\noutcomes\t${state.outcomes.size}\n`;
  return text + END;
}

function rowLimit(word: string | undefined): number | null {
  if (word === undefined) return DEFAULT_ROWS;
  return /^\d{1,9}$/.test(word) ? Number(word) : null;
}

function jobNumber(state: ServerState, handle: string): number {
  const bytes = bytesOf(handle);
  return state.handles.parse(bytes, 0, bytes.length);
}
