import type { BuildId, GateEffect } from "../core/index.ts";
import type { LocalSlots } from "./local-slots.ts";

/** What a build would share, as far as it may. */
export interface Shareable {
  readonly key: string;
  readonly maxAgeMs: number;
}

export interface BuildSlotsParts {
  readonly slots: LocalSlots;
  readonly granted: (build: BuildId, granted: boolean) => void;
  /** What a build that waits could share; `undefined` when nothing. Must not throw. */
  readonly contentOf: (
    effect: Extract<GateEffect, { kind: "requestNodes" }>,
  ) => Promise<Shareable | undefined>;
  /** Whether a result is there, or under way. */
  readonly isThere: (content: Shareable) => boolean;
}

/**
 * Gives builds their slots. One whose content is run already, or has been, begins without, however full the machine is; while
 * it waits for slots, it is looked out for.
 */
export class BuildSlots {
  readonly #parts: BuildSlotsParts;
  /** Builds that wait, by content. */
  readonly #waiting = new Map<string, Set<BuildId>>();
  readonly #contents = new Map<BuildId, string>();
  /** Builds that found that they have to run after all. */
  readonly #demands = new Map<BuildId, () => void>();
  /** Builds that nobody wants, whose executions go on. */
  readonly #held = new Set<BuildId>();

  constructor(parts: BuildSlotsParts) {
    this.#parts = parts;
  }

  /** @param mayShare `false` of a build that has begun already, and goes on. */
  request(effect: Extract<GateEffect, { kind: "requestNodes" }>, mayShare: boolean): void {
    const { build, labels, rank } = effect;
    const { slots, granted } = this.#parts;
    if (!slots.request(build, labels.length, rank)) granted(build, false);
    this.#grant();
    if (mayShare && slots.isWaiting(build)) void this.#look(effect);
  }

  async #look(effect: Extract<GateEffect, { kind: "requestNodes" }>): Promise<void> {
    const { build } = effect;
    const content = await this.#parts.contentOf(effect);
    if (content === undefined || !this.#parts.slots.isWaiting(build)) return;
    if (this.#parts.isThere(content)) {
      this.#excuse(build);
      return;
    }
    this.#contents.set(build, content.key);
    const alike = this.#waiting.get(content.key) ?? new Set();
    this.#waiting.set(content.key, alike.add(build));
  }

  #excuse(build: BuildId): void {
    if (this.#parts.slots.excuse(build)) this.#parts.granted(build, true);
  }

  /** Something of this content is run now: who waits for slots to do the same needs none. */
  begun(key: string): void {
    const alike = [...(this.#waiting.get(key) ?? [])];
    for (const build of alike) {
      this.#forget(build);
      this.#excuse(build);
    }
  }

  #forget(build: BuildId): void {
    const key = this.#contents.get(build);
    if (key === undefined) return;
    this.#contents.delete(build);
    const alike = this.#waiting.get(key)!;
    alike.delete(build);
    if (alike.size === 0) this.#waiting.delete(key);
  }

  /**
   * Resolves when a build that begins has its slots, or needs none: what it was to share may be gone by now. Resolves, too, when
   * it is released or all is over.
   */
  async ready(build: BuildId, content: Shareable | undefined): Promise<void> {
    const { slots, isThere } = this.#parts;
    if (!slots.isExcused(build) || (content !== undefined && isThere(content))) return;
    slots.demand(build);
    const granted = new Promise<void>((resolve) => this.#demands.set(build, resolve));
    this.#grant();
    await granted;
  }

  /** Its execution may be that of others, too. */
  share(build: BuildId, unique: string): void {
    this.#parts.slots.share(build, unique);
    this.#grant();
  }

  /** Its slots are not free yet when it is released: what runs on them goes on. */
  hold(build: BuildId): void {
    this.#held.add(build);
  }

  letGo(build: BuildId): void {
    if (this.#held.delete(build)) this.release(build);
  }

  release(build: BuildId): void {
    if (this.#held.has(build)) return;
    this.#parts.slots.release(build);
    this.#forget(build);
    this.#answer(build);
    this.#grant();
  }

  close(): void {
    for (const build of [...this.#demands.keys()]) this.#answer(build);
  }

  #answer(build: BuildId): boolean {
    const resolve = this.#demands.get(build);
    this.#demands.delete(build);
    resolve?.();
    return resolve !== undefined;
  }

  #grant(): void {
    for (const build of this.#parts.slots.grant()) {
      this.#forget(build);
      if (!this.#answer(build)) this.#parts.granted(build, true);
    }
  }
}
