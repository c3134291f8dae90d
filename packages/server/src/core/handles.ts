import { bytesOf } from "@drover/protocol";

const SPLIT = 100_000_000;
const ZERO = 0x30;

/**
 * Handles are `PREFIX:decimal`. Jobs carry small numbers, counted from `firstNumber`, since small integers are what
 * the engine stores and looks up best; the offset makes handles differ from those of an earlier start.
 */
export class Handles {
  readonly prefix: string;
  readonly #prefixBytes: Uint8Array;
  readonly #firstNumber: number;
  /** Decimals of the jobs of earlier starts, ascending: theirs are the first numbers. */
  #restored: Float64Array = new Float64Array(0);
  #restoredCount = 0;
  /** Digits and value of the number last written above `SPLIT`: it changes once in 100 million jobs. */
  #high = -1;
  #highBytes: Uint8Array = new Uint8Array(0);

  /**
   * @param prefix What stands before the last colon.
   * @param firstNumber Decimal of job 0. It and all numbers added to it must stay below 2^53.
   */
  constructor(prefix: string, firstNumber: number) {
    this.prefix = prefix;
    this.#prefixBytes = bytesOf(`${prefix}:`);
    this.#firstNumber = firstNumber;
  }

  /**
   * Gives the next of the first numbers to a job of an earlier start. Not to be called any more once there is a new one.
   * @param decimal Above those given before, and below that of the first new job.
   * @returns its number.
   */
  restore(decimal: number): number {
    const number = this.#restoredCount++;
    if (number === this.#restored.length) {
      const larger = new Float64Array(Math.max(64, number * 2));
      larger.set(this.#restored);
      this.#restored = larger;
    }
    this.#restored[number] = decimal;
    return number;
  }

  /** Decimal of the handle of a job number. */
  decimal(number: number): number {
    return number < this.#restoredCount ? this.#restored[number]! : this.#firstNumber + number;
  }

  /** The job number of a decimal, which is one of this server's. */
  numberOf(decimal: number): number {
    const number = decimal - this.#firstNumber;
    return number >= this.#restoredCount ? number : this.#findRestored(decimal);
  }

  /** The handle of a job number, for text. */
  text(number: number): string {
    return `${this.prefix}:${this.decimal(number)}`;
  }

  /** Length of a job's handle in bytes; to be called right before `write` of the same number. */
  measure(number: number): number {
    const value = this.decimal(number);
    const high = Math.floor(value / SPLIT);
    if (high !== this.#high) {
      this.#high = high;
      this.#highBytes = bytesOf(high === 0 ? "" : String(high));
    }
    if (high > 0) return this.#prefixBytes.length + this.#highBytes.length + 8;
    return this.#prefixBytes.length + decimalDigits(value);
  }

  /** Writes the handle that was measured last and returns the offset after it. */
  write(number: number, target: Uint8Array, offset: number): number {
    const prefix = this.#prefixBytes;
    let at = offset;
    for (let i = 0; i < prefix.length; i++) target[at++] = prefix[i]!;
    const highBytes = this.#highBytes;
    for (let i = 0; i < highBytes.length; i++) target[at++] = highBytes[i]!;
    let low = this.decimal(number) % SPLIT;
    const digits = this.#high > 0 ? 8 : decimalDigits(low);
    for (let i = digits - 1; i >= 0; i--) {
      const rest = (low / 10) | 0;
      target[at + i] = ZERO + (low - rest * 10);
      low = rest;
    }
    return at + digits;
  }

  /** The job number of a handle on the wire, or -1 when it is none of this server's. */
  parse(bytes: Uint8Array, start: number, end: number): number {
    const prefix = this.#prefixBytes;
    const digits = end - start - prefix.length;
    if (digits < 1 || digits > 16) return -1;
    for (let i = 0; i < prefix.length; i++) if (bytes[start + i] !== prefix[i]) return -1;
    // One handle, one spelling.
    if (digits > 1 && bytes[start + prefix.length] === ZERO) return -1;
    let value = 0;
    for (let i = start + prefix.length; i < end; i++) {
      const digit = bytes[i]! - ZERO;
      if (digit < 0 || digit > 9) return -1;
      value = value * 10 + digit;
    }
    return this.numberOf(value);
  }

  #findRestored(decimal: number): number {
    let low = 0;
    let high = this.#restoredCount - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = this.#restored[middle]!;
      if (found === decimal) return middle;
      if (found < decimal) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}

function decimalDigits(value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  return digits;
}
