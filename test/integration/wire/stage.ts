import { type ServerKind, startServer, type TestServer } from "../../peers/servers.ts";
import type { Peer } from "./peer.ts";
import { openControl, type Patience, type Scenario, Script } from "./script.ts";

/** What one server made of a scenario. */
export type Played = { lines: string[]; usedPatience: boolean; isEmpty: boolean };

/** Plays scenarios on servers of one kind: most on a common one, some on one of their own. */
export class Stage {
  readonly kind: ServerKind;
  #common: { server: TestServer; control: Peer } | undefined;
  #played = 0;

  constructor(kind: ServerKind) {
    this.kind = kind;
  }

  async play(scenario: Scenario, patience: Patience): Promise<Played> {
    this.#played += 1;
    const own = scenario.fresh;
    const { server, control } = own ? await this.#open(scenario.args) : await this.#openCommon();
    const script = new Script(server, control, this.#played, patience, own);
    try {
      await scenario.play(script);
    } finally {
      await script.end();
      if (own) {
        control.close();
        await server.stop();
      }
    }
    const { transcript, usedPatience } = script;
    return { lines: transcript.lines(), usedPatience, isEmpty: transcript.isEmpty };
  }

  async close(): Promise<void> {
    this.#common?.control.close();
    await this.#common?.server.stop();
    this.#common = undefined;
  }

  async #openCommon(): Promise<{ server: TestServer; control: Peer }> {
    // A scenario may have ended the server, which its transcript told.
    if (this.#common?.control.isClosed) await this.close();
    this.#common ??= await this.#open([]);
    return this.#common;
  }

  async #open(args: readonly string[]): Promise<{ server: TestServer; control: Peer }> {
    const server = await startServer(this.kind, ...args);
    return { server, control: await openControl(server) };
  }
}
