import type { CoreLayout, GateEffect, GateEvent } from "../../../packages/gate/src/core/index.ts";
import { ensure } from "../violation.ts";

const FAILURES: ReadonlySet<string> = new Set(["failure", "merge-conflict", "config-error"]);
const FINAL: ReadonlySet<string> = new Set([...FAILURES, "success", "no-jobs"]);

/** Says whether a pipeline that fails too often in a row reports elsewhere, from the next report on, until it is configured. */
export class DisabledJudge {
  readonly #failures = new Map<string, number>();
  readonly #disabled = new Set<string>();

  step(events: readonly GateEvent[], effects: readonly GateEffect[], { pipelines }: CoreLayout): void {
    if (events.some(({ kind }) => kind === "configured")) {
      this.#failures.clear();
      this.#disabled.clear();
    }
    let last = "";
    for (const effect of effects) {
      if (effect.kind !== "report" || !FINAL.has(effect.what)) continue;
      const { pipeline, item, what, isDisabled = false } = effect;
      // All members of a cycle are told the same.
      const key = `${item} ${what}`;
      if (key === last) continue;
      last = key;
      const isSilent = this.#disabled.has(pipeline);
      ensure(
        isDisabled === isSilent,
        "disabled",
        () => `item ${item} of ${pipeline}: disabled is ${isDisabled}`,
      );
      if (what === "success") this.#failures.set(pipeline, 0);
      if (!FAILURES.has(what)) continue;
      const count = (this.#failures.get(pipeline) ?? 0) + 1;
      this.#failures.set(pipeline, count);
      const { disableAfter = null } = pipelines.find(({ name }) => name === pipeline) ?? {};
      if (disableAfter !== null && count >= disableAfter) this.#disabled.add(pipeline);
    }
  }
}
