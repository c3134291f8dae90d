import { compileRegex, type Regex } from "../config/regex.ts";

/** Characters of a line that are looked at. */
const MAX_LINE = 10_000;

/** Looks in what a build writes for lines that say that it fails. */
export class FailureOutput {
  readonly #patterns: readonly Regex[];
  readonly #found: (pattern: string, line: string) => void;
  #decoder = new TextDecoder();
  #line = "";
  #isOver: boolean;

  /**
   * @param patterns Each is looked for at the beginning of every line. What cannot be compiled is passed over.
   * @param found Told once, of the first.
   */
  constructor(patterns: readonly string[], found: (pattern: string, line: string) => void) {
    this.#patterns = patterns
      .map((pattern) => compileRegex(pattern))
      .filter((one) => typeof one !== "string");
    this.#found = found;
    this.#isOver = this.#patterns.length === 0;
  }

  write(bytes: Uint8Array): void {
    if (this.#isOver) return;
    const lines = this.#decoder.decode(bytes, { stream: true }).split("\n");
    for (const [at, part] of lines.entries()) {
      if (this.#line.length < MAX_LINE) this.#line += part.slice(0, MAX_LINE - this.#line.length);
      if (at < lines.length - 1) this.#look();
    }
  }

  /** Nothing more is written: what there is of a line is one. */
  end(): void {
    this.#look();
    this.#decoder = new TextDecoder();
  }

  #look(): void {
    const line = this.#line.replace(/\r$/, "");
    this.#line = "";
    if (this.#isOver) return;
    const match = this.#patterns.find((pattern) => pattern.matches(line));
    if (match === undefined) return;
    this.#isOver = true;
    this.#found(match.pattern, line);
  }
}
