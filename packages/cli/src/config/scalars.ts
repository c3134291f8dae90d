import { isIPv6 } from "node:net";
import { parseAddress } from "@drover/transport";
import * as z from "zod";

/*
 * Kinds of values. Each takes what a YAML file gives and the text that a flag or the environment gives, so that a
 * value is judged alike wherever it was written.
 */

/** A whole number within bounds, both included. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER): z.ZodType<number> {
  const bounds = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return z.unknown().transform((value, context) => {
    const number = typeof value === "string" && /^-?\d{1,16}$/.test(value) ? Number(value) : value;
    if (typeof number === "number" && Number.isSafeInteger(number) && number >= min && number <= max) {
      return number;
    }
    return refuse(context, `${shown(value)} is no whole number ${bounds}`);
  });
}

/** Seconds, with a fraction or without. */
export function seconds(max: number): z.ZodType<number> {
  return z.unknown().transform((value, context) => {
    const number = typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
    if (typeof number === "number" && number >= 0 && number <= max) return number;
    return refuse(context, `${shown(value)} is no number of seconds from 0 to ${max}`);
  });
}

const UNITS: Readonly<Record<string, number>> = { "": 1, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3 };

/** A number of bytes: `65536`, `64KiB`, `64 MiB`, `4GiB`. */
export function size(min: number, max = Number.MAX_SAFE_INTEGER): z.ZodType<number> {
  return z.unknown().transform((value, context) => {
    const match = /^(\d{1,16}) ?(|KiB|MiB|GiB)$/i.exec(String(value));
    const bytes = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!.toLowerCase()]!;
    if (bytes >= min && bytes <= max) return bytes;
    const bounds = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `${min} to ${max}`;
    return refuse(context, `${shown(value)} is no size (${bounds} bytes; KiB, MiB and GiB may follow)`);
  });
}

const YES = new Set(["true", "yes", "on", "1"]);
const NO = new Set(["false", "no", "off", "0"]);

export function flag(): z.ZodType<boolean> {
  return z.unknown().transform((value, context) => {
    if (typeof value === "boolean") return value;
    const word = typeof value === "string" ? value.toLowerCase() : "";
    if (YES.has(word)) return true;
    if (NO.has(word)) return false;
    return refuse(context, `${shown(value)} is neither true nor false`);
  });
}

export function text(what: string, pattern = /^[^\0]+$/): z.ZodType<string> {
  return z.unknown().transform((value, context) => {
    if (typeof value === "string" && pattern.test(value)) return value;
    return refuse(context, `${shown(value)} is no ${what}`);
  });
}

/** A list of texts, none of them empty. */
export function texts(what: string, isRight: (text: string) => boolean): z.ZodType<readonly string[]> {
  return z.unknown().transform((value, context) => {
    if (!Array.isArray(value)) return refuse(context, `${shown(value)} is no list of texts`);
    for (const item of value) {
      if (typeof item !== "string" || item === "" || !isRight(item)) {
        return refuse(context, `${shown(item)} is no ${what}`);
      }
    }
    return value as string[];
  });
}

export function choice<const T extends string>(...words: readonly T[]): z.ZodType<T> {
  return z.unknown().transform((value, context) => {
    const found = words.find((word) => word === value);
    return found ?? refuse(context, `${shown(value)} is none of ${words.join(", ")}`);
  });
}

/** Where to listen; one, or a list; commas divide a text. */
export function addresses(): z.ZodType<readonly string[]> {
  return z.unknown().transform((value, context) => {
    const list = typeof value === "string" ? value.split(",").map((part) => part.trim()) : value;
    if (!Array.isArray(list) || list.length === 0) {
      return refuse(context, `${shown(value)} is no list of addresses such as [localhost:4730]`);
    }
    const read: string[] = [];
    for (const item of list) {
      if (typeof item !== "string") return refuse(context, `${shown(item)} is no address`);
      // A bare IPv6 address, as gearmand takes it, or a port alone can mean nothing else.
      const address = isIPv6(item) ? `[${item}]` : /^\d+$/.test(item) ? `:${item}` : item;
      try {
        parseAddress(address);
      } catch (error) {
        return refuse(context, (error as Error).message.replace(/^ADDRESS_INVALID: /, ""));
      }
      read.push(address);
    }
    return read;
  });
}

/** Where background jobs are kept. What is wrong with it is told without it: it may hold a password. */
export function storeName(): z.ZodType<string> {
  return z.unknown().transform((value, context) => {
    if (typeof value === "string" && /^(memory|sqlite:[^\0]+|postgres(ql)?:\/\/.+)$/.test(value)) {
      if (!value.startsWith("postgres") || URL.canParse(value)) return value;
    }
    return refuse(context, "is no store: memory, sqlite:FILE or postgres://USER@HOST:PORT/DATABASE");
  });
}

/** The name of a store without its password. */
export function withoutPassword(store: string): string {
  return store.replace(/^(postgres(?:ql)?:\/\/[^:@/]*):[^@/]*@/, "$1@");
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.issues.push({ code: "custom", message, input: context.value });
  return z.NEVER;
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  const json = JSON.stringify(value) ?? typeof value;
  return json.length > 80 ? `${json.slice(0, 79)}…` : json;
}
