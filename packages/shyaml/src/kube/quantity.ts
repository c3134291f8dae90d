const BINARY = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/** Powers of ten. */
const DECIMAL: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};

/** Longest text that is read as a quantity; Kubernetes' own numbers end long before. */
const MAX_LENGTH = 64;
/** Largest power of ten of `1e12` and the like. */
const MAX_EXPONENT = 400;

/** A quantity as digits and a power of ten, both exact. */
interface Exact {
  readonly digits: bigint;
  readonly exponent: number;
}

/**
 * Whether two values mean the same quantity, as `1000m` and `1`, `1Gi` and `1024Mi`, or `1e3` and the number 1000 do.
 * False when either is none.
 */
export function sameQuantity(one: unknown, other: unknown): boolean {
  const [a, b] = [read(one), read(other)];
  if (a === undefined || b === undefined) return false;
  const exponent = Math.min(a.exponent, b.exponent);
  const at = (q: Exact) => q.digits * 10n ** BigInt(q.exponent - exponent);
  return at(a) === at(b);
}

function read(value: unknown): Exact | undefined {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "bigint") return undefined;
  const text = String(value);
  if (text.length > MAX_LENGTH) return undefined;
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:([KMGTPE]i)|[eE]([+-]?\d+)|([numkMGTPE]?))$/.exec(text);
  const [, sign, whole = "", fraction = "", binary, power, decimal = ""] = match ?? [];
  if (match === null || whole + fraction === "") return undefined;
  const exponent = power === undefined ? DECIMAL[decimal]! : Number(power);
  if (Math.abs(exponent) > MAX_EXPONENT) return undefined;
  const digits = BigInt(`${sign === "-" ? "-" : ""}${whole}${fraction}`);
  const scale = binary === undefined ? 1n : 1024n ** BigInt(BINARY.indexOf(binary) + 1);
  return { digits: digits * scale, exponent: exponent - fraction.length };
}
