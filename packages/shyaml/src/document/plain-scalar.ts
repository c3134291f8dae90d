import type { ScalarNode } from "./node.ts";
import { decimalOf } from "./number.ts";

const NULL = /^(?:~|[Nn]ull|NULL)$/;
const BOOL = /^(?:[Tt]rue|TRUE|[Ff]alse|FALSE)$/;
const NUMBER =
  /^(?:[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;

/** A plain scalar as YAML 1.2's core schema has it. */
export function plainScalar(text: string, start: number): ScalarNode {
  const first = text.charCodeAt(0);
  // Most are words, whose first letter tells.
  const isWord = (first > 0x40 && first !== 0x7e) || first === 0x2f;
  if (!isWord && NUMBER.test(text))
    return { kind: "scalar", type: "number", text, value: decimalOf(text), start };
  if (NULL.test(text)) return { kind: "scalar", type: "null", text, value: "", start };
  if (BOOL.test(text)) return { kind: "scalar", type: "bool", text, value: text.toLowerCase(), start };
  return stringScalar(text, start);
}

export function stringScalar(text: string, start: number): ScalarNode {
  return { kind: "scalar", type: "string", text, value: text, start };
}
