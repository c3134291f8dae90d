import { ensure } from "../violation.ts";
import { phaseName } from "./messages.ts";
import { cancelJob, requeueLetter } from "./runs.ts";
import type { ExpectedReply, NaiveFunction, NaiveJob, NaivePeer, NaiveState } from "./state.ts";

/* What the naive server makes of a line of the admin protocol. */

const PRIORITY_NAMES = ["high", "normal", "low"];

/** Tells the model of a line that the server is about to handle. */
export function handleLine(state: NaiveState, peer: NaivePeer, line: string): void {
  state.touched.add(peer);
  if (peer.nonsense) return;
  peer.replies.push(answer(state, line));
}

function single(expected: string): ExpectedReply {
  return {
    kind: "text",
    list: false,
    lines: [],
    check: ([line]) => ensure(line === expected, "admin", () => `answered ${line}, not ${expected}`),
  };
}

function exactList(name: string, rows: readonly string[]): ExpectedReply {
  return {
    kind: "text",
    list: true,
    lines: [],
    check: (lines) =>
      ensure(
        lines.length === rows.length && lines.every((line, i) => line === rows[i]),
        "counts",
        () => `${name} answered\n${lines.join("\n")}\ninstead of\n${rows.join("\n")}`,
      ),
  };
}

/** Rows by function. The server may also list functions that nobody uses, as zeros, or leave them out. */
function functionList(state: NaiveState, name: string, row: (fn: NaiveFunction) => string): ExpectedReply {
  const rows = new Map<string, { row: string; used: boolean }>();
  for (const fn of state.functions.values()) {
    const used = fn.total > 0 || workersOf(state, fn) > 0;
    rows.set(fn.name, { row: row(fn), used });
  }
  return {
    kind: "text",
    list: true,
    lines: [],
    check: (lines) => {
      const listed = new Set<string>();
      for (const line of lines) {
        const fn = line.slice(0, line.indexOf("\t"));
        listed.add(fn);
        const expected = rows.get(fn)?.row ?? line.replaceAll(/\t\d+/g, "\t0");
        ensure(line === expected, "counts", () => `${name} says ${line}, not ${expected}`);
      }
      for (const [fn, { used }] of rows) {
        ensure(!used || listed.has(fn), "counts", () => `${name} does not list ${fn}`);
      }
    },
  };
}

export function workersOf(state: NaiveState, fn: NaiveFunction): number {
  let workers = 0;
  for (const peer of state.peers) if (peer.abilities.has(fn.name)) workers++;
  return workers;
}

function answer(state: NaiveState, line: string): ExpectedReply {
  const [command, second = "", third = "", ...rest] = line.split(" ");
  const known = (name: string) => state.options.functionEpoch(name) !== undefined;
  switch (command) {
    case "status":
      return functionList(
        state,
        command,
        (fn) => `${fn.name}\t${fn.total}\t${fn.running}\t${workersOf(state, fn)}`,
      );
    case "prioritystatus":
      return functionList(state, command, (fn) => {
        const [high, normal, low] = fn.queues;
        return `${fn.name}\t${high.length}\t${normal.length}\t${low.length}\t${workersOf(state, fn)}`;
      });
    case "workers": {
      const { size } = state.peers;
      return {
        kind: "text",
        list: true,
        lines: [],
        check: (lines) =>
          ensure(lines.length === size, "counts", () => `workers lists ${lines.length} of ${size}`),
      };
    }
    case "show":
      return exactList(
        line,
        [...state.jobs.values()].map((job) => {
          const losses = job.run === null ? job.attempts : job.attempts - 1;
          return second === "unique" ? job.unique : `${job.handle}\t${losses}\t0\t${job.claimed ? 1 : 0}`;
        }),
      );
    case "jobs":
      return jobList(state);
    case "deadletters":
      return handleList(
        command,
        state.letters.map(({ job }) => job.handle),
      );
    case "counts":
      return counts(state);
    case "cancel": {
      const job = state.jobOfHandle(third);
      if (job === undefined || job.phase === "cancelling") return single("ERR UNKNOWN_JOB");
      cancelJob(state, job);
      return single("OK");
    }
    case "pause":
    case "resume":
      if (!known(third)) return single("ERR function not found");
      state.functionOf(third).paused = command === "pause";
      return single("OK");
    case "create":
      return single("OK");
    case "maxqueue": {
      const limits = [third, ...rest].map(Number);
      const fn = state.functionOf(second);
      fn.maxQueue =
        third === ""
          ? null
          : limits.length === 3
            ? [limits[0]!, limits[1]!, limits[2]!]
            : [limits[0]!, limits[0]!, limits[0]!];
      return single("OK");
    }
    case "drop": {
      if (!known(third)) return single("ERR function not found");
      const fn = state.functionOf(third);
      if (fn.total > 0 || fn.overruns > 0 || workersOf(state, fn) > 0) {
        return single("ERR there are still connected workers or executing clients");
      }
      return single("OK");
    }
    case "deadletter":
      return deadLetter(state, second, third);
    case "version":
      return single("OK sim");
    case "getpid":
      return single("OK 1");
    default:
      return single(`ERR UNKNOWN_COMMAND Unknown+server+command${command}`);
  }
}

