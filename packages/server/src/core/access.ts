import { byteString, type PacketStream, PacketType, REQ } from "@drover/protocol";
import { type Identity, STRANGER } from "./identity.ts";
import type { Peer } from "./peer.ts";
import { closePeer, sendError, sendPacket, sendText } from "./replies.ts";
import type { ServerState } from "./state.ts";

/* Who may do what: refusals, and how a connection comes by its identity. @see docs/PROTOCOL.md#authentication */

/** Begins the option that carries a token; what follows is never kept, noted or sent back. */
const AUTH_OPTION = "drover.auth:";
const AUTH_ANSWER = "drover.auth";
const DROVER_OPTION = "drover.1";
const AUTHENTICATE_FIRST = "Authenticate first: OPTION_REQ drover.auth:TOKEN";

/** Which right an identity lacks, for the text of a refusal and for the log. */
export type Right = "submit" | "work" | "peer" | "status" | "admin";

/**
 * Refuses what the connection's identity may not do.
 * @param fn Function that it is about, or empty: a stranger's handle must not tell of which function its job is.
 */
export function forbid(state: ServerState, peer: Peer, right: Right, fn: string): void {
  noteForbidden(state, peer, right, fn);
  sendError(state, peer, "FORBIDDEN", `Right ${right}${fn === "" ? "" : `:${fn}`} is missing`);
}

/** The same for a line of the admin text. @returns the answer. */
export function forbidLine(state: ServerState, peer: Peer, right: Right): string {
  noteForbidden(state, peer, right, "");
  return `ERR FORBIDDEN Right+${right}+is+missing\r\n`;
}

function noteForbidden(state: ServerState, peer: Peer, right: Right, fn: string): void {
  state.counts.forbidden++;
  state.note({ code: "FORBIDDEN", peer, right, fn });
}

/** Whether an identity may submit jobs of a function, by its name as a byte string. */
export function maySubmit(state: ServerState, identity: Identity, fn: string): boolean {
  return identity.maySubmit(fn) && namesReserved(state, identity.rights.submit, fn);
}

export function mayWork(state: ServerState, identity: Identity, fn: string): boolean {
  return identity.mayWork(fn) && namesReserved(state, identity.rights.work, fn);
}

function namesReserved(
  { options: { reserved } }: ServerState,
  globs: readonly string[],
  fn: string,
): boolean {
  for (const prefix of reserved ?? []) {
    if (fn.startsWith(prefix) && !globs.some((glob) => glob.startsWith(prefix))) return false;
  }
  return true;
}

/** Begins the option by which a server of the fleet says who it is. */
export const PEER_OPTION = "drover.peer:";

/** Whether a connection may be another server of the fleet: by its right, or without authentication on loopback. */
export function mayBePeer(state: ServerState, { identity, address }: Peer): boolean {
  if (state.options.authenticate !== undefined) return identity.rights.peer === true;
  return /^(?:127\.|::1$|::ffff:127\.|unix$|memory$)/.test(address);
}

/** Takes a submission from what the identity may submit now. @returns false when it was refused. */
export function admitSubmission(state: ServerState, peer: Peer): boolean {
  if (peer.account === null || peer.account.takeSubmission(state.nowMs)) return true;
  state.counts.rateLimited++;
  state.note({ code: "LIMIT_REACHED", peer, limit: "submissionsPerS", fn: "" });
  sendError(state, peer, "RATE_LIMITED", "Too many submissions, come back later");
  return false;
}

/** Whether the packet found may come from somebody without an identity. */
export function mayComeFromStranger({ magic, type, pages, bytes, start, end }: PacketStream): boolean {
  if (magic !== REQ || pages !== null) return false;
  if (type === PacketType.ECHO_REQ) return true;
  if (type !== PacketType.OPTION_REQ) return false;
  const option = byteString(bytes, start, Math.min(end, start + AUTH_OPTION.length)).toLowerCase();
  return option === AUTH_OPTION || option.replace(/\0$/, "") === DROVER_OPTION;
}

export function refuseStranger(state: ServerState, peer: Peer): void {
  noteUnauthenticated(state, peer, "a request without authentication");
  sendError(state, peer, "UNAUTHENTICATED", AUTHENTICATE_FIRST);
  closePeer(state, peer, "not authenticated", "unauthenticated");
}

