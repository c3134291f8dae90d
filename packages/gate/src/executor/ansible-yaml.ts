import type { JsonValue } from "./build-request.ts";

/** Text of which Ansible makes no template, whatever it looks like: somebody wrote it who is not the job's author. */
export class Unsafe {
  readonly value: JsonValue;

  constructor(value: JsonValue) {
    this.value = value;
  }
}

export type AnsibleValue =
  | JsonValue
  | Unsafe
  | readonly AnsibleValue[]
  | { readonly [key: string]: AnsibleValue };

/** A value as Ansible reads it from a file: YAML 1.1 in the flow style. */
export function ansibleYaml(value: AnsibleValue): string {
  return written(value, false);
}

function written(value: AnsibleValue, isUnsafe: boolean): string {
  if (value instanceof Unsafe) return written(value.value, true);
  if (typeof value === "string") return `${isUnsafe ? "!unsafe " : ""}${quoted(value)}`;
  if (Array.isArray(value)) return `[${value.map((one) => written(one, isUnsafe)).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const pairs = Object.entries(value).map(
      ([key, inner]) => `? ${quoted(key)} : ${written(inner, isUnsafe)}`,
    );
    return `{${pairs.join(", ")}}`;
  }
  return typeof value === "number" ? numberOf(value) : String(value);
}

/** YAML 1.1 takes an exponent for one only where a point and a sign are. */
function numberOf(value: number): string {
  const text = String(value);
  if (!text.includes("e")) return text;
  const [digits, exponent] = text.split("e") as [string, string];
  return `${digits.includes(".") ? digits : `${digits}.0`}e${exponent}`;
}

/** Like JSON, but what is not ASCII is escaped as YAML does it, which knows no surrogates. */
function quoted(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(/[^\x20-\x7e]/gu, (character) => {
    const code = character.codePointAt(0)!;
    return code > 0xffff
      ? `\\U${code.toString(16).padStart(8, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
