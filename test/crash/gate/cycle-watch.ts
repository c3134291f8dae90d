import { watch } from "node:fs";
import { join } from "node:path";
import { git } from "@drover/gate";

/** A change of a cycle: the file that only it adds to its project. */
export interface CycleMember {
  readonly project: string;
  readonly file: string;
}

/** Looks at the repositories themselves: of changes that need each other all have merged, or none. */
export class CycleWatch {
  readonly #gitDirOf: (project: string) => string;
  readonly #projects: readonly string[];
  readonly #cycles: (readonly CycleMember[])[] = [];

  constructor(projects: readonly string[], gitDirOf: (project: string) => string) {
    this.#projects = projects;
    this.#gitDirOf = gitDirOf;
  }

  get size(): number {
    return this.#cycles.length;
  }

  add(members: readonly CycleMember[]): void {
    this.#cycles.push(members);
  }

  /** What cycles of which a part has merged are made of. Such there may be for moments, and while there is no gate. */
  async halves(): Promise<string[]> {
    const merged = new Set<string>();
    for (const project of this.#projects) {
      const listed = await git(["ls-tree", "--name-only", "refs/heads/main"], {
        gitDir: this.#gitDirOf(project),
      });
      for (const file of listed.stdout.toString().split("\n")) merged.add(`${project} ${file}`);
    }
    return this.#cycles
      .map((members) => members.map(({ project, file }) => `${project} ${file}`))
      .filter((members) => new Set(members.map((one) => merged.has(one))).size > 1)
      .map((members) => members.join(" and "));
  }

  /** Resolves as soon as a branch is moved, or is about to be. @param signal Ends the watch, which resolves then, too. */
  async moved(signal: AbortSignal): Promise<void> {
    const watchers = this.#projects.map((project) => watch(join(this.#gitDirOf(project), "refs", "heads")));
    try {
      await new Promise<void>((resolve) => {
        for (const watcher of watchers) watcher.on("change", (_kind, name) => name === "main" && resolve());
        signal.addEventListener("abort", () => resolve());
        if (signal.aborted) resolve();
      });
    } finally {
      for (const watcher of watchers) watcher.close();
    }
  }
}
