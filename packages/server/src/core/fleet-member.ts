import type { Peer } from "./peer.ts";

/** See `Fleet`. */
export type MemberState = "unknown" | "up" | "returning" | "down";

/** A server of the fleet as another one sees it. */
export class Member {
  readonly name: string;
  readonly isSelf: boolean;
  /** The pseudo worker whose runs are the jobs that are forwarded there. */
  readonly relay: Peer;
  state: MemberState;
  /** Since when, on the forward clock. */
  sinceMs: number;
  /** Where it is and why there is no link, told by the shell for people. */
  address = "";
  problem = "";
  /** No longer on the list. */
  hasLeft = false;
  /** Who may still run jobs in its place. */
  holders = new Set<Member>();
  /** Jobs here that would be its own if it came first. */
  heldForIt = 0;
  /** Submissions that went there, since the start. */
  forwarded = 0;

  constructor(name: string, isSelf: boolean, relay: Peer, nowMs: number) {
    this.name = name;
    this.isSelf = isSelf;
    this.relay = relay;
    this.state = isSelf ? "up" : "unknown";
    this.sinceMs = nowMs;
  }

  become(state: MemberState, nowMs: number): void {
    this.state = state;
    this.sinceMs = nowMs;
  }

  /** Whether keys go to it, or would if it said its first word. */
  get takesKeys(): boolean {
    return this.state === "up" || this.state === "unknown";
  }

  /** Whether it can be asked. */
  get isReachable(): boolean {
    return this.state === "up" || this.state === "returning";
  }
}
