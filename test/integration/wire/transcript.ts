import { createHash } from "node:crypto";
import type { Received } from "./packet.ts";

/** Bodies longer than this are shown by their beginning, length and digest. */
const shownCharacters = 160;

/**
 * What a scenario's peers received, as lines of text in which the answers of two servers can be compared: handles
 * are numbered in the order in which they appear, and lists, whose order is a server's own, are sorted.
 */
export class Transcript {
  readonly #entries: { peer: string; received: Received | string }[] = [];
  readonly #handles: string[] = [];
  readonly #own: string | undefined;
  readonly #masks: { pattern: RegExp; shown: string }[] = [
    { pattern: /^"\d+ 127\.0\.0\.1 /, shown: '"<fd> 127.0.0.1 ' },
  ];

  /** @param own The beginning of the scenario's names, by which a list's lines are told from other scenarios'. */
  constructor(own?: string) {
    this.#own = own;
  }

  /** Hides a value that is a server's own, such as a process id. */
  mask(pattern: RegExp, shown: string): void {
    this.#masks.push({ pattern, shown });
  }

  note(peer: string, received: Received | string): void {
    if (typeof received !== "string" && received.kind === "packet" && /^JOB_/.test(received.type)) {
      const handle = received.body.toString("latin1").split("\0")[0]!;
      if (!this.#handles.includes(handle)) this.#handles.push(handle);
    }
    this.#entries.push({ peer, received });
  }

  /** Ends a step: what is received in one step is not compared with another's. */
  endStep(): void {
    this.#entries.push({ peer: "", received: "--" });
  }

  /** Whether any server has said anything. */
  get isEmpty(): boolean {
    return this.#entries.every((entry) => entry.peer === "");
  }

  lines(): string[] {
    const lines: string[] = [];
    let list: string[] = [];
    for (const { peer, received } of this.#entries) {
      const line = this.#line(peer, received);
      if (typeof received !== "string" && received.kind === "text" && !/^(OK|ERR)\b/.test(received.text)) {
        if (received.text === ".\n") {
          lines.push(...list.sort(), line);
          list = [];
        } else if (this.#isOwn(received.text)) list.push(line);
        continue;
      }
      lines.push(...list, line);
      list = [];
    }
    return [...lines, ...list];
  }

  #isOwn(text: string): boolean {
    return this.#own === undefined || text.includes(this.#own) || this.#hideHandles(text) !== text;
  }

  #line(peer: string, received: Received | string): string {
    if (typeof received === "string") return peer === "" ? received : `${peer}: ${received}`;
    if (received.kind === "text") return `${peer}: ${this.#show(received.text)}`;
    return `${peer}: ${received.type} ${this.#show(received.body.toString("latin1"))}`;
  }

  #show(text: string): string {
    let shown = this.#hideHandles(text);
    if (shown.length > shownCharacters) {
      const digest = createHash("sha1").update(shown, "latin1").digest("hex").slice(0, 12);
      shown = `${shown.slice(0, 40)}… ${shown.length} characters, ${digest}`;
    }
    shown = `"${readable(shown)}"`;
    for (const { pattern, shown: instead } of this.#masks) shown = shown.replace(pattern, instead);
    return shown;
  }

  #hideHandles(text: string): string {
    let shown = text;
    this.#handles.forEach((handle, at) => {
      // One handle may be the beginning of another.
      for (let found = shown.indexOf(handle); found >= 0; found = shown.indexOf(handle, found + 1)) {
        const end = found + handle.length;
        if (/^\d/.test(shown.slice(end))) continue;
        shown = `${shown.slice(0, found)}<job${at + 1}>${shown.slice(end)}`;
      }
    });
    return shown;
  }
}

/** Bytes as readable characters, one for one. */
function readable(text: string): string {
  let shown = "";
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (character === "\0") shown += "\\0";
    else if (character === "\n") shown += "\\n";
    else if (character === "\r") shown += "\\r";
    else if (character === "\t") shown += "\\t";
    else if (character === "\\" || character === '"') shown += `\\${character}`;
    else if (code === 0x2026 || (code >= 0x20 && code < 0x7f)) shown += character;
    else shown += `\\x${code.toString(16).padStart(2, "0")}`;
  }
  return shown;
}

/** The lines of two transcripts side by side: `-` only gearmand's, `+` only drover's. */
export function difference(stock: readonly string[], ours: readonly string[]): string {
  const common = longestCommon(stock, ours);
  const out: string[] = [];
  let at = 0;
  let other = 0;
  for (const line of [...common, undefined]) {
    while (at < stock.length && stock[at] !== line) out.push(`- ${stock[at++]}`);
    while (other < ours.length && ours[other] !== line) out.push(`+ ${ours[other++]}`);
    if (line !== undefined) out.push(`  ${line}`);
    at += 1;
    other += 1;
  }
  return out.join("\n");
}

function longestCommon(left: readonly string[], right: readonly string[]): string[] {
  const lengths = Array.from({ length: left.length + 1 }, () => new Array<number>(right.length + 1).fill(0));
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      lengths[i]![j] =
        left[i] === right[j]
          ? lengths[i + 1]![j + 1]! + 1
          : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!);
    }
  }
  const common: string[] = [];
  for (let i = 0, j = 0; i < left.length && j < right.length; ) {
    if (left[i] === right[j]) {
      common.push(left[i]!);
      i += 1;
      j += 1;
    } else if (lengths[i + 1]![j]! >= lengths[i]![j + 1]!) i += 1;
    else j += 1;
  }
  return common;
}
