import { readdirSync, readFileSync } from "node:fs";

/** What builds of a play run: they sleep, for a time that is the play's own, so that their processes can be told by it. */
export class Sleepers {
  readonly #seconds: string;

  constructor(seed: number) {
    this.#seconds = `0.${String(100_000 + (seed % 800_000))}`;
  }

  /**
   * A project's configuration with so many jobs, each of which sleeps a while longer than the one before.
   * @param stepSeconds How much longer. @param then A command of the shell that ends a job.
   */
  config(project: string, jobs: number, stepSeconds: number, then = "true"): string {
    const names = Array.from({ length: jobs }, (_, at) => `${project}-${at}`);
    const definitions = names.map(
      (name, at) =>
        `- job:\n    name: ${name}\n    command: [sh, -c, "sleep ${at * stepSeconds} && sleep ${this.#seconds} && ${then}"]\n`,
    );
    const list = names.map((name) => `        - ${name}\n`).join("");
    return `${definitions.join("")}- project:\n    queue: together\n    gate:\n      jobs:\n${list}`;
  }

  /** Ids of their processes. */
  processes(): string[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(`sleep ${this.#seconds}`);
        } catch {
          return false;
        }
      });
  }
}
