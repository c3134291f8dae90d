import { keyIdOf } from "../document/convert.ts";
import type { DataNode } from "../document/node.ts";

/**
 * Gives equal values one number, so that whole trees are compared at once. Equal are values of one type and tag: numbers by
 * what they are worth, maps in any order of their keys, lists in one order.
 */
export class Interner {
  readonly #numbers = new Map<string, number>();
  readonly #known = new Map<DataNode, number>();
  readonly #hashes = new Map<DataNode, number>();
  readonly #comments: boolean;

  /** @param comments Whether equal values have equal comments inside of them. */
  constructor(comments = false) {
    this.#comments = comments;
  }

  idOf(node: DataNode): number {
    const known = this.#known.get(node);
    if (known !== undefined) return known;
    const text = this.#text(node);
    let id = this.#numbers.get(text);
    if (id === undefined) {
      id = this.#numbers.size;
      this.#numbers.set(text, id);
    }
    this.#known.set(node, id);
    return id;
  }

  /** The number of a text that is no value, such as of several together. */
  idOfText(text: string): number {
    const own = `!${text}`;
    const id = this.#numbers.get(own) ?? this.#numbers.size;
    this.#numbers.set(own, id);
    return id;
  }

  /** A hash of the value that does not depend on what was seen before it, other than `idOf`. Values may share one. */
  hashOf(node: DataNode): number {
    const known = this.#hashes.get(node);
    if (known !== undefined) return known;
    let hash = hashText(node.tag ?? "", node.kind.length);
    if (node.kind === "scalar") hash = hashText(node.value, hashText(node.type, hash));
    else if (node.kind === "list") {
      for (const item of node.items) hash = Math.imul(hash, 31) + this.hashOf(item.node);
    } else {
      // A sum, for the order of keys means nothing.
      for (const entry of node.entries) {
        hash += Math.imul(hashText(keyIdOf(entry.key), 7), this.hashOf(entry.node) | 1);
      }
    }
    hash |= 0;
    this.#hashes.set(node, hash);
    return hash;
  }

  #text(node: DataNode): string {
    const tag = node.tag === undefined ? "" : `<${node.tag}>`;
    if (node.kind === "scalar") return `${tag}${node.type === "string" ? "=" : node.type}${node.value}`;
    const comment = (text: string | undefined) =>
      this.#comments && text !== undefined ? `#${JSON.stringify(text)}` : "";
    if (node.kind === "list") {
      return `${tag}[${node.items.map((item) => `${this.idOf(item.node)}${comment(item.comment)}`).join()}`;
    }
    const entries = node.entries.map(
      (entry) => `${this.idOfText(keyIdOf(entry.key))}:${this.idOf(entry.node)}${comment(entry.comment)}`,
    );
    return `${tag}{${entries.sort().join()}`;
  }
}

function hashText(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
