import { Fleet, type FleetLinks, type ForwardedSubmission } from "../src/core/fleet.ts";
import type { Question } from "../src/core/questions.ts";
import type { TestServer } from "./harness.ts";

/** A submission that was to go to another server. */
export interface Sent extends ForwardedSubmission {
  readonly member: string;
}

/** Makes a server one of a fleet whose links only write down what they are to do; the test tells what comes of it. */
export class FleetStage {
  readonly fleet: Fleet;
  readonly sent: Sent[] = [];
  #answered = 0;
  /** Ids of the submissions that were taken back. */
  readonly left: number[] = [];
  /** Questions by their ids. */
  readonly asked: { readonly member: string; readonly id: number; readonly question: Question }[] = [];
  readonly #server: TestServer;

  /** @param ranked The names in the order in which every key goes to them; the server's own is `self`. */
  constructor(server: TestServer, ranked: readonly string[]) {
    this.#server = server;
    const links: FleetLinks = {
      submit: (member, submission) => this.sent.push({ member, ...submission }),
      leave: (_member, id) => this.left.push(id),
      ask: (member, id, question) => this.asked.push({ member, id, question }),
    };
    this.fleet = Fleet.attach(server.state, {
      self: "self",
      members: ranked,
      rank: (members) => ranked.filter((name) => members.includes(name)),
      links,
      returnHoldMs: 100,
      connectGraceMs: 100,
    });
  }

  /** Tells the fleet something, as a link would. */
  tell(what: (fleet: Fleet) => void): void {
    this.#server.turn(() => what(this.fleet));
  }

  /** Members that are asked whether they have a job say that they hold nothing. @returns where submissions went, in order. */
  nothingHeld(): string[] {
    for (; this.#answered < this.sent.length; this.#answered++) {
      const { id, options } = this.sent[this.#answered]!;
      if (options.includes("joinOnly")) this.tell((fleet) => fleet.refused(id, "NOTHING_HELD", "nothing"));
    }
    return this.sent.filter(({ options }) => !options.includes("joinOnly")).map(({ member }) => member);
  }

  /** The submission that went out last. */
  get last(): Sent {
    return this.sent.at(-1)!;
  }
}
