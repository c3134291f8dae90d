import { type DataNode, stringAt, valueAt } from "../document/node.ts";

const MASK = "***";
/** Values that are shorter may stand in a text by chance, and only whole words of it are hidden. */
const MIN_ANYWHERE_CHARS = 4;

/**
 * What Secrets hold, to be taken out of what others say of them: plain, in base64, and as JSON escapes it.
 * Only texts of other programs need it; reports are masked by their structure.
 */
export class Secrets {
  readonly #values = new Set<string>();

  /** Adds what an object holds if it is a Secret. */
  add(object: DataNode): void {
    if (stringAt(object, "kind") !== "Secret") return;
    for (const field of ["data", "stringData"]) {
      const held = valueAt(object, field);
      if (held?.kind !== "map") continue;
      for (const { node } of held.entries)
        if (node.kind === "scalar") this.#addValue(node.text, field === "data");
    }
  }

  #addValue(text: string, isBase64: boolean): void {
    const plain = isBase64 ? Buffer.from(text, "base64").toString() : text;
    const encoded = isBase64 ? text : Buffer.from(text).toString("base64");
    for (const form of [plain, encoded, ...plain.split("\n"), plain.trim()]) {
      this.#addForms(form);
    }
  }

  #addForms(text: string): void {
    if (text === "") return;
    const escaped = JSON.stringify(text).slice(1, -1);
    for (const form of [text, escaped, JSON.stringify(escaped).slice(1, -1)]) this.#values.add(form);
  }

  /** A text without these values. */
  redact(text: string): string {
    let redacted = text;
    for (const value of [...this.#values].sort((a, b) => b.length - a.length)) {
      if (value.length >= MIN_ANYWHERE_CHARS || /\W/.test(value)) redacted = redacted.replaceAll(value, MASK);
      else redacted = redacted.replace(/\w+/g, (word) => (word === value ? MASK : word));
    }
    return redacted;
  }
}
