import {
  type Client,
  ClientClosed,
  InvalidArgument,
  type Job,
  JobException,
  JobFailed,
  JobLost,
  NeedsDrover,
  pause,
} from "@drover/client";
import type { RunResult } from "../core/index.ts";
import type { OutputChunk } from "../executor/build-log.ts";
import type { BuildOutcome, BuildRequest } from "../executor/build-request.ts";
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

  /** @param client Its owner closes it; builds that are followed then go on without. */
  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Starts a build, or joins the one with this unique, or gets its result if it has ended within the last hour.
   * @param request The same for the same unique.
   */
  start(unique: string, request: BuildRequest, zone: string, follower: BuildFollower = {}): RunningBuild {
    return new RunningBuild(this.#client, buildFunction(zone), unique, JSON.stringify(request), follower);
  }
}

/** A build that is followed. */
export class RunningBuild {
  readonly unique: string;
  /** Resolves with `undefined` when it was given up here: by `cancel`, or since the client was closed. */
  readonly ended: Promise<BuildEnd | undefined>;
  readonly #giveUp = new AbortController();
  readonly #client: Client;
  /** Ends what asks a paused build to go on. */
  readonly #hasEnded = new AbortController();

  /** Use `BuildBus.start`. */
  constructor(client: Client, name: string, unique: string, workload: string, follower: BuildFollower) {
    this.unique = unique;
    this.#client = client;
    this.ended = this.#follow(client, name, workload, follower).finally(() => this.#hasEnded.abort());
  }

  /** Takes it back. When nobody else waits for it, it is ended, wherever it is. */
  cancel(): void {
    this.#giveUp.abort();
  }

  /** Has it go on, if it is paused. That it still is so is told again if this did not come through. */
  resume(execution: string): void {
    const { signal } = this.#hasEnded;
    this.#client
      .submit(resumeFunction(execution), "", { unique: execution, signal })
      .result()
      .catch(() => {});
  }

  async #follow(
    client: Client,
    name: string,
    workload: string,
    follower: BuildFollower,
  ): Promise<BuildEnd | undefined> {
    const { signal } = this.#giveUp;
    for (;;) {
      const job = client.submit(name, workload, { unique: this.unique, signal });
      void readOutput(job, follower);
      try {
        return readResult(await job.result());
      } catch (error) {
        if (signal.aborted || error instanceof ClientClosed) return undefined;
        if (error instanceof JobFailed || error instanceof JobLost)
          return { result: { kind: "lost" }, outcome: null, detail: "its executor was lost" };
        if (error instanceof JobException || error instanceof InvalidArgument || error instanceof NeedsDrover)
          return { result: { kind: "final", result: "ERROR" }, outcome: null, detail: error.message };
      }
      // No server, or one that is full: the build may even run, so it is asked for until there is an answer.
      await pause(RETRY_MS, signal);
      if (signal.aborted) return undefined;
    }
  }
}

async function readOutput(job: Job, follower: BuildFollower): Promise<void> {
  let known: string | undefined;
  try {
    for await (const event of job) {
      const message = event.type === "data" ? decodeMessage(event.data) : undefined;
      if (message === undefined) continue;
      const { execution, chunk, news } = message;
      if (execution !== known) follower.execution?.(execution);
      known = execution;
      if (chunk !== undefined && chunk.bytes.length > 0) follower.output?.(chunk);
      if (news !== undefined) follower.news?.(news);
    }
  } catch {
    // How it ended is told by its result; output that was missed is in the log.
  }
}

function readResult(bytes: Uint8Array): BuildEnd {
  const outcome = JSON.parse(Buffer.from(bytes).toString()) as BuildOutcome;
  return { result: outcome.result, outcome, detail: outcome.detail };
}
