import type { CliErrorCode } from "../errors.ts";

/** One thing wrong with the configuration, and where it stands: a flag, a variable, or file, line and column. */
export interface ConfigProblem {
  readonly where: string;
  readonly message: string;
}

/** The configuration cannot be used; every problem found is listed, not the first only. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code: CliErrorCode = "CONFIG_INVALID";
  readonly problems: readonly ConfigProblem[];
  /** Whether to find this out was what the command was for, so that it is its answer. */
  readonly isAnswer: boolean;
  constructor(problems: readonly ConfigProblem[], isAnswer = false) {
    super(problems.map(({ where, message }) => `${where}: ${message}`).join("\n"));
    this.problems = problems;
    this.isAnswer = isAnswer;
  }
}

/** A value of one option and where it was given. */
export interface ConfigEntry {
  readonly key: string;
  readonly value: unknown;
  readonly where: string;
}
