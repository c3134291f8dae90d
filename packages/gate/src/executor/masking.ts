/** What stands in a log in place of a secret. */
export const MASK = "********";
/** Shorter values are not hidden: they would be found in everything. */
const MIN_LENGTH = 4;
/** Shorter lines of a value of several lines are not hidden alone. */
const MIN_LINE_LENGTH = 8;
/** Columns in which `base64` writes. */
const BASE64_COLUMNS = 76;

/**
 * Hides values in a text that comes in pieces: as they are, line by line, as in JSON, in base64 wherever it began, and in URLs.
 * What may be the beginning of one is held back until it is clear.
 */
export class Masker {
  #patterns: readonly string[] = [];
  #search: RegExp | undefined;
  #longest = 0;
  #held = "";

  /** Hides these, too. */
  add(values: readonly string[]): void {
    const all = new Set([...this.#patterns, ...values.flatMap(formsOf)]);
    // Of those that begin alike the longest is to be found.
    this.#patterns = [...all].sort((a, b) => b.length - a.length);
    this.#longest = this.#patterns[0]?.length ?? 0;
    const escaped = this.#patterns.map((pattern) => pattern.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
    this.#search = escaped.length === 0 ? undefined : new RegExp(escaped.join("|"), "g");
  }

  /** @returns What can be shown of all pieces so far and was not yet. */
  push(piece: string): string {
    if (this.#search === undefined) return piece;
    const text = this.#held + piece;
    let shown = "";
    let from = 0;
    let held = this.#heldFrom(text, 0);
    const search = this.#search;
    search.lastIndex = 0;
    for (let match = search.exec(text); match !== null && match.index < held; match = search.exec(text)) {
      shown += text.slice(from, match.index) + MASK;
      from = search.lastIndex;
      if (from > held) held = this.#heldFrom(text, from);
    }
    this.#held = text.slice(held);
    return shown + text.slice(from, held);
  }

  /** @returns The rest: no more is coming that it could be a part of. */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    return this.whole(rest);
  }

  /** A text that is no piece of another one. */
  whole(text: string): string {
    return this.#search === undefined ? text : text.replace(this.#search, MASK);
  }

  /** Where the first part of a value may begin, of which the rest is still to come. */
  #heldFrom(text: string, from: number): number {
    for (let at = Math.max(from, text.length - this.#longest + 1); at < text.length; at++) {
      const rest = text.slice(at);
      if (this.#patterns.some((pattern) => pattern.length > rest.length && pattern.startsWith(rest)))
        return at;
    }
    return text.length;
  }
}

/** Every text in a value of JSON, however deep. Numbers are texts, too. */
export function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value === "number") return [String(value)];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(textsOf);
}

function formsOf(value: string): string[] {
  const lines = value.split(/\r?\n/).map((line) => line.trim());
  const parts = [value, value.trim(), ...lines.filter((line) => line.length >= MIN_LINE_LENGTH)].filter(
    (part) => part.length >= MIN_LENGTH,
  );
  const forms = new Set(parts);
  for (const part of parts) {
    for (const form of [...inJson(part), ...inUrl(part), ...inBase64(part)]) forms.add(form);
  }
  return [...forms];
}

function inJson(value: string): string[] {
  const plain = JSON.stringify(value).slice(1, -1);
  const ascii = plain.replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  // Python writes its own texts so.
  return [plain, ascii, plain.replaceAll("'", "\\'")];
}

function inUrl(value: string): string[] {
  const usual = encodeURIComponent(value.toWellFormed());
  const strict = usual.replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
  return [usual, strict].flatMap((form) => [
    form,
    form.replaceAll("%20", "+"),
    form.replaceAll("%2F", "/"),
    form.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
  ]);
}

/** Within more that is encoded, a text is one of three, without the characters that belong to its neighbours too. */
function inBase64(value: string): string[] {
  const bytes = Buffer.from(value);
  const forms: string[] = [];
  for (const before of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    const isWhole = (bytes.length + before) % 3 === 0;
    const core = text.slice(before === 0 ? 0 : before + 1, isWhole ? undefined : -1);
    if (core.length >= MIN_LENGTH) forms.push(core);
    if (before > 0) continue;
    forms.push(text);
    if (text.length > BASE64_COLUMNS) {
      const lines = text.match(new RegExp(`.{1,${BASE64_COLUMNS}}`, "g"))!;
      forms.push(...lines.filter((line) => line.length >= MIN_LINE_LENGTH));
    }
  }
  return [...forms, ...forms.map((form) => form.replaceAll("+", "-").replaceAll("/", "_"))];
}
