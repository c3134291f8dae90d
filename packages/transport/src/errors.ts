/** Codes of `TransportError`. */
export type TransportErrorCode =
  | "ADDRESS_INVALID"
  | "ADDRESS_IN_USE"
  | "ADDRESS_NOT_AVAILABLE"
  | "CERTIFICATE_INVALID"
  | "CONNECTION_LOST"
  | "CONNECTION_REFUSED"
  | "CONNECT_TIMEOUT"
  | "HOST_NOT_FOUND"
  | "LISTEN_FAILED"
  | "PERMISSION_DENIED"
  | "TLS_FAILED"
  | "TLS_FILE_INVALID"
  | "UNREACHABLE"
  | "UPGRADE_REFUSED"
  | "WEBSOCKET_CLOSED"
  | "WEBSOCKET_VIOLATION";

/** A connection or a listening endpoint could not be had, or was lost. Codes are listed in docs/ERRORS.md. */
export class TransportError extends Error {
  override readonly name = "TransportError";
  readonly code: TransportErrorCode;
  constructor(code: TransportErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}

function systemCode(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message;
}

/** What went wrong when `address` was listened on, and what to do about it. */
export function listenError(address: string, error: Error): TransportError {
  const system = systemCode(error);
  const options = { cause: error };
  switch (system) {
    case "EADDRINUSE":
    case "EEXIST":
      return new TransportError(
        "ADDRESS_IN_USE",
        `cannot listen on ${address}, another program does (${system}): stop it or choose another address; port 0 picks a free one`,
        options,
      );
    case "EACCES":
    case "EPERM":
      return new TransportError(
        "PERMISSION_DENIED",
        `may not listen on ${address} (${system}): choose a port above 1023, or a path that may be written`,
        options,
      );
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
      return new TransportError(
        "ADDRESS_NOT_AVAILABLE",
        `cannot listen on ${address}, this machine has no such address (${system}): name one of its own`,
        options,
      );
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new TransportError(
        "HOST_NOT_FOUND",
        `${address} has no address (${system}): check the name`,
        options,
      );
    default:
      return new TransportError("LISTEN_FAILED", `cannot listen on ${address} (${system})`, options);
  }
}

/** What went wrong when `address` was dialled, and what to do about it. */
export function dialError(address: string, error: Error): TransportError {
  // Several addresses of one name were tried: the first reason stands for all.
  const first: Error = error instanceof AggregateError ? (error.errors[0] ?? error) : error;
  const system = systemCode(first);
  const options = { cause: error };
  switch (system) {
    case "ECONNREFUSED":
    case "ENOENT":
      return new TransportError(
        "CONNECTION_REFUSED",
        `nobody listens on ${address} (${system}): is the server started, and is this its address?`,
        options,
      );
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new TransportError(
        "HOST_NOT_FOUND",
        `${address} has no address (${system}): check the name`,
        options,
      );
    case "ETIMEDOUT":
      return new TransportError(
        "CONNECT_TIMEOUT",
        `${address} did not answer (${system}): check address and firewall`,
        options,
      );
    case "EACCES":
    case "EPERM":
      return new TransportError("PERMISSION_DENIED", `may not connect to ${address} (${system})`, options);
    default:
      return new TransportError("UNREACHABLE", `cannot connect to ${address} (${system})`, options);
  }
}

/** An established connection broke. */
export function lostError(address: string, error: Error): TransportError {
  return new TransportError("CONNECTION_LOST", `connection with ${address} broke (${systemCode(error)})`, {
    cause: error,
  });
}
