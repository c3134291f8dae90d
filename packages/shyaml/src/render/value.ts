import { nameOf } from "../diff/changes.ts";
import type { DataNode, ScalarNode } from "../document/node.ts";

/** Texts that would be read as something else than a string, or might be. */
const NOT_PLAIN = /^(?:[-+]?[.0-9][-+0-9a-fxo._:]*|[-+]?\.(?:inf|nan)|true|false|null|~|yes|no|on|off|y|n)$/i;

/** A text without anything that a terminal or a reader would obey: control characters and changes of direction are escaped. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (char) =>
    char === "\t" ? "\\t" : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A scalar in one line, as YAML has it. */
export function scalarText(node: ScalarNode): string {
  const tag = node.tag === undefined ? "" : `${visible(node.tag)} `;
  if (node.type !== "string") return `${tag}${visible(node.text)}`;
  const isPlain =
    /^(?:[\w./$(]|-(?=[\w-]))[\w ./:@%+$(),=-]*$/.test(node.text) && !/: | #|[ :]$/.test(node.text);
  return `${tag}${isPlain && !NOT_PLAIN.test(node.text) ? node.text : visible(JSON.stringify(node.text))}`;
}

/** A value in lines of YAML, to be read by people. */
export function valueLines(node: DataNode): string[] {
  const lines: string[] = [];
  write(node, "", "", lines);
  return lines;
}

/** @param lead What stands before the value on its first line. */
function write(node: DataNode, lead: string, margin: string, lines: string[]): void {
  const tag = node.tag === undefined || node.kind === "scalar" ? "" : `${visible(node.tag)} `;
  if (node.kind === "scalar") {
    if (node.type !== "string" || !isBlock(node.text)) lines.push(`${lead}${scalarText(node)}`);
    else {
      lines.push(
        `${lead}${node.tag === undefined ? "" : `${visible(node.tag)} `}|${node.text.endsWith("\n") ? "" : "-"}`,
      );
      for (const line of blockLines(node.text)) lines.push(`${margin}${visible(line)}`);
    }
  } else if (node.kind === "list") {
    if (node.items.length === 0) lines.push(`${lead}${tag}[]`);
    else if (lead.trim() !== "" && !lead.endsWith("- ")) lines.push(`${lead}${tag}`.trimEnd());
    const isInline = lead.endsWith("- ");
    node.items.forEach((item, i) => {
      write(item.node, `${isInline && i === 0 ? lead : margin}- `, `${margin}  `, lines);
    });
  } else {
    if (node.entries.length === 0) lines.push(`${lead}${tag}{}`);
    const isInline = lead.endsWith("- ") && tag === "";
    if (node.entries.length > 0 && !isInline && lead.trim() !== "") lines.push(`${lead}${tag}`.trimEnd());
    node.entries.forEach(({ key, node: value }, i) => {
      const name = key.kind === "scalar" ? scalarText(key) : visible(nameOf(key));
      const before = isInline && i === 0 ? lead : margin;
      const isNested = value.kind !== "scalar" && !isBare(value);
      const inner = value.kind === "list" ? margin : `${margin}  `;
      if (isNested) {
        lines.push(`${before}${name}:${value.tag === undefined ? "" : ` ${visible(value.tag)}`}`);
        write(value.tag === undefined ? value : untagged(value), `${inner}`, inner, lines);
      } else write(value, `${before}${name}: `, `${margin}  `, lines);
    });
  }
}

function untagged<T extends DataNode>(node: T): T {
  const { tag: _, ...rest } = node;
  return rest as T;
}

function isBare(node: DataNode): boolean {
  return node.kind === "list" ? node.items.length === 0 : node.kind === "map" && node.entries.length === 0;
}

/** Whether a text is shown in lines of its own. */
export function isBlock(text: string): boolean {
  return text.includes("\n") && text.trim() !== "";
}

export function blockLines(text: string): string[] {
  return (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
}
