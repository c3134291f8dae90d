import { ForgeError } from "./errors.ts";

/** One at a time for each project, in the order of asking. */
export class ProjectLocks {
  readonly #tails = new Map<string, { tail: Promise<unknown>; waiting: number }>();

  /**
   * @param maxWaiting How many may be before it.
   * @throws ForgeError `FORGE_LIMIT` when there are more
   */
  async run<T>(project: string, act: () => Promise<T>, maxWaiting = Number.POSITIVE_INFINITY): Promise<T> {
    const before = this.#tails.get(project) ?? { tail: Promise.resolve(), waiting: 0 };
    if (before.waiting > maxWaiting)
      throw new ForgeError(
        "FORGE_LIMIT",
        `${before.waiting} others wait for ${project}, limit ${maxWaiting}: later`,
      );
    const mine = before.tail.then(act);
    this.#tails.set(project, before);
    before.waiting++;
    before.tail = mine.catch(() => {});
    try {
      return await mine;
    } finally {
      if (--before.waiting === 0) this.#tails.delete(project);
    }
  }

  /** When everything that was asked for has ended. */
  async idle(): Promise<void> {
    await Promise.all([...this.#tails.values()].map(({ tail }) => tail));
  }
}
