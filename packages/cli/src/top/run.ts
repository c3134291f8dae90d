import { setTimeout as after } from "node:timers/promises";
import { printable } from "@drover/protocol";
import { AdminConnection } from "../admin/admin-connection.ts";
import { functionRows, serverCounts } from "../admin/listings.ts";
import type { Target } from "../server-address.ts";
import type { Sample } from "./rates.ts";
import { Screen } from "./screen.ts";
import { nextSortKey, plainLines, type SortKey, screenLines, type ViewState, visibleRows } from "./view.ts";

export interface TopOptions {
  readonly server: Target;
  readonly intervalMs: number;
  readonly once: boolean;
}

/** Shows the server until a key, a signal or, with `once`, the first table ends it. */
export async function top(options: TopOptions): Promise<void> {
  const watch = new Watch(options.server);
  try {
    // A server that is not there is told at once, before anything is drawn.
    await watch.look();
    if (options.once || !process.stdout.isTTY) await printTables(watch, options);
    else await new LiveView(watch, options).run();
  } finally {
    watch.close();
  }
}

/** Looks at a server again and again over one connection. */
class Watch {
  readonly server: string;
  readonly #target: Target;
  before: Sample | undefined;
  now: Sample | undefined;
  #admin: AdminConnection | undefined;

  constructor(target: Target) {
    this.#target = target;
    this.server = target.address;
  }

  /** @throws When the server does not answer; the next look connects anew. */
  async look(): Promise<void> {
    this.#admin ??= await AdminConnection.dial(this.#target);
    const admin = this.#admin;
    try {
      const version = this.now?.version ?? printable(await admin.ask("version"));
      const rows = await functionRows(admin);
      const counts = await serverCounts(admin);
      this.before = this.now;
      this.now = { atMs: performance.now(), version, rows, counts };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#admin?.close();
    this.#admin = undefined;
  }

  state(view: Pick<ViewState, "sortBy" | "reverse" | "scroll" | "paused" | "problem">): ViewState {
    return { server: this.server, before: this.before, now: this.now!, ...view };
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
