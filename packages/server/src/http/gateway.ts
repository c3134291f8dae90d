import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { printable } from "@drover/protocol";
import { verifiedCertificate } from "@drover/transport";
import type { FastifyReply, FastifyRequest } from "fastify";
import { auditEntry } from "../auth/audit.ts";
import type { Identities } from "../auth/identities.ts";
import { ANYONE, type Identity, type JobServerCore, maySubmit, mayWork } from "../core/index.ts";
import type { JobServer } from "../job-server.ts";
import type { Log } from "../note-log.ts";
import { one } from "./fields.ts";
import type { InProcessPeer } from "./in-process.ts";
import { Problem } from "./problems.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who asks, once it is known. */
    drover: Identity | null;
  }
}

/** What the requests over HTTP have of the job server. */
export class Gateway {
  readonly core: JobServerCore;
  readonly server: JobServer;
  /** Identifies this start of the server: events of another one cannot be resumed. */
  readonly epoch = randomBytes(6).toString("base64url");
  readonly #log: Log;
  readonly #identities: Identities | undefined;
  /** Bytes of large answers that their connection has not got rid of. */
  readonly #unsent = new WeakMap<object, number>();

  constructor(server: JobServer, log: Log) {
    this.server = server;
    this.core = server.core;
    this.#log = log;
    this.#identities = server.identities;
  }

  /**
   * Who asks.
   * @throws Problem `unauthenticated`
   */
  identityOf(request: FastifyRequest): Identity {
    // A field of the request, since a weak map of all of them costs the garbage collector dearly.
    request.drover ??= this.identify(request.raw, undefined);
    return request.drover;
  }

  /**
   * The same of a request that may become a WebSocket.
   * @param offered A token that came otherwise than in `Authorization`.
   * @throws Problem `unauthenticated`
   */
  identify(request: IncomingMessage, offered: string | undefined): Identity {
    const identities = this.#identities;
    if (identities === undefined) return ANYONE;
    const { socket } = request;
    const token = offered ?? bearerOf(request);
    const origin = request.headers.origin ?? "";
    const ticketed = token?.startsWith(TICKET)
      ? identities.redeemTicket(token.slice(TICKET.length), origin)
      : undefined;
    const identity =
      ticketed === undefined
        ? identities.resolve({
            token,
            certificateNames: verifiedCertificate(socket as Duplex)?.names,
            address: plainAddress(socket.remoteAddress),
          })
        : ticketed;
    if (identity !== null) return identity;
    throw new Problem(
      "unauthenticated",
      token === undefined ? "send a token: Authorization: Bearer TOKEN" : "the token is not valid (any more)",
    );
  }

  /** A one-use secret by which a page may open a WebSocket within 30 s. */
  ticketFor(request: FastifyRequest): string {
    const identity = this.identityOf(request);
    const secret = this.#identities?.issueTicket(identity, request.headers.origin ?? "") ?? "";
    return TICKET + secret;
  }

  /** @throws Problem `forbidden`, `unauthenticated` */
  require(role: "admin" | "status", request: FastifyRequest): void {
    const identity = this.identityOf(request);
    if (role === "admin" ? !identity.mayAdminister : !identity.mayLookAtAll) throw missing(role);
  }

  /** Jobs of a function may be looked at by who may submit to it. @throws Problem `forbidden`, `unauthenticated` */
  requireSight(request: FastifyRequest, fn: string): void {
    if (!this.identityOf(request).mayLookAt(fn)) throw missing("status");
  }

  /** @throws Problem `forbidden`, `unauthenticated` */
  requireSubmit(request: FastifyRequest, fn: string): void {
    const identity = this.identityOf(request);
    if (!identity.mayAdminister && !maySubmit(this.core.state, identity, fn)) throw missing("submit");
  }

  /** @throws Problem `forbidden`, `unauthenticated` */
  requireWork(request: FastifyRequest, fn: string): void {
    if (!mayWork(this.core.state, this.identityOf(request), fn)) throw missing("work");
  }

  /**
   * To be called before an answer of so many bytes: one connection may have many requests under way and read none of their
   * answers, each of which is its own peer with its own limit. As the core does with reports, it is closed when it has more
   * than `backlogBytes` unsent already.
   */
  owe({ raw }: FastifyRequest, reply: FastifyReply, bytes: number): void {
    if (bytes < COUNTED_BYTES) return;
    const connection = (raw as { readonly stream?: ServerHttp2Stream }).stream?.session ?? raw.socket;
    const unsent = this.#unsent.get(connection) ?? 0;
    const { limits, counts } = this.core.state;
    if (unsent > limits.backlogBytes) {
      counts.slowReaders++;
      const fields = { code: "SLOW_READER", address: raw.socket.remoteAddress, backlogBytes: unsent };
      this.#log.warn(fields, "closed a connection that does not read");
      connection.destroy();
      return;
    }
    this.#unsent.set(connection, unsent + bytes);
    reply.raw.once("close", () => this.#unsent.set(connection, this.#unsent.get(connection)! - bytes));
  }

  /** Writes what an administrator did into the audit log. */
  audit(request: FastifyRequest, act: string, target: string, result = "OK"): void {
    const identity = request.drover?.name ?? "nobody";
    auditEntry(this.#log, { identity, act, target: printable(target, 200), from: request.ip, result });
  }

  /**
   * Makes the peer that a request is for the job server.
   * @param isFluent It need not ask for exceptions and drover.1.
   */
  open(peer: InProcessPeer, request: FastifyRequest, isFluent = false): void {
    this.server.accept(peer, this.identityOf(request), isFluent);
  }

  /** @throws Problem `draining` */
  refuseWhileDraining(): void {
    if (this.server.isStopping) throw new Problem("draining", "the server stops", { retryAfter: 1 });
  }

  /**
   * To be called before a request becomes a peer. A stream of HTTP/2 that is reset looks like one that ended: its body may be
   * a part only, and nothing would tell that nobody waits.
   * @throws Problem `bad-request`, which nobody gets.
   */
  refuseGone({ raw }: FastifyRequest): void {
    const { stream } = raw as { readonly stream?: ServerHttp2Stream };
    if (raw.destroyed || stream?.closed === true) throw new Problem("bad-request", "the client has gone");
  }
}

/** Smaller answers are bounded by the number of requests that one read of a connection brings. */
const COUNTED_BYTES = 16 * 1024;

/** Tells tickets from tokens. */
const TICKET = "ticket.";

function missing(right: string): Problem {
  return new Problem("forbidden", `the right ${right} is missing`);
}

function bearerOf(request: IncomingMessage): string | undefined {
  const field = one(request.headers, "authorization");
  if (field === undefined) return undefined;
  const [, token] = /^bearer +(\S+)$/i.exec(field) ?? [];
  if (token === undefined) throw new Problem("unauthenticated", "Authorization takes Bearer and a token");
  return token;
}

function plainAddress(address: string | undefined): string | undefined {
  return address?.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}
