import { connectionTerms, type RoutedServer, ranking } from "@drover/client";
import { bytesOf } from "@drover/protocol";
import { memoryPair } from "@drover/transport";
import { Fleet } from "../core/fleet.ts";
import { ALL_RIGHTS, Identity } from "../core/identity.ts";
import type { JobServer } from "../job-server.ts";
import { MemberLink } from "./link.ts";

export interface FleetSettings {
  /** Name of this server. Keys are spread by names, so it has to stay, and to be the same in every list. */
  readonly name: string;
  /** The servers of the fleet, this one included or not. */
  readonly peers: readonly { readonly name: string; readonly address: string }[];
  /** Shown to the others. Default: none. */
  readonly token?: string | undefined;
  /** See `FleetOptions`. */
  readonly returnHoldMs?: number;
  readonly connectGraceMs?: number;
}

const SELF_IDENTITY = new Identity("this server", { ...ALL_RIGHTS, peer: true });
const HEARTBEAT_MS = 5_000;

/** The links of a server with the others of its fleet. */
export class FleetPeers {
  readonly fleet: Fleet;
  readonly #server: JobServer;
  readonly #links = new Map<string, MemberLink>();

  private constructor(server: JobServer, settings: FleetSettings) {
    this.#server = server;
    const { name, peers, returnHoldMs, connectGraceMs } = settings;
    const rankings = new Map<string, ReturnType<typeof ranking>>();
    this.fleet = server.inTurn((state) =>
      Fleet.attach(state, {
        self: name,
        members: peers.map((peer) => peer.name),
        rank: (members, fn, unique) => {
          const list = members.join(" ");
          let rank = rankings.get(list);
          if (rank === undefined) {
            rank = ranking(members.map((member): RoutedServer => ({ name: member, address: "" })));
            rankings.set(list, rank);
          }
          return rank(bytesOf(fn), typeof unique === "string" ? bytesOf(unique) : unique).map(
            (one) => one.name,
          );
        },
        links: {
          submit: (member, submission) => this.#link(member)?.submit(submission),
          ask: (member, id, question) => this.#link(member)?.ask(id, question),
          leave: (member, id) => this.#link(member)?.leave(id),
        },
        ...(returnHoldMs === undefined ? {} : { returnHoldMs }),
        ...(connectGraceMs === undefined ? {} : { connectGraceMs }),
      }),
    );
    for (const { name: member, address } of peers) {
      if (member === name) continue;
      const one = this.fleet.members.find((known) => known.name === member)!;
      one.address = address;
      one.problem = "not connected yet";
      const terms = connectionTerms({ servers: address, token: settings.token, heartbeatMs: HEARTBEAT_MS });
      this.#links.set(member, new MemberLink(member, address, terms, name, this.#ends));
    }
    // To itself, for what comes back because another was lost.
    const dial = async () => {
      const [near, far] = memoryPair({}, [name, name]);
      server.accept(far, SELF_IDENTITY);
      return near;
    };
    const own = connectionTerms({ servers: "localhost", dial, heartbeatMs: 0 });
    this.#links.set(name, new MemberLink(name, name, own, name, this.#ends));
  }

  /** Makes a server a member of a fleet, and connects it with the others. */
  static join(server: JobServer, settings: FleetSettings): FleetPeers {
    return new FleetPeers(server, settings);
  }

  get #ends() {
    const peers = this;
    return {
      get fleet() {
        return peers.fleet;
      },
      turn: () => peers.#server.inTurn(() => {}),
      shown: (name: string, problem: string) => {
        const member = peers.fleet.members.find((one) => one.name === name);
        if (member !== undefined && !member.isSelf) member.problem = problem;
      },
    };
  }

  close(): void {
    for (const link of this.#links.values()) link.close();
  }

  #link(member: string): MemberLink | undefined {
    return this.#links.get(member);
  }
}
