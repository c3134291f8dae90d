import type { TestServer } from "../../peers/servers.ts";
import { until } from "../../peers/until.ts";
import type { TypeName } from "./packet.ts";
import { Peer } from "./peer.ts";
import { Transcript } from "./transcript.ts";

/** A conversation that is held with two servers, whose answers are then compared. */
export type Scenario = {
  /** Stable, since docs/PROTOCOL.md names it. */
  id: string;
  /** A server of its own: for what lists or changes the whole server, or may end it. */
  fresh: boolean;
  /** Arguments of the fresh server, equal for gearmand and drover. */
  args: readonly string[];
  play: (script: Script) => Promise<void>;
};

type ScenarioOptions = { fresh?: boolean; args?: readonly string[] };

/** Gives the function by which a group's file adds scenarios, and the group. */
export function scenarioGroup(prefix: string) {
  const scenarios: Scenario[] = [];
  const scenario = (name: string, play: Scenario["play"], options: ScenarioOptions = {}): void => {
    const args = options.args ?? [];
    scenarios.push({ id: `${prefix}/${name}`, fresh: options.fresh ?? args.length > 0, args, play });
  };
  return { scenario, scenarios };
}

export type Patience = {
  /** How long a peer that may be closed is watched before it is asked for more. */
  graceMs: number;
  /** How long gearmand may be silent before a stall is believed. */
  stallMs: number;
};

/** No sound server lets a request wait so long, so it never decides between right and wrong. */
const deadlineMs = 10_000;

/** Opens a connection outside of all scenarios, by which the harness sees that others are gone. */
export async function openControl(server: TestServer): Promise<Peer> {
  const control = await Peer.connect("control", server.port, server.host);
  // The connections by which the server's start was noticed end first.
  await until("no other connection is left", deadlineMs, async () => (await countConnections(control)) === 1);
  return control;
}

async function countConnections(control: Peer): Promise<number> {
  control.raw("workers\n");
  await control.fence(deadlineMs);
  const { received } = control.takeReceived();
  return received.filter((one) => one.kind === "text" && one.text !== ".\n").length;
}

/** What a scenario has in hand: peers, names of its own, and the moments at which answers are collected. */
export class Script {
  readonly transcript: Transcript;
  /** Whether the outcome rested on waiting for something that may not come. */
  usedPatience = false;
  readonly #server: TestServer;
  readonly #control: Peer;
  readonly #number: number;
  readonly #patience: Patience;
  readonly #peers: Peer[] = [];
  #speaker: Peer | undefined;

  constructor(server: TestServer, control: Peer, number: number, patience: Patience, ownsServer: boolean) {
    this.#server = server;
    this.#control = control;
    this.#number = number;
    this.#patience = patience;
    this.transcript = new Transcript(ownsServer ? undefined : this.name(""));
  }

  /** A name for a function or a unique that no other scenario on this server uses; its beginning tells it. */
  name(base: string): string {
    return `s${this.#number}.${base}`;
  }

