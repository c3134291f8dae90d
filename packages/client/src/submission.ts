import { byteString, bytesOf, encodeOptions, type Priority, type SubmitRequest } from "@drover/protocol";
import { sha256 } from "#platform";
import type { ServerConnection } from "./connection.ts";
import { InvalidArgument, NeedsDrover } from "./errors.ts";

/** What is submitted, with names as byte strings, whichever server it goes to. */
export interface Submission {
  readonly function: string;
  readonly unique: string;
  readonly workload: Uint8Array;
  readonly priority?: Priority | undefined;
  readonly background?: boolean | undefined;
  /** Unix time in milliseconds. */
  readonly atMs?: number | undefined;
  readonly reducer?: string | undefined;
  readonly keep?: boolean | undefined;
  readonly lingerMs?: number | undefined;
  readonly rerunIfActive?: boolean | undefined;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

/** Names what joins: equal keys are one job on the server. Empty for what never joins. */
export function keyOf({ function: name, unique, workload }: Submission): string {
  if (unique === "") return "";
  // A server joins `-` by workload, but never empty ones.
  if (unique === "-")
    return workload.length === 0 ? "" : `${name}\0-\0${sha256?.(workload) ?? byteString(workload)}`;
  return `${name}\0${unique}`;
}

/** Longest unique or handle that every Gearman server takes; at 64 gearmand accepts them and goes wrong. */
const MAX_COMMON_BYTES = 63;

/**
 * The unique as a server is told it. Servers other than Drover know short ones only, so longer ones are replaced by
 * `sha256-` and the hash in base64url, which is 50 bytes long.
 * @throws NeedsDrover where there is no such hash.
 */
export function uniqueFor(unique: string, connection: ServerConnection): string {
  if (connection.drover || unique.length <= MAX_COMMON_BYTES) return unique;
  if (sha256 === undefined) throw new NeedsDrover("a unique of more than 63 bytes", connection.server);
  return `sha256-${sha256(bytesOf(unique))}`;
}

/** @throws InvalidArgument for a handle that the server would never answer. */
export function handleFor(handle: string, connection: ServerConnection): string {
  if (connection.drover || handle.length <= MAX_COMMON_BYTES) return handle;
  throw new InvalidArgument(`no job has a handle of ${handle.length} bytes`);
}

/**
 * The request in the form for this server: Gearman's own packets where they can say it, else drover.1's.
 * @throws NeedsDrover when only drover.1 can say it and the server does not know that.
 */
export function requestFor(submission: Submission, connection: ServerConnection): SubmitRequest {
  const { workload, priority, background, atMs, reducer, traceparent, tracestate } = submission;
  const unique = uniqueFor(submission.unique, connection);
  const request = { function: submission.function, unique, workload, priority, background, reducer };
  const wishes = {
    keep: submission.keep === true ? "1" : undefined,
    linger: submission.lingerMs === undefined ? undefined : String(Math.trunc(submission.lingerMs)),
    rerunIfActive: submission.rerunIfActive === true ? "1" : undefined,
  };
  if (!connection.drover) {
    for (const [wish, value] of Object.entries(wishes)) {
      if (value !== undefined) throw new NeedsDrover(wish, connection.server);
    }
    if (atMs !== undefined && (priority ?? "normal") !== "normal") {
      throw new NeedsDrover("a priority for a delayed job", connection.server);
    }
    // Never early.
    return { ...request, epochSeconds: atMs === undefined ? undefined : Math.ceil(atMs / 1_000) };
  }
  const options = encodeOptions({
    ...wishes,
    at: atMs === undefined ? undefined : String(Math.ceil(atMs)),
    traceparent,
    tracestate,
  });
  if (options === "") return request;
  const rest = encodeOptions({ background: background === true ? "1" : undefined, priority, reducer });
  return { ...request, options: rest === "" ? options : `${options}&${rest}` };
}
