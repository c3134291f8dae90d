import { randomBytes } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { JobServerCore } from "../core/index.ts";
import type { JobServer } from "../job-server.ts";
import type { InProcessPeer } from "./in-process.ts";
import { Problem } from "./problems.ts";

/** What the requests over HTTP have of the job server. */
export class Gateway {
  readonly core: JobServerCore;
  readonly server: JobServer;
  /** Identifies this start of the server: events of another one cannot be resumed. */
  readonly epoch = randomBytes(6).toString("base64url");

  constructor(server: JobServer) {
    this.server = server;
    this.core = server.core;
  }

  /** Makes the peer that a request is for the job server. */
  open(peer: InProcessPeer, _request: FastifyRequest): void {
    this.server.accept(peer);
  }

  /**
   * To be called before anything is told that is for operators: the one place where the right `status` is asked for. There is
   * no authentication yet.
   */
  requireStatus(_request: FastifyRequest): void {}

  /** @throws Problem `draining` */
  refuseWhileDraining(): void {
    if (this.server.isStopping) throw new Problem("draining", "the server stops", { retryAfter: 1 });
  }
}