  async open<const Names extends readonly string[]>(...names: Names): Promise<{ [At in keyof Names]: Peer }> {
    const opened: Peer[] = [];
    const { port, host } = this.#server;
    for (const name of names) opened.push(await Peer.connect(name, port, host, (peer) => this.#note(peer)));
    this.#peers.push(...opened);
    return opened as { [At in keyof Names]: Peer };
  }

  /** Opens a connection that can do these functions. */
  async worker(name: string, ...functions: string[]): Promise<Peer> {
    const [peer] = await this.open(name);
    await this.#hush(peer);
    for (const one of functions) peer.send("CAN_DO", one);
    await this.settle();
    return peer;
  }

  /** Sends a grab and collects its answer. */
  async grab(peer: Peer, type: TypeName = "GRAB_JOB"): Promise<string> {
    await this.#hush(peer);
    peer.send(type);
    await this.settle();
    return peer.handle;
  }

  /** Submits and collects the answer. */
  async submit(
    peer: Peer,
    type: TypeName,
    name: string,
    unique: string,
    ...rest: (string | Buffer)[]
  ): Promise<string> {
    await this.#hush(peer);
    peer.send(type, name, unique, ...rest);
    await this.settle();
    return peer.handle;
  }

  /**
   * Waits until the server has done all that was asked of it and all of that has arrived, and notes it. The first
   * round of fences shows that every request was done, the second brings what these requests caused elsewhere.
   * @param delicate Peers that the server may close or leave without an answer.
   */
  async settle(...delicate: Peer[]): Promise<void> {
    const silent = new Set<Peer>();
    if (delicate.length > 0) {
      this.usedPatience = true;
      // A request to a peer that is being closed could make the system drop what the server said last.
      await Promise.all(delicate.map((peer) => peer.ended(this.#patience.graceMs)));
    }
    for (let round = 0; round < 2; round++) {
      await Promise.all(
        this.#peers.map(async (peer) => {
          if (peer.isClosed || silent.has(peer)) return;
          const outcome = await peer.fence(delicate.includes(peer) ? this.#stallMs : deadlineMs);
          if (outcome === "silent") silent.add(peer);
        }),
      );
    }
    this.#collect(silent, delicate);
  }

  /**
   * Waits for the first thing that the server says to a peer, or for a while in vain, and closes the peer. For
   * requests that gearmand drops with an error of which it forgets to tell: whether it closes such a connection
   * hangs on what is sent next.
   */
  async oneAnswer(peer: Peer): Promise<void> {
    this.usedPatience = true;
    const answered = await peer.sees(() => true, this.#stallMs);
    if (!answered) this.transcript.note(peer.name, "(no answer)");
    this.#collect(new Set(), []);
    await this.leave(peer);
  }

  /** Waits until one of these peers has received its packet, which a server sends in its own time. */
  async waitForAny(...wanted: [Peer, TypeName][]): Promise<void> {
    await Promise.race(
      wanted.map(([peer, type]) =>
        peer.sees((received) => received.kind === "packet" && received.type === type, deadlineMs),
      ),
    );
    await this.settle();
  }

  /** Closes a peer and waits until the server knows. */
  async leave(peer: Peer): Promise<void> {
    const before = await this.#connections();
    if (peer.isClosed) return;
    peer.close();
    await until(`the server knows that ${peer.name} left`, deadlineMs, async () => {
      return this.#control.isClosed || (await this.#connections()) < before;
    });
    await this.settle();
  }

  /** Hides a value that is a server's own. */
  mask(pattern: RegExp, shown: string): void {
    this.transcript.mask(pattern, shown);
  }

  /** Adds something found out by the scenario itself to what is compared. */
  tell(what: string): void {
    this.transcript.note("found", what);
  }

  /** Closes all that is open and waits until the server knows. */
  async end(): Promise<void> {
    for (const peer of this.#peers) peer.close();
    if (this.#control.isClosed) {
      this.transcript.note("server", "(died)");
      return;
    }
    await until("the server knows that the scenario ended", deadlineMs, async () => {
      return this.#control.isClosed || (await this.#connections()) === 1;
    });
  }

  get #stallMs(): number {
    // Only gearmand is known to be silent. Were a slow drover called silent, the clock would fail a test.
    return this.#server.kind === "gearmand" ? this.#patience.stallMs : deadlineMs;
  }

  #connections(): Promise<number> {
    return countConnections(this.#control);
  }

  /** Which of two connections a server hears first is chance, so in one step only one speaks. */
  #note(speaker: Peer): void {
    if (this.#speaker !== undefined && this.#speaker !== speaker) {
      throw new Error(`${this.#speaker.name} and ${speaker.name} speak in one step: settle between them`);
    }
    this.#speaker = speaker;
  }

  /** Settles what another than this peer said. */
  async #hush(peer: Peer): Promise<void> {
    if (this.#speaker !== undefined && this.#speaker !== peer) await this.settle();
  }

  #collect(silent: ReadonlySet<Peer>, delicate: readonly Peer[]): void {
    for (const peer of this.#peers) {
      const { received, unread, closedNow } = peer.takeReceived();
      for (const one of received) this.transcript.note(peer.name, one);
      if (unread.length > 0)
        this.transcript.note(peer.name, `(cut off) ${JSON.stringify(unread.toString("latin1"))}`);
      if (closedNow) this.transcript.note(peer.name, "(closed)");
      if (silent.has(peer)) this.transcript.note(peer.name, "(silent)");
      else if (delicate.includes(peer) && received.length === 0 && !peer.isClosed) {
        this.transcript.note(peer.name, "(no answer)");
      }
    }
    this.transcript.endStep();
    this.#speaker = undefined;
  }
}
