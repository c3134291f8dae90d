import { Found, HEADER_BYTES, PacketStream, PacketType } from "@drover/protocol";
import {
  type Job,
  JobFunction,
  type JobServerCore,
  JobState,
  type Peer,
  type Priority,
} from "../../packages/server/src/core/index.ts";
import { Outbox } from "../../packages/server/src/core/outbox.ts";
import { ReadyQueue } from "../../packages/server/src/core/ready-queue.ts";
import { WorkloadStore } from "../../packages/server/src/core/workload-store.ts";
import type { Tampering } from "./world.ts";

/*
 * Servers that are wrong in one way each. The simulation has to notice every one of them; if it does not, it would not
 * notice the same mistake in the real one either.
 */

export interface Mutant {
  readonly name: string;
  /** Makes the wrong server out of a right one. Called for each world. */
  readonly make: () => Tampering;
  /** Puts back what `make` changed for everyone. */
  readonly undo?: () => void;
}

/** Whole packets of what a connection is sent, to be left out, repeated or moved. Outboxes hold whole packets. */
function packetsOf(chunks: readonly Uint8Array[]): { type: number; bytes: Uint8Array }[] {
  const stream = new PacketStream({ maxBodyBytes: 1_000_000, maxLineBytes: 100_000 });
  const packets: { type: number; bytes: Uint8Array }[] = [];
  for (const chunk of chunks) {
    stream.push(chunk);
    for (let found = stream.next(); found !== Found.MORE; found = stream.next()) {
      // Text has no type; its line end does not matter here.
      const text = Uint8Array.from(`${stream.line}\n`, (char) => char.charCodeAt(0));
      const packet = new Uint8Array(stream.bytes.subarray(stream.start - HEADER_BYTES, stream.end));
      packets.push(found === Found.LINE ? { type: 0, bytes: text } : { type: stream.type, bytes: packet });
    }
  }
  return packets;
}

/** A server that sends other packets than it should. The change returns null while it changes nothing. */
function sending(
  name: string,
  change: (packets: { type: number; bytes: Uint8Array }[], peer: Peer) => { bytes: Uint8Array }[] | null,
): Mutant {
  return {
    name,
    make: () => ({
      sent: (chunks, peer) => change(packetsOf(chunks), peer)?.map(({ bytes }) => bytes) ?? chunks,
    }),
  };
}

/** A server whose state is changed behind its back before each turn. */
function changing(name: string, change: (core: JobServerCore) => void): Mutant {
  return { name, make: () => ({ turn: change }) };
}

/** A server with another method in one of its classes. */
function replacing<T extends object, K extends keyof T>(
  name: string,
  prototype: T,
  key: K,
  method: (original: T[K]) => T[K],
): Mutant {
  const original = prototype[key];
  return {
    name,
    make: () => {
      prototype[key] = method(original);
      return {};
    },
    undo: () => {
      prototype[key] = original;
    },
  };
}

/** A server that has another idea of how many jobs of a function may start. */
function running(name: string, room: (fn: JobFunction, limit: number) => number): Mutant {
  const original = Object.getOwnPropertyDescriptor(JobFunction.prototype, "runnable")!;
  const get = function (this: JobFunction) {
    const limit = this.settings.maxRunning;
    if (this.paused) return 0;
    return limit === 0 ? this.queued : Math.max(0, Math.min(this.queued, room(this, limit)));
  };
  return {
    name,
    make: () => {
      Object.defineProperty(JobFunction.prototype, "runnable", { ...original, get });
      return {};
    },
    undo: () => Object.defineProperty(JobFunction.prototype, "runnable", original),
  };
}

const terminals: readonly number[] = [
  PacketType.WORK_COMPLETE,
  PacketType.WORK_FAIL,
  PacketType.WORK_EXCEPTION,
];

function runningJobs(core: JobServerCore): Job[] {
  return [...core.state.jobs.values()].filter((job) => job.state === JobState.RUNNING);
}

