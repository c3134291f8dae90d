import {
  type Client,
  ClientClosed,
  InvalidArgument,
  type Job,
  JobException,
  JobFailed,
  NeedsDrover,
  pause,
} from "@drover/client";
import type { RunResult } from "../core/index.ts";
import type { OutputChunk } from "../executor/build-log.ts";
import type { BuildOutcome, BuildRequest } from "../executor/build-request.ts";
import { readOutcome } from "./build-answers.ts";
import { type BuildNews, buildFunction, decodeMessage, resumeFunction } from "./build-messages.ts";

/** Who follows a build. Must not throw. */
export interface BuildFollower {
  /** Which execution it is; told again when that is another. */
  readonly execution?: (execution: string) => void;
  /** May be told several times. */
  readonly news?: (news: BuildNews) => void;
  /** Some may be missing, which the log has: after a join, or when this is called too slowly. */
  readonly output?: (chunk: OutputChunk) => void;
}

/** How a build ended, for the gate. */
export interface BuildEnd {
  readonly result: RunResult;
  /** `null` when no executor told of one. */
  readonly outcome: BuildOutcome | null;
  readonly detail: string | null;
}

/** How long to wait before a build that the job server did not take is submitted again. */
const RETRY_MS = 1_000;

/** Starts builds through the job server, and joins those that run already by submitting the same unique again. */
export class BuildBus {
  readonly #client: Client;
  readonly #submitted = new Map<string, SubmittedBuild>();

  /** @param client Its owner closes it; builds that are followed then go on without. */
  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Starts a build, or joins the one with this unique, or gets its result if it has ended within the last hour.
   * @param request The same for the same unique.
   * @param lingerMs How old a result may be, where that is less than an hour.
   */
  start(
    unique: string,
    request: BuildRequest,
    zone: string,
    follower: BuildFollower = {},
    lingerMs?: number,
  ): RunningBuild {
    let submitted = this.#submitted.get(unique);
    if (submitted === undefined) {
      const workload = JSON.stringify(request);
      submitted = new SubmittedBuild(this.#client, buildFunction(zone), { unique, workload, lingerMs });
      this.#submitted.set(unique, submitted);
      const over = submitted;
      submitted.onOver = () => {
        if (this.#submitted.get(unique) === over) this.#submitted.delete(unique);
      };
    }
    return new RunningBuild(unique, submitted, follower);
  }
}

/** A build that is followed. */
export class RunningBuild {
  readonly unique: string;
  /** Resolves with `undefined` when it was given up here: by `cancel`, or since the client was closed. */
  readonly ended: Promise<BuildEnd | undefined>;
  readonly #submitted: SubmittedBuild;
  readonly #follower: BuildFollower;
  #giveUp: () => void = () => {};

  /** Use `BuildBus.start`. */
  constructor(unique: string, submitted: SubmittedBuild, follower: BuildFollower) {
    this.unique = unique;
    this.#submitted = submitted;
    this.#follower = follower;
    const givenUp = new Promise<undefined>((resolve) => {
      this.#giveUp = () => resolve(undefined);
    });
    this.ended = Promise.race([submitted.ended, givenUp]);
    submitted.add(follower);
  }

  /** Has it go on, if it is paused. That it still is so is told again if this did not come through. */
  resume(execution: string): void {
    this.#submitted.resume(execution);
  }

  /** Takes it back. When nobody else waits for it, it is ended, wherever it is. */
  cancel(): void {
    this.#giveUp();
    this.#submitted.remove(this.#follower);
  }
}

/** A build as it is submitted, again and again. */
interface BuildSubmission {
  readonly unique: string;
  readonly workload: string;
  readonly lingerMs: number | undefined;
}

/** A unique that is submitted, once for all who follow it here. */
class SubmittedBuild {
  readonly ended: Promise<BuildEnd | undefined>;
  /** Nobody can follow it any more. */
  onOver: () => void = () => {};
  readonly #followers = new Set<BuildFollower>();
  readonly #giveUp = new AbortController();
  #execution: string | undefined;
  /** All that was told so far. */
  #news: BuildNews | undefined;

  readonly #client: Client;
  /** Ends what asks it to go on. */
  readonly #hasEnded = new AbortController();

  constructor(client: Client, name: string, submission: BuildSubmission) {
    this.#client = client;
    this.ended = this.#follow(client, name, submission).finally(() => {
      this.#hasEnded.abort();
      this.onOver();
    });
  }

  resume(execution: string): void {
    this.#news = {};
    this.#client
      .submit(resumeFunction(execution), "", { unique: execution, signal: this.#hasEnded.signal })
      .result()
      .catch(() => {});
  }

  add(follower: BuildFollower): void {
    this.#followers.add(follower);
    // Who follows is told nothing before it knows that it does.
    queueMicrotask(() => {
      if (!this.#followers.has(follower)) return;
      if (this.#execution !== undefined) follower.execution?.(this.#execution);
      if (this.#news !== undefined) follower.news?.(this.#news);
    });
  }

  /** After the last one the job server is told that it is not wanted any more. */
  remove(follower: BuildFollower): void {
    if (!this.#followers.delete(follower) || this.#followers.size > 0) return;
    this.onOver();
    this.#giveUp.abort();
  }

  async #follow(
    client: Client,
    name: string,
    { unique, workload, lingerMs }: BuildSubmission,
  ): Promise<BuildEnd | undefined> {
    const { signal } = this.#giveUp;
    for (;;) {
      const job = client.submit(name, workload, { unique, signal, lingerMs });
      void this.#readOutput(job);
      try {
        return readResult(await job.result());
      } catch (error) {
        if (signal.aborted || error instanceof ClientClosed) return undefined;
        if (error instanceof JobFailed)
          return { result: { kind: "lost" }, outcome: null, detail: "its executor was lost" };
        if (error instanceof JobException || error instanceof InvalidArgument || error instanceof NeedsDrover)
          return { result: { kind: "final", result: "ERROR" }, outcome: null, detail: error.message };
      }
      // No server, one that was lost, or one that is full: the build may even run, so it is asked for until there is an answer.
      await pause(RETRY_MS, signal);
      if (signal.aborted) return undefined;
    }
  }

  async #readOutput(job: Job): Promise<void> {
    try {
      for await (const event of job) {
        const message = event.type === "data" ? decodeMessage(event.data) : undefined;
        if (message === undefined) continue;
        const { execution, chunk, news } = message;
        const isNew = execution !== this.#execution;
        this.#execution = execution;
        if (news !== undefined) this.#news = { ...this.#news, ...news };
        for (const follower of this.#followers) {
          if (isNew) follower.execution?.(execution);
          if (chunk !== undefined && chunk.bytes.length > 0) follower.output?.(chunk);
          if (news !== undefined) follower.news?.(news);
        }
      }
    } catch {
      // How it ended is told by its result; output that was missed is in the log.
    }
  }
}

function readResult(bytes: Uint8Array): BuildEnd {
  const outcome = readOutcome(bytes);
  if (typeof outcome !== "string") return { result: outcome.result, outcome, detail: outcome.detail };
  const detail = `its executor's answer is no result of a build, and may be of another version: ${outcome}`;
  return { result: { kind: "final", result: "ERROR" }, outcome: null, detail };
}
