import { execFile } from "node:child_process";

/** How long a look at all folders may take. */
const LOOK_TIMEOUT_MS = 120_000;
/** Of the time, at most one in so many parts is spent on looking. */
const SHARE = 20;

interface Watched {
  readonly limitBytes: number;
  readonly onFull: () => void;
}

/** Looks again and again at how much the folders of running builds hold, all of them in one look. */
export class DiskWatch {
  readonly #intervalMs: number;
  readonly #folders = new Map<string, Watched>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLooking = false;

  /** @param intervalMs Between two looks, at least. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Calls `onFull` once when a folder holds more than it may. */
  add(folder: string, limitBytes: number, onFull: () => void): void {
    this.#folders.set(folder, { limitBytes, onFull });
    this.#lookIn(this.#intervalMs);
  }

  remove(folder: string): void {
    this.#folders.delete(folder);
    if (this.#folders.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #lookIn(delayMs: number): void {
    if (this.#timer !== undefined || this.#isLooking || this.#folders.size === 0) return;
    this.#timer = setTimeout(() => void this.#look(), delayMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    this.#isLooking = true;
    const begunMs = performance.now();
    const sizes = await bytesIn([...this.#folders.keys()]);
    for (const [folder, bytes] of sizes) {
      const watched = this.#folders.get(folder);
      if (watched === undefined || bytes <= watched.limitBytes) continue;
      this.#folders.delete(folder);
      watched.onFull();
    }
    this.#isLooking = false;
    this.#lookIn(Math.max(this.#intervalMs, (performance.now() - begunMs) * SHARE));
  }
}

/** What folders take on the disk. One that cannot be looked at is not in the answer. */
export function bytesIn(folders: readonly string[]): Promise<Map<string, number>> {
  return new Promise((resolve) => {
    // Files may go while it looks, which it complains about and which does not matter.
    execFile(
      "du",
      ["-s", "-x", "-B1", "--", ...folders],
      { timeout: LOOK_TIMEOUT_MS, maxBuffer: 1 << 26 },
      (_error, stdout) => {
        const sizes = new Map<string, number>();
        for (const line of stdout.split("\n")) {
          const [bytes, folder] = line.split("\t");
          if (folder !== undefined) sizes.set(folder, Number(bytes));
        }
        resolve(sizes);
      },
    );
  });
}
