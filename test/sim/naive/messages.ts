import { byteString, decodeBody, decodeOptions, PacketType, REQ } from "@drover/protocol";
import type { TimeoutUnit } from "../../../packages/server/src/core/index.ts";
import { Violation } from "../violation.ts";
import { leave, type NaiveRequest, PLAIN_REQUEST, submit, tableKey } from "./jobs.ts";
import { startRun, workReport } from "./runs.ts";
import type { GrabForm, GrabReply, NaiveJob, NaivePeer, NaiveState } from "./state.ts";
import { reply } from "./state.ts";

/* What the naive server makes of one packet. */

/** Submission types with priority and whether in the background. */
const SUBMITS: ReadonlyMap<number, readonly [priority: number, background: boolean]> = new Map([
  [PacketType.SUBMIT_JOB, [1, false]],
  [PacketType.SUBMIT_JOB_BG, [1, true]],
  [PacketType.SUBMIT_JOB_HIGH, [0, false]],
  [PacketType.SUBMIT_JOB_HIGH_BG, [0, true]],
  [PacketType.SUBMIT_JOB_LOW, [2, false]],
  [PacketType.SUBMIT_JOB_LOW_BG, [2, true]],
]);

const GRABS: ReadonlyMap<number, GrabForm> = new Map([
  [PacketType.GRAB_JOB, "plain"],
  [PacketType.GRAB_JOB_UNIQ, "unique"],
  [PacketType.GRAB_JOB_ALL, "all"],
]);

/** Tells the model of a packet that the server is about to handle: well-formed, as all judged peers send. */
export function handlePacket(
  state: NaiveState,
  peer: NaivePeer,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  state.touched.add(peer);
  if (peer.nonsense) return;
  const form = GRABS.get(type);
  if (form !== undefined) {
    peer.lastSleepWord = false;
    const answer = { kind: "grab", form, answer: null } as const;
    peer.replies.push(answer);
    state.pendingGrab = { peer, reply: answer };
    return;
  }
  if (type === PacketType.ECHO_REQ) {
    reply(state, peer, PacketType.ECHO_RES, byteString(bytes, start, end));
    return;
  }
  const { args, data } = decodeBody(REQ, type, bytes, start, end);
  const plain = SUBMITS.get(type);
  if (plain !== undefined) {
    submit(state, peer, {
      ...PLAIN_REQUEST,
      fn: args[0]!,
      unique: args[1]!,
      workload: byteString(data),
      priority: plain[0],
      background: plain[1],
    });
    return;
  }
  switch (type) {
    case PacketType.WORK_STATUS:
    case PacketType.WORK_DATA:
    case PacketType.WORK_WARNING:
    case PacketType.WORK_COMPLETE:
    case PacketType.WORK_FAIL:
    case PacketType.WORK_EXCEPTION:
      workReport(state, peer, type, byteString(bytes, start, end), args);
      return;
    case PacketType.PRE_SLEEP:
      peer.lastSleepWord = true;
      peer.preSleeps++;
      return;
    default:
      handleRare(state, peer, type, args, byteString(data));
  }
}

function handleRare(
  state: NaiveState,
  peer: NaivePeer,
  type: number,
  args: readonly string[],
  workload: string,
): void {
  const [first = "", second = "", third = ""] = args;
  const request = { ...PLAIN_REQUEST, fn: first, unique: second, workload };
  switch (type) {
    case PacketType.CAN_DO:
    case PacketType.CAN_DO_TIMEOUT:
      state.functionOf(first);
      peer.abilities.set(
        first,
        type === PacketType.CAN_DO ? 0 : timeoutMs(second, state.options.timeoutUnit),
      );
      return;
    case PacketType.CANT_DO:
      peer.abilities.delete(first);
      return;
    case PacketType.RESET_ABILITIES:
      peer.abilities.clear();
      return;
    case PacketType.SET_CLIENT_ID:
      return;
    case PacketType.SUBMIT_JOB_EPOCH: {
      const dueMs = Number(third) * 1000;
      submit(state, peer, { ...request, background: true, dueMs: dueMs > state.wallMs ? dueMs : 0 });
      return;
    }
    case PacketType.SUBMIT_JOB_SCHED:
      submit(state, peer, { ...request, background: true, dueMs: nextInstant(args.slice(2), state.wallMs) });
      return;
    case PacketType.SUBMIT_REDUCE_JOB:
      submit(state, peer, { ...request, reducer: third });
      return;
    case PacketType.SUBMIT_REDUCE_JOB_BACKGROUND:
      submit(state, peer, { ...request, reducer: third, background: true });
      return;
    case PacketType.SUBMIT_JOB_EXT:
      submit(state, peer, withOptions(request, third, state.wallMs));
      return;
    case PacketType.OPTION_REQ:
      if (first.toLowerCase() === "exceptions") peer.wantsExceptions = true;
      if (first.toLowerCase() === "drover.1") peer.speaksDrover = true;
      reply(state, peer, PacketType.OPTION_RES, first);
      return;
    case PacketType.DETACH: {
      const job = state.jobOfHandle(first);
      for (const submission of [...(job?.submissions ?? [])]) {
        if (submission.peer === peer) leave(state, submission);
      }
      return;
    }
    case PacketType.GET_STATUS:
      reply(state, peer, PacketType.STATUS_RES, statusOf(first, state.jobOfHandle(first)));
      return;
    case PacketType.GET_STATUS_UNIQUE:
      getStatusUnique(state, peer, first);
      return;
    case PacketType.GET_OUTCOME:
      reply(state, peer, PacketType.OUTCOME_RES, outcomeOf(state, first, second));
      return;
    default:
      throw new Violation("model", `a judged peer sent type ${type}, which the model does not know`);
  }
}

