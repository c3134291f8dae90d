import type { Fleet } from "./fleet.ts";

/** A server of the fleet as this one sees it. */
export interface MemberView {
  readonly name: string;
  /** Empty for the server itself. */
  readonly address: string;
  /** `self`, `up`, `returning`, `down` or `unknown`. */
  readonly state: string;
  /** For how long, in milliseconds. */
  readonly forMs: number;
  /** Jobs that are forwarded there now. */
  readonly jobs: number;
  /** Submissions that went there, since the start. */
  readonly forwarded: number;
  /** Part of the keys that it owns, by a sample. */
  readonly share: number;
  /** Why there is no connection, or empty. */
  readonly problem: string;
}

/** Where the submissions of a key go. */
export interface KeyView {
  /** The members, the owner first. */
  readonly ranked: readonly string[];
  /** The first of them that takes keys now, as this server sees it. */
  readonly owner: string;
}

/** @param unique As on the wire, but not `-`. */
export function viewKey(fleet: Fleet, fn: string, unique: string): KeyView {
  const ranked = fleet.rank(fn, unique);
  const owner = ranked.find((member) => member.takesKeys) ?? fleet.self;
  return { ranked: ranked.map(({ name }) => name), owner: owner.name };
}

const SAMPLE = 500;

export function viewMembers(fleet: Fleet, nowMs: number): MemberView[] {
  const owned = new Map<string, number>();
  for (let i = 0; i < SAMPLE; i++) {
    const { name } = fleet.rank("sample", String(i))[0]!;
    owned.set(name, (owned.get(name) ?? 0) + 1);
  }
  return fleet.members.map((member) => ({
    name: member.name,
    address: member.address,
    state: member.isSelf ? "self" : member.state,
    forMs: Math.round(nowMs - member.sinceMs),
    jobs: member.relay.runCount,
    forwarded: member.forwarded,
    share: (owned.get(member.name) ?? 0) / SAMPLE,
    problem: member.problem,
  }));
}