export function refuseStrangersLine(state: ServerState, peer: Peer): void {
  noteUnauthenticated(state, peer, "an admin command without authentication");
  sendText(state, peer, `ERR UNAUTHENTICATED ${AUTHENTICATE_FIRST.replaceAll(" ", "+")}\r\n`);
  closePeer(state, peer, "not authenticated", "unauthenticated");
}

function noteUnauthenticated(state: ServerState, peer: Peer, detail: string): void {
  state.counts.unauthenticated++;
  state.note({ code: "UNAUTHENTICATED", peer, detail });
}

/**
 * `OPTION_REQ drover.auth:TOKEN`.
 * @returns false when it is another option, or the server has no authentication.
 */
export function authenticate(state: ServerState, peer: Peer, option: string): boolean {
  const judge = state.options.authenticate;
  if (judge === undefined || option.slice(0, AUTH_OPTION.length).toLowerCase() !== AUTH_OPTION) return false;
  const identity = judge(option.slice(AUTH_OPTION.length), peer);
  if (identity === null) {
    noteUnauthenticated(state, peer, "a token that is not valid");
    sendError(state, peer, "UNAUTHENTICATED", "The token is not valid");
    closePeer(state, peer, "token not valid", "unauthenticated");
  } else if (!keepsWithin(state, peer, identity)) {
    noteUnauthenticated(state, peer, "a token that does not allow what is under way");
    sendError(state, peer, "FORBIDDEN", "The token does not allow what is under way here");
    closePeer(state, peer, "token does not allow what is under way", "forbidden");
  } else if (become(state, peer, identity)) {
    sendPacket(state, peer, PacketType.OPTION_RES, [AUTH_ANSWER]);
  }
  return true;
}

/**
 * Gives a connection its identity, and counts it.
 * @returns false when the identity has no room for another connection, and this one is to be closed.
 */
export function become(state: ServerState, peer: Peer, identity: Identity): boolean {
  const { account } = identity;
  if (account !== peer.account) {
    if (account?.isFullOfConnections === true) {
      state.counts.refused++;
      state.note({ code: "LIMIT_REACHED", peer, limit: "identity.maxConnections", fn: "" });
      sendError(state, peer, "QUEUE_ERROR", "Too many connections");
      closePeer(state, peer, "too many connections of one identity", "limited");
      return false;
    }
    leaveAccount(peer);
    peer.account = account;
    if (account !== null) account.connections++;
  }
  peer.identity = identity;
  // What was found to be allowed was so for the identity before.
  peer.lastFunction = null;
  if (identity === STRANGER) {
    state.strangers.set(peer, state.nowMs + state.limits.authenticateMs);
  } else {
    state.strangers.delete(peer);
  }
  peer.streamLimits.maxBodyBytes =
    identity === STRANGER ? state.limits.strangerPacketBytes : state.limits.maxPacketBytes;
  return true;
}

/** The connection does not count for its identity any more. */
export function leaveAccount(peer: Peer): void {
  if (peer.account !== null) peer.account.connections--;
  peer.account = null;
}

/** Whether what the connection has under way is allowed to another identity. */
function keepsWithin(state: ServerState, peer: Peer, identity: Identity): boolean {
  for (const fn of peer.abilities?.places.keys() ?? []) if (!mayWork(state, identity, fn.name)) return false;
  for (let one = peer.submissions; one !== null; one = one.nextOfPeer) {
    if (!maySubmit(state, identity, one.job.fn.name)) return false;
  }
  return true;
}

/**
 * Gives connections other identities, and closes those that have none any more, or that have under way what they may no
 * longer do.
 * @param next The identity that takes the place of one, which may be the same; null when there is none.
 */
export function reidentify(
  state: ServerState,
  next: (identity: Identity) => Identity | null,
  reason: string,
): void {
  for (const peer of state.peers) {
    if (peer.closing !== null) continue;
    const identity = next(peer.identity);
    if (identity === peer.identity) continue;
    if (identity !== null && keepsWithin(state, peer, identity)) {
      become(state, peer, identity);
      continue;
    }
    state.note({ code: "IDENTITY_ENDED", peer, detail: reason });
    closePeer(state, peer, reason, identity === null ? "unauthenticated" : "forbidden");
  }
}

/** Strangers who took too long are closed. */
export function expireStrangers(state: ServerState): void {
  for (const [peer, endsMs] of state.strangers) {
    if (endsMs > state.nowMs) break;
    state.strangers.delete(peer);
    if (peer.closing !== null) continue;
    noteUnauthenticated(state, peer, "no authentication in time");
    closePeer(state, peer, "not authenticated in time", "unauthenticated");
  }
}
