import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { until } from "../peers/until.ts";

/** A folder that is the workload of a `hold` job: who started it, and the gate it waits for. */
export class Gate {
  readonly folder = mkdtempSync(join(tmpdir(), "drover-gate-"));

  constructor() {
    onTestFinished(() => {
      this.open();
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  /** The workers that started the job, in order. */
  starts(): string[] {
    const file = join(this.folder, "started");
    // A line counts once it is whole.
    return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
  }

  /** Waits until the job was started so many times, and gives who started it last. */
  async started(times = 1): Promise<string> {
    await until(`the job was started ${times} times`, 30_000, () => this.starts().length >= times);
    return this.starts().at(-1)!;
  }

  /** Lets the job end. */
  open(): void {
    writeFileSync(join(this.folder, "gate"), "");
  }
}
