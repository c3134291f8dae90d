import { bytesOf, NOBODY, type Session } from "@drover/protocol";
import type { Channel } from "./channel.ts";

export const PING = bytesOf("drover");

/**
 * Finds servers that vanished without a word: when nothing was heard for a period it asks for an echo, and when that
 * does not come within another period the connection is cut.
 */
export class Heartbeat {
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #asked = false;

  /**
   * @param periodMs 0 for no heartbeat.
   * @param askEcho Sends `ECHO_REQ`; the answer counts by being heard.
   */
  constructor(channel: Channel, periodMs: number, askEcho: () => void, stale: () => void) {
    if (periodMs === 0) return;
    this.#timer = setInterval(() => {
      if (channel.heard) {
        channel.heard = false;
        this.#asked = false;
      } else if (this.#asked) {
        this.stop();
        stale();
      } else {
        this.#asked = true;
        askEcho();
      }
    }, periodMs);
    // The connection keeps the process alive, where it should be. Timers of browsers are numbers.
    this.#timer.unref?.();
  }

  /** The heartbeat of a session with a server. */
  static of(channel: Channel, session: Session, server: string, periodMs: number): Heartbeat {
    return new Heartbeat(
      channel,
      periodMs,
      () => session.echo(PING, NOBODY),
      () => channel.destroy(new Error(`${server} was silent for ${2 * periodMs} ms`)),
    );
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
