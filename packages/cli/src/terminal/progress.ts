import type { WriteStream } from "node:tty";

const WIDTH = 30;
const EVERY_MS = 100;

/** How far long work is: a bar that is drawn over itself on a terminal, and nothing elsewhere. */
export class ProgressBar {
  readonly #stream: Pick<WriteStream, "write" | "isTTY">;
  readonly #what: string;
  #shownMs = Number.NEGATIVE_INFINITY;
  #stands = false;

  constructor(stream: Pick<WriteStream, "write" | "isTTY">, what: string) {
    this.#stream = stream;
    this.#what = what;
  }

  show(done: number, of: number): void {
    if (!this.#stream.isTTY) return;
    const nowMs = performance.now();
    if (done < of && nowMs - this.#shownMs < EVERY_MS) return;
    this.#shownMs = nowMs;
    this.#stands = true;
    const part = of === 0 ? 1 : done / of;
    const full = Math.round(part * WIDTH);
    const bar = `${"#".repeat(full)}${"-".repeat(WIDTH - full)}`;
    this.#stream.write(`\r${this.#what} [${bar}] ${Math.floor(part * 100)} %  ${done} of ${of}`);
  }

  /** Leaves the last bar where it stands. */
  end(): void {
    if (this.#stands) this.#stream.write("\n");
    this.#stands = false;
  }
}