function jobList(state: NaiveState): ExpectedReply {
  const rows = [...state.jobs.values()].map(jobRow);
  return {
    kind: "text",
    list: true,
    lines: [],
    check: (lines) => {
      ensure(lines.length === rows.length, "counts", () => `jobs lists ${lines.length} of ${rows.length}`);
      for (let i = 0; i < rows.length; i++) {
        // Without its age, which the model does not keep.
        const fields = lines[i]!.split("\t");
        fields.splice(5, 1);
        const row = fields.join("\t");
        ensure(row === rows[i], "counts", () => `jobs says ${row}, not ${rows[i]}`);
      }
    },
  };
}

function jobRow(job: NaiveJob): string {
  const worker = job.run === null ? "-" : String(job.run.worker.id);
  const unique = job.unique;
  return (
    `${job.handle}\t${job.fn.name}\t${unique}\t${phaseName(job)}\t${PRIORITY_NAMES[job.priority]}\t` +
    `${job.attempts}\t${job.submissions.length}\t${job.claimed ? "background" : "-"}\t${worker}\t` +
    `${job.workload.length}`
  );
}

/** A list whose rows begin with these handles. */
function handleList(name: string, handles: readonly string[]): ExpectedReply {
  return {
    kind: "text",
    list: true,
    lines: [],
    check: (lines) => {
      const listed = lines.map((line) => line.slice(0, line.indexOf("\t")));
      ensure(
        listed.join() === handles.join(),
        "counts",
        () => `${name} lists ${listed.join()}, not ${handles.join()}`,
      );
    },
  };
}

function counts(state: NaiveState): ExpectedReply {
  const jobs = [...state.jobs.values()];
  const expected = new Map([
    ["jobs", jobs.length],
    ["running", jobs.filter((job) => job.run !== null).length],
    ["waiting_submissions", state.submissionCount],
    ["delayed", jobs.filter((job) => job.phase === "delayed").length],
    ["workload_bytes", state.workloadBytes],
    ["replay_bytes", state.replayBytes],
    ["dead_letters", state.letters.length],
    ["peers", state.peers.size],
  ]);
  return {
    kind: "text",
    list: true,
    lines: [],
    check: (lines) => {
      for (const [name, count] of expected) {
        ensure(
          lines.includes(`${name}\t${count}`),
          "counts",
          () => `counts says ${lines.find((line) => line.startsWith(`${name}\t`))}, not ${count}`,
        );
      }
    },
  };
}

function deadLetter(state: NaiveState, verb: string, handle: string): ExpectedReply {
  const letter = state.letters.find(({ job }) => job.handle === handle);
  if (letter === undefined) return single("ERR UNKNOWN_JOB");
  if (verb === "show") {
    return {
      kind: "text",
      list: true,
      lines: [],
      check: ([row]) =>
        ensure(row?.startsWith(`${handle}\t`) === true, "admin", () => `showed ${row}, not ${handle}`),
    };
  }
  if (verb === "delete") {
    state.letters.splice(state.letters.indexOf(letter), 1);
    return single("OK");
  }
  return single(requeueLetter(state, letter) ? "OK" : "ERR QUEUE_ERROR Job+queue+is+full");
}
