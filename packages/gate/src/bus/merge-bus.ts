import { createHash } from "node:crypto";
import { type Client, ClientClosed, ClientError, defineFunction } from "@drover/client";
import { Worker, type WorkerOptions } from "@drover/worker";
import { ANSWER, REQUEST } from "../merger/checks.ts";
import type { Merger } from "../merger/merger.ts";
import type { BranchTip, MergeAnswer, MergeRequest } from "../merger/request.ts";

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
   * be looked up after it was asked for, so a request that leaves a base out joins none that may have looked already; it is
   * asked again when the server is lost, which does no harm, as merging moves nothing.
   * @throws ClientClosed; whatever else goes wrong is an answer.
   */
  async merge(request: MergeRequest, signal?: AbortSignal): Promise<MergeAnswer> {
    const canonical = canonicalRequest(request);
    const unique = isFrozen(canonical) ? uniqueOf(canonical) : undefined;
    try {
      return await this.#client.submit(MERGE, canonical, { unique, rejoin: true, signal }).result();
    } catch (error) {
      if (!(error instanceof ClientError) || error instanceof ClientClosed) throw error;
      return { kind: "error", detail: error.message };
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