export const MUTANTS: readonly Mutant[] = [
  sending("the second of two submitters on one connection gets no WORK_COMPLETE", (packets) => {
    const second = packets.findIndex(
      ({ type, bytes }, i) =>
        type === PacketType.WORK_COMPLETE &&
        packets.slice(0, i).some((other) => Buffer.compare(other.bytes, bytes) === 0),
    );
    return second < 0 ? null : packets.toSpliced(second, 1);
  }),
  {
    name: "of all submitters of a job only the first gets its end",
    make: () => {
      const told = new Set<string>();
      return {
        turn: () => told.clear(),
        sent: (chunks) => {
          const packets = packetsOf(chunks);
          const kept = packets.filter(({ type, bytes }) => {
            if (!terminals.includes(type)) return true;
            const text = String(bytes);
            const again = told.has(text);
            told.add(text);
            return !again;
          });
          return kept.length === packets.length ? chunks : kept.map(({ bytes }) => bytes);
        },
      };
    },
  },
  sending("an end is told twice", (packets) => {
    const at = packets.findIndex(({ type }) => terminals.includes(type));
    return at < 0 ? null : packets.toSpliced(at, 0, packets[at]!);
  }),
  sending("two answers change places", (packets) => {
    const answers: readonly number[] = [PacketType.JOB_CREATED, PacketType.STATUS_RES, PacketType.ECHO_RES];
    const at = packets.findIndex(
      ({ type }, i) =>
        answers.includes(type) &&
        packets[i + 1] !== undefined &&
        packets[i + 1]!.type !== type &&
        answers.includes(packets[i + 1]!.type),
    );
    return at < 0 ? null : packets.toSpliced(at, 2, packets[at + 1]!, packets[at]!);
  }),
  {
    name: "a status is told after the end",
    make: () => {
      const statuses = new Map<Peer, { type: number; bytes: Uint8Array }>();
      return {
        sent: (chunks, peer) => {
          const packets = packetsOf(chunks);
          const status = packets.find(({ type }) => type === PacketType.WORK_STATUS);
          const old = statuses.get(peer);
          if (status !== undefined) statuses.set(peer, status);
          const end = packets.findIndex(({ type }) => terminals.includes(type));
          if (end < 0 || old === undefined) return chunks;
          return packets.toSpliced(end + 1, 0, old).map(({ bytes }) => bytes);
        },
      };
    },
  },
  sending("a wake-up is lost", (packets) => {
    const kept = packets.filter(({ type }) => type !== PacketType.NOOP);
    return kept.length === packets.length ? null : kept;
  }),
  replacing("a lost job goes to the tail", JobFunction.prototype, "enqueue", (original) => {
    return function (this: JobFunction, job) {
      original.call(this, job, false);
    };
  }),
  replacing("priority is ignored", JobFunction.prototype, "enqueue", (original) => {
    return function (this: JobFunction, job, first) {
      job.priority = 1 as Priority;
      original.call(this, job, first);
    };
  }),
  running("one run more than maxRunning", (fn, limit) => limit + 1 - fn.running - fn.overruns),
  running("overruns hold no slot", (fn, limit) => limit - fn.running),
  replacing("the first ready function always has its turn", ReadyQueue.prototype, "next", () => {
    return function (this: ReadyQueue) {
      return this.peek();
    };
  }),
  changing("a replay skips the first report", (core) => {
    for (const { run } of runningJobs(core))
      if (run!.history !== null && run!.history.length > 1) run!.history.shift();
  }),
  changing("a replay repeats a report", (core) => {
    for (const { run } of runningJobs(core)) {
      if (run!.history?.length === 1) run!.history.push(run!.history[0]!);
    }
  }),
  changing("the background claim goes when somebody leaves", (core) => {
    for (const job of core.state.jobs.values())
      if (job.claimed && job.submissions !== null) job.claimed = false;
  }),
  changing("a unique is free while its job runs", (core) => {
    for (const job of runningJobs(core)) core.state.uniques.delete(job);
  }),
  changing("a job that nobody waits for is not forgotten", (core) => {
    for (const job of core.state.jobs.values()) {
      if (job.state === JobState.QUEUED && job.submissionCount === 1 && !job.claimed) job.claimed = true;
    }
  }),
  changing("submissions are counted that are gone", (core) => {
    if (core.state.jobs.size === 3) core.state.submissionCount++;
  }),
  replacing("what is on its way holds no pages", Outbox.prototype, "hold", (original) => {
    return function (this: Outbox, shared, start, end) {
      original.call(this, shared, start, end);
      shared.holders--;
    };
  }),
  replacing(
    "a workload's page is free before its last job has ended",
    WorkloadStore.prototype,
    "keep",
    (original) => {
      return function (this: WorkloadStore, source, start, end, place) {
        original.call(this, source, start, end, place);
        if (place.workload.holders > 2) place.workload.holders--;
      };
    },
  ),
  changing("a woken worker that does not come is waited for", (core) => {
    for (const peer of core.state.peers) if (peer.wokenFor !== null) peer.wakeEndsMs += 1_000_000;
  }),
];
