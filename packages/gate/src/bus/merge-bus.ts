import { createHash } from "node:crypto";
import {
  type Client,
  ClientClosed,
  ClientError,
  defineFunction,
  InvalidArgument,
  JobException,
  JobFailed,
  NeedsDrover,
  pause,
  ValueInvalid,
} from "@drover/client";
import { Worker, type WorkerOptions } from "@drover/worker";
import { ANSWER, REQUEST } from "../merger/checks.ts";
import type { Merger } from "../merger/merger.ts";
import type { BranchTip, MergeAnswer, MergeRequest } from "../merger/request.ts";

/** Of these another try would come to the same. */
const FINAL = [JobException, JobFailed, InvalidArgument, NeedsDrover, ValueInvalid] as const;
/** How long to wait before a merge that no server took is asked for again. */
const RETRY_MS = 1_000;
const NEVER = new AbortController().signal;

/** What mergers do for a gate. */
const MERGE = defineFunction({ name: "gate:merge", input: REQUEST, output: ANSWER });

/** A worker that lets this merger do what is asked for on servers. It is to be run and drained as any other. */
export function mergerWorker(merger: Pick<Merger, "merge">, options: WorkerOptions): Worker {
  const worker = new Worker({ clientId: "gate-merger", ...options });
  worker.handle(MERGE, ({ input }) => merger.merge(input));
  return worker;
}

/** Asks mergers behind a server, as a `Merger` is asked. */
export class MergerClient {
  readonly #client: Client;

  /** @param client Stays its owner's to close. */
  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Equal requests with frozen bases are one job, since their answer is a function of the request. What a branch *is* must
   * be looked up after it was asked for, so a request that leaves a base out joins none that may have looked already. While
   * there is no server it is asked again and again, which does no harm, as merging moves nothing.
   * @throws ClientClosed; what the signal was aborted with; whatever else goes wrong is an answer.
   */
  async merge(request: MergeRequest, signal?: AbortSignal): Promise<MergeAnswer> {
    const canonical = canonicalRequest(request);
    const unique = isFrozen(canonical) ? uniqueOf(canonical) : undefined;
    for (;;) {
      try {
        return await this.#client.submit(MERGE, canonical, { unique, rejoin: true, signal }).result();
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof ClientError) || error instanceof ClientClosed) throw error;
        if (FINAL.some((kind) => error instanceof kind)) return { kind: "error", detail: error.message };
      }
      await pause(RETRY_MS, signal ?? NEVER);
      signal?.throwIfAborted();
    }
  }
}

/** The same request with what does not matter left out, and all else in one order. */
export function canonicalRequest({ steps, bases = [] }: MergeRequest): MergeRequest {
  const branches = new Set(steps.map(branchKey));
  const needed = new Map(bases.map((tip) => [branchKey(tip), tip]));
  return {
    steps: steps.map(({ project, branch, commit, mode, since }) => ({
      project,
      branch,
      commit,
      mode,
      ...(since === undefined ? {} : { since }),
    })),
    bases: [...needed]
      .filter(([key]) => branches.has(key))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { project, branch, commit }]) => ({ project, branch, commit })),
  };
}

function isFrozen({ steps, bases = [] }: MergeRequest): boolean {
  return new Set(steps.map(branchKey)).size === bases.length;
}

function uniqueOf(canonical: MergeRequest): string {
  return createHash("sha256").update(JSON.stringify(canonical)).digest("base64url");
}

function branchKey({ project, branch }: Omit<BranchTip, "commit">): string {
  return JSON.stringify([project, branch]);
}
