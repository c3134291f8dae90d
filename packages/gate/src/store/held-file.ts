import { DatabaseSync } from "node:sqlite";

/** A file that one process holds for as long as it lives, however it ends, and that nobody else can hold meanwhile. */
export class HeldFile {
  readonly #held: DatabaseSync;

  private constructor(held: DatabaseSync) {
    this.#held = held;
  }

  /** @returns `undefined` when somebody holds it. @throws what SQLite throws when it cannot be made */
  static take(path: string): HeldFile | undefined {
    let held: DatabaseSync | undefined;
    try {
      held = new DatabaseSync(path, { timeout: 0 });
      held.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
      return new HeldFile(held);
    } catch (error) {
      held?.close();
      if (/locked|busy/i.test((error as Error).message)) return undefined;
      throw error;
    }
  }

  release(): void {
    this.#held.close();
  }
}
