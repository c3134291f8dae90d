import { carriedOf } from "./ansi.ts";

/** Most of a console that is kept, counted from its end. */
export const MAX_CONSOLE_CHARACTERS = 8 * 1024 * 1024;
export const MAX_CONSOLE_LINES = 100_000;
/** Longer lines are cut where they are shown. */
const MAX_LINE_CHARACTERS = 4000;
/** A line without an end is broken there. */
const MAX_OPEN_CHARACTERS = 64 * 1024;
/** Dropped at one time, so that the front is not moved for each line. */
const DROPPED_SHARE = 0.1;

/** The end of a console, in lines. */
export class ConsoleLog {
  /** Number of the first line that is kept; not 0 once lines were dropped. */
  first = 0;
  #lines: string[] = [];
  #characters = 0;
  /** The last line, while more of it may come. */
  #open = "";
  #carried = "";

  /** Lines that are kept. */
  get count(): number {
    return this.#lines.length + (this.#open === "" ? 0 : 1);
  }

  /** @param index From 0. */
  line(index: number): string {
    const line = index === this.#lines.length ? this.#carried + shownOf(this.#open) : this.#lines[index]!;
    return line.length <= MAX_LINE_CHARACTERS ? line : `${line.slice(0, MAX_LINE_CHARACTERS)} …`;
  }

  append(text: string): void {
    const parts = (this.#open + text).split("\n");
    this.#open = parts.pop()!;
    for (const part of parts) this.#push(part);
    while (this.#open.length > MAX_OPEN_CHARACTERS) {
      this.#push(this.#open.slice(0, MAX_OPEN_CHARACTERS));
      this.#open = this.#open.slice(MAX_OPEN_CHARACTERS);
    }
    this.#dropOldest();
  }

  /** The number of the next line with a text, after `number` and then from the first one on. */
  find(text: string, number: number): number | undefined {
    const wanted = text.toLowerCase();
    const { count } = this;
    for (let i = 0; i < count; i++) {
      const index = (number - this.first + 1 + i + count) % count;
      if (this.line(index).toLowerCase().includes(wanted)) return this.first + index;
    }
    return undefined;
  }

  #push(raw: string): void {
    const line = this.#carried + shownOf(raw);
    this.#carried = carriedOf(line);
    this.#lines.push(line);
    this.#characters += line.length;
  }

  #dropOldest(): void {
    if (this.#lines.length <= MAX_CONSOLE_LINES && this.#characters <= MAX_CONSOLE_CHARACTERS) return;
    const lines = MAX_CONSOLE_LINES * (1 - DROPPED_SHARE);
    const characters = MAX_CONSOLE_CHARACTERS * (1 - DROPPED_SHARE);
    let dropped = 0;
    while (this.#lines.length - dropped > lines || this.#characters > characters)
      this.#characters -= this.#lines[dropped++]!.length;
    this.#lines = this.#lines.slice(dropped);
    this.first += dropped;
  }
}

/** What a terminal shows of a line: after a carriage return it is written over. */
function shownOf(line: string): string {
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  return text.slice(text.lastIndexOf("\r") + 1);
}
