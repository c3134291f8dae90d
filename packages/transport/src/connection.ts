/** Who is at the other end of a connection, as far as the transport can tell. */
export interface PeerAddress {
  readonly transport: "tcp" | "unix" | "memory" | "tls" | "websocket" | "http";
  /** Numeric IP address (`127.0.0.1`, `::1`), path of the Unix socket, or a test's name. */
  readonly address: string;
  /** TCP port; 0 where there is none. */
  readonly port: number;
  /** What it proved to be. Absent where it showed no certificate, or none that could be verified. */
  readonly certificate?: PeerCertificate;
}

/** A certificate that was verified. */
export interface PeerCertificate {
  /** Such as `CN=printer, O=Acme`. */
  readonly subject: string;
  /** Its alternative names of kinds URI, DNS and email, without the kind; where it has none, its common name. */
  readonly names: readonly string[];
}

/**
 * Why the owner ends a connection: told to the peer where its protocol has words for it.
 * @see docs/PROTOCOL.md#websocket
 */
export type EndReason = "done" | "draining" | "malformed" | "unauthenticated" | "forbidden" | "limited";

/** What the owner of a connection is told. Handlers must not throw. */
export interface ConnectionHandlers {
  /** Bytes that arrived. The chunk is lent until the handler returns; the transport may then read into it again. */
  data(chunk: Uint8Array): void;
  /** Everything handed to `send` has left the process, after a `send` that returned false. */
  drain(): void;
  /**
   * The peer will send no more; what we send may still reach it. The owner answers what it owes and then calls
   * `end` or `destroy`. Without this handler the transport calls `end` itself.
   */
  ended?(): void;
  /**
   * The connection is over, in both directions; told exactly once, also after `destroy`, and never from within a
   * call of the owner's. `error` is there when it did not end cleanly.
   */
  close(error?: Error): void;
}

/**
 * One byte pipe to a peer. It knows no packets; it moves bytes in order and tells when the peer is slow.
 * Every implementation passes `test/conformance.ts`.
 */
export interface Connection {
  readonly peer: PeerAddress;
  /** Bytes handed to `send` that the operating system has not taken yet; an upper bound where it took a part. */
  readonly unsentBytes: number;
  /** Sets who is told; once, in the same turn in which the connection was handed over. */
  attach(handlers: ConnectionHandlers): void;
  /**
   * Sends the chunks in order, in one system call where the platform allows it. After `end` or `destroy`, or once
   * the connection is over, they are dropped.
   * @returns true when the chunks are no longer needed, so that the caller may reuse their memory; false when they
   * still are, and `drain` follows.
   */
  send(chunks: readonly Uint8Array[]): boolean;
  /** Stops `data` until `resume`; what the peer sends then waits in its own buffers. */
  pause(): void;
  resume(): void;
  /**
   * Sends what is unsent, then closes. Bytes that still arrive are dropped.
   * @param reason Default: `done`.
   */
  end(reason?: EndReason): void;
  /** Closes at once; what is unsent is lost. */
  destroy(): void;
}

/** A listening endpoint. */
export interface Listener {
  /** Where it listens: the chosen port when 0 was asked for. The first one where there are several. */
  readonly address: PeerAddress;
  /** All of them: `localhost` stands for both address families. */
  readonly addresses: readonly PeerAddress[];
  /** Stops accepting; established connections stay. Resolves when the endpoint is free. */
  close(): Promise<void>;
}
