import type { Reporter, TestModule } from "vitest/node";

/** What a run came to. A failure that belongs to no test (an import that throws, say) counts as one failed. */
export type Tally = { passed: number; failed: number; skipped: number; reasons: Map<string, number> };

/** The parts of vitest's reported module that the tally reads. */
export type ReportedModule = Pick<TestModule, "children" | "errors">;

export function tally(modules: readonly ReportedModule[], unhandledErrors: number): Tally {
  const sum: Tally = { passed: 0, failed: unhandledErrors, skipped: 0, reasons: new Map() };
  for (const module of modules) {
    sum.failed += module.errors().length;
    for (const suite of module.children.allSuites()) sum.failed += suite.errors().length;
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === "passed") sum.passed += 1;
      else if (result.state === "failed") sum.failed += 1;
      // A pending test was cut off by an interrupted run, which fails by itself.
      else sum.skipped += 1;
      const reason = result.state === "skipped" ? result.note : undefined;
      if (reason) sum.reasons.set(reason, (sum.reasons.get(reason) ?? 0) + 1);
    }
  }
  return sum;
}

export function closingLines(sum: Tally): string {
  const reasons = [...sum.reasons.keys()].sort().map((reason) => `${reason}\n`);
  return `${reasons.join("")}${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped\n`;
}

/** Says why tests were skipped, then closes with one plain line; a run in which no test ran fails. */
export default class ClosingLine implements Reporter {
  #sum: Tally = tally([], 0);
  #watching = false;

  onInit(vitest: { config: { watch: boolean } }): void {
    this.#watching = vitest.config.watch;
    if (this.#watching) return;
    // Other reporters and the teardown still print after the run's end, and the line comes last.
    process.on("exit", () => {
      if (this.#sum.passed + this.#sum.failed === 0) process.exitCode ||= 1;
      process.stdout.write(closingLines(this.#sum));
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.#sum = tally(modules, unhandledErrors.length);
    if (this.#watching) process.stdout.write(closingLines(this.#sum));
  }
}
