import { setTimeout as after } from "node:timers/promises";
import { printable } from "@drover/protocol";
import type { Sample } from "./rates.ts";
import { Screen } from "./screen.ts";
import type { Source } from "./sources.ts";
import { nextSortKey, plainLines, type SortKey, screenLines, type ViewState, visibleRows } from "./view.ts";

export interface TopOptions {
  readonly source: Source;
  readonly intervalMs: number;
  readonly once: boolean;
}

/** Shows the server until a key, a signal or, with `once`, the first table ends it. */
export async function top(options: TopOptions): Promise<void> {
  const watch = new Watch(options.source);
  try {
    // A server that is not there is told at once, before anything is drawn.
    await watch.look();
    if (options.once || !process.stdout.isTTY) await printTables(watch, options);
    else await new LiveView(watch, options).run();
  } finally {
    watch.close();
  }
}

/** Looks at a server again and again, and keeps the last two samples. */
class Watch {
  readonly #source: Source;
  before: Sample | undefined;
  now: Sample | undefined;

  constructor(source: Source) {
    this.#source = source;
  }

  /** @throws as the source */
  async look(): Promise<void> {
    const sample = await this.#source.look();
    this.before = this.now;
    this.now = sample;
  }

  close(): void {
    this.#source.close();
  }

  state(view: Pick<ViewState, "sortBy" | "reverse" | "scroll" | "paused" | "problem">): ViewState {
    return { server: this.#source.server, before: this.before, now: this.now!, ...view };
  }
}

async function printTables(watch: Watch, { intervalMs, once }: TopOptions): Promise<void> {
  const view = { sortBy: "queued" as SortKey, reverse: false, scroll: 0, paused: false };
  for (let printed = 0; ; printed++) {
    await after(intervalMs);
    await watch.look();
    const width = process.stdout.columns || 120;
    const lines = plainLines(watch.state(view), width, clock());
    process.stdout.write(`${printed === 0 ? "" : "\n"}${lines.join("\n")}\n`);
    if (once) return;
  }
}

/** The live view: draws, listens to keys, looks again. */
class LiveView {
  readonly #watch: Watch;
  readonly #intervalMs: number;
  readonly #screen: Screen;
  readonly #ended = new AbortController();
  #sortBy: SortKey = "queued";
  #reverse = false;
  #scroll = 0;
  #paused = false;
  #problem: string | undefined;

  constructor(watch: Watch, { intervalMs }: TopOptions) {
    this.#watch = watch;
    this.#intervalMs = intervalMs;
    this.#screen = new Screen({ key: (name) => this.#key(name), resized: () => this.#draw() });
  }

  async run(): Promise<void> {
    this.#screen.open();
    try {
      while (!this.#ended.signal.aborted) {
        this.#draw();
        await after(this.#intervalMs, undefined, { signal: this.#ended.signal }).catch(() => {});
        if (!this.#paused && !this.#ended.signal.aborted) await this.#look();
      }
    } finally {
      this.#screen.close();
    }
  }

  async #look(): Promise<void> {
    try {
      await this.#watch.look();
      this.#problem = undefined;
    } catch (error) {
      this.#problem = printable((error as Error).message);
    }
  }

  #key(name: string): void {
    const rows = this.#watch.now?.rows.length ?? 0;
    const page = visibleRows(this.#screen.height);
    switch (name) {
      case "q":
      case "escape":
        this.#ended.abort();
        return;
      case "p":
        this.#paused = !this.#paused;
        break;
      case "r":
        this.#reverse = !this.#reverse;
        break;
      case "left":
      case "right":
        this.#sortBy = nextSortKey(this.#sortBy, name === "left" ? -1 : 1, this.#screen.width);
        break;
      case "up":
        this.#scroll--;
        break;
      case "down":
        this.#scroll++;
        break;
      case "pageup":
        this.#scroll -= page;
        break;
      case "pagedown":
        this.#scroll += page;
        break;
      default:
        return;
    }
    this.#scroll = Math.max(0, Math.min(this.#scroll, rows - page));
    this.#draw();
  }

  #draw(): void {
    if (this.#ended.signal.aborted) return;
    const state = this.#watch.state({
      sortBy: this.#sortBy,
      reverse: this.#reverse,
      scroll: this.#scroll,
      paused: this.#paused,
      problem: this.#problem,
    });
    this.#screen.draw(screenLines(state, this.#screen.width, this.#screen.height, clock()));
  }
}

function clock(): string {
  return new Date().toTimeString().slice(0, 8);
}