/** The server has shown which job a grab got; `undefined` = none. */
export function settleGrab(
  state: NaiveState,
  peer: NaivePeer,
  answer: GrabReply,
  job: NaiveJob | undefined,
): void {
  if (job === undefined) {
    answer.answer = { type: PacketType.NO_JOB, body: "" };
    return;
  }
  startRun(state, peer, job);
  const head = `${job.handle}\0${job.fn.name}\0`;
  const { form } = answer;
  if (form === "plain") {
    answer.answer = { type: PacketType.JOB_ASSIGN, body: head + job.workload };
  } else if (form === "all" && peer.speaksDrover) {
    let options = `attempt=${job.attempts}`;
    if (job.reducer !== "") options += `&reducer=${job.reducer}`;
    if (job.traceparent !== "") options += `&traceparent=${job.traceparent}`;
    if (job.links.length > 0) options += `&links=${job.links.join("%2C")}`;
    const body = `${head}${job.unique}\0${options}\0${job.workload}`;
    answer.answer = { type: PacketType.JOB_ASSIGN_EXT, body };
  } else if (form === "all" && job.reducer !== "") {
    const body = `${head}${job.unique}\0${job.reducer}\0${job.workload}`;
    answer.answer = { type: PacketType.JOB_ASSIGN_ALL, body };
  } else {
    answer.answer = { type: PacketType.JOB_ASSIGN_UNIQ, body: `${head}${job.unique}\0${job.workload}` };
  }
}

function timeoutMs(argument: string, unit: TimeoutUnit): number {
  const value = Number(argument);
  if (!(value > 0)) return 0;
  return unit === "s" || (unit === "auto" && value < 1000) ? value * 1000 : value;
}

/** Looks at one minute after the other; the simulation asks only for minutes and hours. */
function nextInstant([minute, hour]: readonly string[], afterMs: number): number {
  for (let at = (Math.floor(afterMs / 60_000) + 1) * 60_000; ; at += 60_000) {
    const minuteOfDay = Math.floor(at / 60_000) % 1440;
    if (minute !== "*" && Number(minute) !== minuteOfDay % 60) continue;
    if (hour !== "*" && Number(hour) !== Math.floor(minuteOfDay / 60)) continue;
    return at;
  }
}

const PRIORITIES: Readonly<Record<string, number>> = { high: 0, normal: 1, low: 2 };

function withOptions(request: NaiveRequest, text: string, wallMs: number): NaiveRequest {
  const options = decodeOptions(text);
  const linger = options.get("linger");
  const at = Number(options.get("at") ?? 0);
  return {
    ...request,
    background: options.get("background") === "1",
    keep: options.get("keep") === "1",
    rerunIfActive: options.get("rerunIfActive") === "1",
    priority: PRIORITIES[options.get("priority") ?? "normal"]!,
    dueMs: at > wallMs ? at : 0,
    deadlineMs: Number(options.get("deadline") ?? 0),
    lingerMs: linger === undefined ? undefined : Number(linger),
    reducer: options.get("reducer") ?? "",
    traceparent: options.get("traceparent") ?? "",
  };
}

function runningOf(job: NaiveJob): string {
  return job.run === null ? "0" : "1";
}

function statusOf(handle: string, job: NaiveJob | undefined): string {
  if (job === undefined) return `${handle}\0${"0"}\0${"0"}\0${"0"}\0${"0"}`;
  const [numerator, denominator] = job.run?.status ?? ["0", "0"];
  return `${handle}\0${"1"}\0${runningOf(job)}\0${numerator}\0${denominator}`;
}

function getStatusUnique(state: NaiveState, peer: NaivePeer, unique: string): void {
  const others: string[] = [];
  // Which function's job is meant, where several share the unique, is the server's choice.
  for (const job of unique === "" || unique === "-" ? [] : state.table.values()) {
    if (job.key !== unique) continue;
    const body = `${statusOf(unique, job)}\0${job.submissions.length}`;
    others.push(body);
  }
  const body = others[0] ?? `${statusOf(unique, undefined)}\0${"0"}`;
  state.touched.add(peer);
  if (peer.over) return;
  peer.replies.push({ kind: "packet", type: PacketType.STATUS_RES_UNIQUE, body, others, submission: null });
}

/** How a job's state is called in answers. */
export function phaseName(job: NaiveJob): string {
  if (job.phase === "waiting") return "queued";
  return job.phase === "cancelling" ? "running" : job.phase;
}

function outcomeOf(state: NaiveState, first: string, unique: string): string {
  const byHandle = unique === "";
  const job = byHandle ? state.jobOfHandle(first) : state.table.get(tableKey(first, unique));
  const asked = `${first}\0${unique}\0`;
  if (job !== undefined) {
    const [numerator, denominator] = job.run?.status ?? ["0", "0"];
    const numbers = `${numerator}\0${denominator}\0${job.submissions.length}\0${"0"}`;
    return `${asked}${job.handle}\0${phaseName(job)}\0${numbers}`;
  }
  const epoch = state.options.functionEpoch(first);
  // Only the newest outcome of a unique can be found by it.
  const found = state.outcomes.findLast((outcome) =>
    byHandle
      ? outcome.handle === first
      : outcome.fn.name === first && outcome.key === unique && outcome.epoch === epoch,
  );
  const fresh = found !== undefined && found.endedMs + state.options.limits.outcomeMs > state.wallMs;
  const zeros = `${"0"}\0${"0"}\0${"0"}\0`;
  if (!fresh) return `${asked}\0unknown\0${zeros}0`;
  return `${asked}${found.handle}\0${found.state}\0${zeros}${found.endedMs}`;
}
