import { byteString, printable, textOfByteString } from "@drover/protocol";

/** Codes of the errors of client and worker libraries. */
export type ClientErrorCode =
  | "CLIENT_CLOSED"
  | "EVENTS_DROPPED"
  | "INPUT_INVALID"
  | "INVALID_ARGUMENT"
  | "JOB_EXCEPTION"
  | "JOB_FAILED"
  | "JOB_LOST"
  | "JOB_TIMEOUT"
  | "NEEDS_DROVER"
  | "NO_SERVER"
  | "OUTPUT_INVALID"
  | "QUEUE_FULL"
  | "SERVER_LOST"
  | "SERVER_REFUSED"
  | "TOO_MANY_CALLS"
  | "UNAUTHENTICATED";

/** What all errors of the client have in common: a stable code. Codes are listed in docs/ERRORS.md. */
export class ClientError extends Error {
  readonly code: ClientErrorCode;
  constructor(code: ClientErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** The worker gave the job up. Doing the same again may well fail again. */
export class JobFailed extends ClientError {
  readonly function: string;
  readonly handle: string;
  constructor(functionName: string, handle: string) {
    super("JOB_FAILED", `${printable(functionName, 200)} failed (job ${handle})`);
    this.function = functionName;
    this.handle = handle;
  }
}

/** The worker gave the job up and said why. */
export class JobException extends ClientError {
  readonly function: string;
  readonly handle: string;
  /** What the worker sent. */
  readonly exception: Uint8Array;
  constructor(functionName: string, handle: string, exception: Uint8Array) {
    const reason = printable(textOfByteString(byteString(exception.subarray(0, 1_000))), 1_000);
    super("JOB_EXCEPTION", `${printable(functionName, 200)} failed: ${reason} (job ${handle})`);
    this.function = functionName;
    this.handle = handle;
    this.exception = exception;
  }
}

/**
 * The connection was lost after the job was submitted and the job was not joined again, so what became of it is
 * unknown: it may have run, may run still, or never. Submit it again if running twice does no harm.
 */
export class JobLost extends ClientError {
  readonly function: string;
  constructor(functionName: string, why: string) {
    super("JOB_LOST", `${printable(functionName, 200)}: ${why}`);
    this.function = functionName;
  }
}

/** The call's own deadline passed. The job may go on for others. */
export class JobTimeout extends ClientError {
  constructor(functionName: string, deadlineMs: number) {
    super("JOB_TIMEOUT", `${printable(functionName, 200)} gave no result within ${deadlineMs} ms`);
  }
}

/** The server's queue for the function is full. Later there may be room. */
export class QueueFull extends ClientError {
  constructor(functionName: string, text: string) {
    super("QUEUE_FULL", `${printable(functionName, 200)}: ${printable(text, 200)}`);
  }
}

/** The server refused a request with an `ERROR` packet. */
export class ServerRefused extends ClientError {
  /** The server's code, such as `ARGUMENT_TOO_LARGE`; every server has its own set. */
  readonly serverCode: string;
  constructor(request: string, serverCode: string, text: string) {
    super("SERVER_REFUSED", `${request}: ${printable(serverCode, 100)} ${printable(text, 200)}`);
    this.serverCode = serverCode;
  }
}

/** No server answered for as long as the client may wait. */
export class NoServer extends ClientError {
  constructor(servers: readonly string[], waitedMs: number, options?: ErrorOptions) {
    super("NO_SERVER", `none of ${servers.join(", ")} answered within ${waitedMs} ms`, options);
  }
}

/** The connection was lost before a question was answered. Asking again is harmless. */
export class ServerLost extends ClientError {
  constructor(server: string, options?: ErrorOptions) {
    super("SERVER_LOST", `${server} was lost before the answer`, options);
  }
}

/** The server takes nothing from this client: the token is missing, wrong, revoked or expired. */
export class Unauthenticated extends ClientError {
  constructor(server: string, why: string) {
    super("UNAUTHENTICATED", `${server} does not let us in: ${printable(why, 200)}`);
  }
}

/** The client was closed. */
export class ClientClosed extends ClientError {
  constructor() {
    super("CLIENT_CLOSED", "the client is closed");
  }
}

/** More calls wait for a place than `maxWaiting` allows. */
export class TooManyCalls extends ClientError {
  constructor(limit: number) {
    super("TOO_MANY_CALLS", `${limit} calls wait: submit fewer at a time, or raise maxWaiting`);
  }
}

/** The events were read more slowly than they came, and more than `maxBufferedBytes` were waiting. */
export class EventsDropped extends ClientError {
  constructor(limit: number) {
    super(
      "EVENTS_DROPPED",
      `more than ${limit} bytes of events were not read in time: read faster, or raise maxBufferedBytes`,
    );
  }
}

/** An argument that no server would take. */
export class InvalidArgument extends ClientError {
  constructor(detail: string) {
    super("INVALID_ARGUMENT", detail);
  }
}

/** What was asked for is an extension of Drover's, and the server in use does not have it. */
export class NeedsDrover extends ClientError {
  constructor(what: string, server: string) {
    super("NEEDS_DROVER", `${what} needs a Drover server; ${server} is none`);
  }
}

/** One complaint of a schema, as Standard Schema words it. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A value did not fit the function's schema, or could not be encoded or decoded. */
export class ValueInvalid extends ClientError {
  readonly issues: readonly SchemaIssue[];
  constructor(
    code: "INPUT_INVALID" | "OUTPUT_INVALID",
    functionName: string,
    issues: readonly SchemaIssue[],
    options?: ErrorOptions,
  ) {
    const shown = issues.slice(0, 5).map((issue) => {
      const path = issue.path?.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
      return path === undefined || path === "" ? issue.message : `${path}: ${issue.message}`;
    });
    super(code, `${printable(functionName, 200)}: ${shown.join("; ")}`, options);
    this.issues = issues;
  }
}
