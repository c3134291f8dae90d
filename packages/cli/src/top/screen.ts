import { emitKeypressEvents } from "node:readline";

const ALTERNATE = "\x1b[?1049h\x1b[?25l";
const NORMAL = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";

export interface ScreenHandlers {
  /** Name of a key: `q`, `left`, `up`, … */
  key(name: string): void;
  resized(): void;
}

/** A terminal taken over and given back as it was, however the program ends. */
export class Screen {
  readonly #handlers: ScreenHandlers;
  readonly #restore = () => this.close();
  readonly #resized = () => this.#handlers.resized();
  #open = false;

  constructor(handlers: ScreenHandlers) {
    this.#handlers = handlers;
  }

  get width(): number {
    return process.stdout.columns || 80;
  }

  get height(): number {
    return process.stdout.rows || 24;
  }

  open(): void {
    this.#open = true;
    process.stdout.write(ALTERNATE);
    process.on("exit", this.#restore);
    process.stdout.on("resize", this.#resized);
    for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const)
      process.once(signal, () => process.exit(0));
    if (!process.stdin.isTTY) return;
    emitKeypressEvents(process.stdin);
    process.stdin.setRawMode(true);
    process.stdin.resume();
    process.stdin.on("keypress", (_, key: { name?: string; ctrl?: boolean; sequence?: string }) => {
      if (key.ctrl === true && key.name === "c") this.#handlers.key("q");
      else if (key.ctrl === true && key.name === "z") this.#suspend();
      else this.#handlers.key(key.name ?? key.sequence ?? "");
    });
  }

  /** Draws in one write, over what is there, so that nothing flickers. */
  draw(lines: readonly string[]): void {
    if (!this.#open) return;
    process.stdout.write(`${HOME}${lines.map((line) => line + CLEAR_LINE).join("\r\n")}`);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    process.removeListener("exit", this.#restore);
    process.stdout.removeListener("resize", this.#resized);
    if (process.stdin.isTTY) {
      process.stdin.setRawMode(false);
      process.stdin.pause();
    }
    process.stdout.write(NORMAL);
  }

  /** As the shell's Ctrl-Z: gives the terminal back until `fg`. */
  #suspend(): void {
    process.stdin.setRawMode(false);
    process.stdout.write(NORMAL);
    process.once("SIGCONT", () => {
      process.stdin.setRawMode(true);
      process.stdout.write(ALTERNATE);
      this.#handlers.resized();
    });
    process.kill(process.pid, "SIGSTOP");
  }
}
