import { bytesOf, textOfByteString } from "@drover/protocol";

/** Stands for all functions without figures of their own. */
export const OTHERS = "(other)";

/**
 * Names of functions, which are bytes, as text: UTF-8 where they are that, else each byte as a character. No two functions
 * get the same name, and none that of the others: then the bytes follow in hexadecimal.
 */
export class ShownNames {
  readonly #used = new Set([OTHERS]);

  of(name: string): string {
    const text = textOfByteString(name);
    const isText = !text.includes("\ufffd") || bytesOf(name).includes(0xef);
    let shown = isText ? text : name;
    if (this.#used.has(shown)) shown += ` 0x${Buffer.from(bytesOf(name)).toString("hex")}`;
    this.#used.add(shown);
    return shown;
  }
}
