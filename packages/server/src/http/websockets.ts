import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WEBSOCKET_PATH, WebSocketUpgrades } from "@drover/transport";
import type { Identity } from "../core/index.ts";
import type { Gateway } from "./gateway.ts";
import { PROBLEMS, Problem } from "./problems.ts";
import type { SiteGuard } from "./site-guard.ts";

export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Lets requests of `/v1/ws` become connections of the job server, with the identity that they show. */
export async function webSockets(gateway: Gateway, guard: SiteGuard): Promise<UpgradeHandler> {
  // The guard has judged the origin by then, with the server's own.
  const upgrades = await WebSocketUpgrades.create({ origins: "any" });
  return (request, socket, head) => {
    const problem =
      request.url?.split("?")[0] === WEBSOCKET_PATH
        ? guard.refusal(request)
        : new Problem("not-found", `WebSockets are at ${WEBSOCKET_PATH}`);
    if (problem !== null) {
      refuse(upgrades, socket, problem);
      return;
    }
    let identity: Identity;
    upgrades.handleUpgrade(
      request,
      socket,
      head,
      (connection) => gateway.server.accept(connection, identity),
      (_request, token) => {
        try {
          gateway.refuseWhileDraining();
          identity = gateway.identify(request, token);
          return undefined;
        } catch (error) {
          if (error instanceof Problem) return refusalOf(error);
          throw error;
        }
      },
    );
  };
}

function refuse(upgrades: WebSocketUpgrades, socket: Duplex, problem: Problem): void {
  upgrades.refuse(socket, refusalOf(problem));
}

function refusalOf(problem: Problem) {
  const [status] = PROBLEMS[problem.problem];
  const headers = status === 401 ? { "www-authenticate": 'Bearer realm="drover"' } : {};
  return { status, detail: problem.message, headers };
}
