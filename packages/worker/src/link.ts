import {
  backoffMs,
  Channel,
  type ConnectionTerms,
  DROVER_OPTION,
  Heartbeat,
  PING,
  pause,
  type RoutedServer,
  showToken,
  Unauthenticated,
} from "@drover/client";
import {
  type AssignedJob,
  type Grab,
  NOBODY,
  type Packet,
  ProtocolError,
  packetName,
  type WireError,
  type WorkerHandlers,
  WorkerSession,
} from "@drover/protocol";
import type { Connection } from "@drover/transport";
import type { Reports } from "./run.ts";
import type { SharedSlots } from "./slots.ts";

export interface LinkOptions extends ConnectionTerms {
  readonly slots: SharedSlots;
  readonly clientId: string | undefined;
  readonly grab: Grab | undefined;
  /** Functions to register, and the timeout of each, 0 for none. */
  readonly abilities: () => Iterable<readonly [name: string, timeoutMs: number]>;
}

/** What a link tells its worker. */
export interface LinkHandlers {
  assigned(job: AssignedJob, reports: Reports): void;
  cancelled(job: AssignedJob): void;
  /** The jobs of this connection have been given to others, or will be. */
  gone(reports: Reports): void;
  registered(): void;
}

/** A worker's way to one server: connects, registers, and does both again whenever the connection is lost. */
export class Link {
  readonly server: RoutedServer;
  /** Resolves when the link was drained or closed and its connection is over. */
  readonly stopped: Promise<void>;
  readonly #options: LinkOptions;
  readonly #handlers: LinkHandlers;
  readonly #stopping = new AbortController();
  #draining = false;
  #connection: LinkConnection | undefined;

  constructor(server: RoutedServer, options: LinkOptions, handlers: LinkHandlers) {
    this.server = server;
    this.#options = options;
    this.#handlers = handlers;
    this.stopped = this.#keepConnected();
  }

  /** The session in use, registered or about to be. */
  get session(): WorkerSession | undefined {
    return this.#connection?.session;
  }

  /** Takes no more jobs; ends the connection when those that run have ended. */
  drain(): void {
    this.#draining = true;
    if (this.#connection === undefined) this.#stop();
    else this.#connection.session.drain();
  }

  /** Cuts the connection: the server gives running jobs to others. */
  close(): void {
    this.#stop();
    this.#connection?.destroy(new Error("the worker is closed"));
  }

  #stop(): void {
    this.#stopping.abort(new Error("the worker has stopped"));
  }

  async #keepConnected(): Promise<void> {
    const { notice, backoff, random } = this.#options;
    const server = this.server.name;
    let failures = 0;
    while (!this.#stopping.signal.aborted) {
      try {
        const error = await this.#serve(() => {
          failures = 0;
        });
        notice({ type: "disconnected", server, error });
      } catch (error) {
        if (!this.#stopping.signal.aborted) notice({ type: "unreachable", server, error: error as Error });
      }
      if (this.#draining) return;
      failures++;
      await pause(backoffMs(failures, backoff, random()), this.#stopping.signal);
    }
  }

  /** Connects, registers and works. Resolves when the connection is over; rejects when it could not be had. */
  async #serve(registered: () => void): Promise<Error | undefined> {
    const { dial, connectTimeoutMs, notice } = this.#options;
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(connectTimeoutMs)]);
    const connection = new LinkConnection(
      await dial(this.server.address, signal),
      this.server.name,
      this.#options,
      this.#handlers,
    );
    this.#connection = connection;
    const abort = () => connection.destroy(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    try {
      const drover = await connection.registered.finally(() => signal.removeEventListener("abort", abort));
      registered();
      notice({ type: "connected", server: this.server.name, drover });
      this.#handlers.registered();
      return await connection.over;
    } finally {
      this.#connection = undefined;
    }
  }
}

/** One connection of a link, from its beginning to its end. */
class LinkConnection implements WorkerHandlers, Reports {
  readonly server: string;
  readonly session: WorkerSession;
  /** Resolves with whether the server is a Drover; rejects when the connection ends before it answers. */
  readonly registered: Promise<boolean>;
  readonly #channel: Channel;
  readonly #handlers: LinkHandlers;
  readonly #options: LinkOptions;
  readonly #heartbeat: Heartbeat;
  readonly #over = Promise.withResolvers<Error | undefined>();
  /** Resolves when the connection is over, with the error that ended it. */
  readonly over = this.#over.promise;

  /** In the turn in which `connection` was handed over. */
  constructor(connection: Connection, server: string, options: LinkOptions, handlers: LinkHandlers) {
    this.server = server;
    this.#options = options;
    this.#handlers = handlers;
    this.#channel = new Channel(
      connection,
      { packet: (packet) => this.#receive(packet), closed: (error) => this.#closed(error) },
      options.maxPacketBytes,
    );
    this.session = new WorkerSession(this.#channel, this, options.slots);
    const stopListening = options.slots.onFreed(() => this.session.slotFreed());
    void this.over.then(stopListening);
    this.#heartbeat = Heartbeat.of(this.#channel, this.session, server, options.heartbeatMs);
    this.registered = this.#register();
  }

  destroy(reason: Error): void {
    this.#channel.destroy(reason);
  }

  /** Registers everything and, once it is known whether the server is a Drover, begins to grab. */
  #register(): Promise<boolean> {
    const { clientId, abilities, grab, token } = this.#options;
    return new Promise((resolve, reject) => {
      let drover = false;
      let shutOut = false;
      if (token !== undefined) {
        showToken(this.session, this.server, token, (error) => {
          shutOut = true;
          this.destroy(error);
        });
      }
      this.session.option(DROVER_OPTION, {
        ...NOBODY,
        answer: () => {
          drover = true;
        },
      });
      if (clientId !== undefined) this.session.setClientId(clientId);
      for (const [name, timeoutMs] of abilities()) this.session.canDo(name, timeoutMs);
      // Behind the option, in case that the server passes it over in silence.
      this.session.echo(PING, {
        ...NOBODY,
        answer: () => {
          if (shutOut) return;
          this.session.start({ extended: drover, ...(grab === undefined ? {} : { grab }) });
          resolve(drover);
        },
      });
      void this.over.then((error) =>
        reject(error ?? new Error(`${this.server} closed the connection at once`)),
      );
    });
  }

  #receive(packet: Packet): void {
    if (this.session.receive(packet)) return;
    throw new ProtocolError("UNEXPECTED_PACKET", `${packetName(packet.type)} was sent to a worker`);
  }

  #closed(error: Error | undefined): void {
    this.#heartbeat.stop();
    this.session.lost();
    this.#handlers.gone(this);
    this.#over.resolve(error);
  }

  assigned(job: AssignedJob): void {
    this.#handlers.assigned(job, this);
  }
  cancel(job: AssignedJob): void {
    this.#handlers.cancelled(job);
  }
  lateReport(error: WireError): void {
    this.error(error);
  }
  error(error: WireError): void {
    // Registrations have no answer: the server says why, and closes.
    if (error.code === "UNAUTHENTICATED") this.destroy(new Unauthenticated(this.server, error.text));
    this.#options.notice({ type: "server error", server: this.server, ...error });
  }
  drained(): void {
    this.#channel.end();
  }

  writable(): Promise<void> | undefined {
    return this.#channel.writable();
  }
}
