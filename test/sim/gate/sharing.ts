interface Execution {
  readonly id: number;
  readonly key: string;
  /** None: it is held, until it is clear that nobody comes for it. */
  readonly builds: Set<number>;
}

/**
 * Which execution each build has, by its content, as the gate has it: one that succeeded is reused, one that runs is joined,
 * and one that nobody wants any more goes on until it is clear that nobody comes for it.
 */
export class SimulatedSharing {
  /** What was really run. */
  executions = 0;
  reused = 0;
  joined = 0;
  readonly #succeeded = new Set<string>();
  readonly #byKey = new Map<string, Execution>();
  readonly #byId = new Map<number, Execution>();
  readonly #byBuild = new Map<number, Execution>();

  /** @returns `begun` with the id of a new execution. */
  begin(build: number, key: string): { readonly how: "reused" | "joined" | "begun"; readonly id: number } {
    if (this.#succeeded.has(key)) {
      this.reused++;
      return { how: "reused", id: 0 };
    }
    let execution = this.#byKey.get(key);
    const how = execution === undefined ? "begun" : "joined";
    if (execution === undefined) {
      execution = { id: ++this.executions, key, builds: new Set() };
      this.#byKey.set(key, execution);
      this.#byId.set(execution.id, execution);
    } else this.joined++;
    execution.builds.add(build);
    this.#byBuild.set(build, execution);
    return { how, id: execution.id };
  }

  /** The builds whose execution that of a build is, itself among them. */
  buildsWith(build: number): readonly number[] {
    return [...(this.#byBuild.get(build)?.builds ?? [])];
  }

  idOf(build: number): number {
    return this.#byBuild.get(build)!.id;
  }

  /** An execution ended. @returns All of its builds; none when it had ended already. */
  end(id: number, hasSucceeded: boolean): readonly number[] {
    const execution = this.#byId.get(id);
    if (execution === undefined) return [];
    this.#forget(execution);
    if (hasSucceeded) this.#succeeded.add(execution.key);
    return [...execution.builds];
  }

  /** A build is not wanted any more. */
  leave(build: number): void {
    this.#byBuild.get(build)?.builds.delete(build);
    this.#byBuild.delete(build);
  }

  /** Nobody has come for what was left. @returns The executions that were ended so. */
  letGo(): readonly number[] {
    const left = [...this.#byKey.values()].filter(({ builds }) => builds.size === 0);
    for (const execution of left) this.#forget(execution);
    return left.map(({ id }) => id);
  }

  #forget({ id, key, builds }: Execution): void {
    this.#byKey.delete(key);
    this.#byId.delete(id);
    for (const build of builds) this.#byBuild.delete(build);
  }
}
