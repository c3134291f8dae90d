import { CommandFailed } from "../errors.ts";

/** One thing wrong with the configuration, and where it stands: a flag, a variable, or file, line and column. */
export interface ConfigProblem {
  readonly where: string;
  readonly message: string;
}

/** The configuration cannot be used; every problem found is listed, not the first only. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "CONFIG_INVALID";
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ where, message }) => `${where}: ${message}`).join("\n"));
    this.problems = problems;
  }

  /** The same, where to find it was what the command was for. */
  asFailure(): CommandFailed {
    return new CommandFailed("CONFIG_INVALID", this.message, { cause: this });
  }
}

/** A value of one option and where it was given. */
export interface ConfigEntry {
  readonly key: string;
  readonly value: unknown;
  readonly where: string;
}
