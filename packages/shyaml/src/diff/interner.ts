import { keyIdOf } from "../document/convert.ts";
import type { DataNode } from "../document/node.ts";

/**
 * Gives equal values one number, so that whole trees are compared at once. Equal are values of one type and tag: numbers by
 * what they are worth, maps in any order of their keys, lists in one order.
 */
export class Interner {
  readonly #numbers = new Map<string, number>();
  readonly #known = new Map<DataNode, number>();
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
