import { readFileSync } from "node:fs";
import type { JobServer } from "@drover/server";
import { parseAddress } from "@drover/transport";
import type { ResolvedConfig } from "../config/resolve.ts";
import type { ServerConfig } from "../config/schema.ts";
import { UsageError } from "../errors.ts";
import { DEFAULT_PORT } from "../server-address.ts";

/** The peers of the configuration: name and address. */
function peersOf({ peers = [] }: ServerConfig): { readonly name: string; readonly address: string }[] {
  return peers.map((peer) => {
    const at = peer.indexOf("=");
    return { name: peer.slice(0, at), address: peer.slice(at + 1) };
  });
}

/** @throws UsageError when the fleet is not what it must be everywhere. */
export function checkFleet({ server, identities }: ResolvedConfig): void {
  const peers = peersOf(server);
  if (peers.length === 0) return;
  if (server.serverName === undefined) {
    throw new UsageError("OPTION_INVALID", "--peer needs --server-name: keys are spread over names");
  }
  if (new Set(peers.map(({ name }) => name)).size < peers.length) {
    throw new UsageError("OPTION_INVALID", "--peer: a name is given twice");
  }
  for (const { name, address } of peers) {
    if (/^(?:wss?|https?):/.test(address)) {
      throw new UsageError(
        "OPTION_INVALID",
        `--peer ${name}=${address}: peers speak TCP, TLS or a Unix socket`,
      );
    }
    parseAddress(address, { port: DEFAULT_PORT });
  }
  if (identities !== undefined && server.peerTokenFile === undefined) {
    throw new UsageError(
      "OPTION_INVALID",
      "--peer with authentication needs --peer-token-file: the others take no submission marked as forwarded without it",
    );
  }
}

/** How a server becomes a member of its fleet, and ends its links. */
export interface FleetJoining {
  readonly onStarting: (started: JobServer) => void;
  close(): void;
}

/** What makes a starting server a member of its fleet; undefined where there is none, and then nothing of it is loaded. */
export async function fleetOf(server: ServerConfig): Promise<FleetJoining | undefined> {
  const peers = peersOf(server);
  if (peers.length === 0) return undefined;
  const token = server.peerTokenFile === undefined ? undefined : readToken(server.peerTokenFile);
  const { FleetPeers } = await import("@drover/server/peers");
  let joined: { close(): void } | undefined;
  return {
    onStarting: (started) => {
      joined = FleetPeers.join(started, { name: server.serverName!, peers, token });
    },
    close: () => joined?.close(),
  };
}

function readToken(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError("TOKEN_UNREADABLE", `cannot read the peers' token ${path} (${code ?? message})`);
  }
}
