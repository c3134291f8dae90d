/**
 * A number's value as text that equal numbers share: `12345678901234567890`, `1e3` and `1000.0` as they would be written
 * with all their digits, by mantissa and exponent (`1e3`), `-0` as `0`. Exact for any length.
 * @param text A number as YAML 1.2's core schema or JSON has it, `.inf`, `-.inf` or `.nan`.
 */
export function decimalOf(text: string): string {
  const special = /^([-+]?)\.(inf|nan)$/i.exec(text);
  if (special !== null) {
    if (special[2]!.toLowerCase() === "nan") return "nan";
    return special[1] === "-" ? "-inf" : "inf";
  }
  if (/^[-+]?0[xob]/i.test(text)) {
    const magnitude = BigInt(text.replace(/^[-+]/, "").toLowerCase());
    return decimalOf(`${text.startsWith("-") ? "-" : ""}${magnitude}`);
  }
  const parts = /^([-+]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]+))?$/.exec(text);
  if (parts === null) return text;
  const [, sign, whole = "", fraction = "", exponent = "0"] = parts;
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  const mantissa = digits.replace(/0+$/, "");
  if (mantissa === "") return "0";
  const shift = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - mantissa.length);
  return `${sign === "-" ? "-" : ""}${mantissa}${shift === 0n ? "" : `e${shift}`}`;
}

/** The number as JSON writes it, with every digit it has; undefined where JSON has no such number. */
export function jsonNumber(text: string, value: string): string | undefined {
  if (/^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$/.test(text)) return text;
  if (/inf$|nan$/.test(value)) return undefined;
  const parts = /^[-+]?([0-9]*)(?:\.([0-9]*))?(?:([eE])([-+]?[0-9]+))?$/.exec(text);
  if (parts !== null) {
    const [, whole = "", fraction = "", , exponent] = parts;
    const plain = whole.replace(/^0+(?=[0-9])/, "") || "0";
    const tail = fraction === "" ? "" : `.${fraction}`;
    return `${text.startsWith("-") ? "-" : ""}${plain}${tail}${exponent === undefined ? "" : `e${exponent}`}`;
  }
  const [, mantissa = "0", exponent = "0"] = /^(-?[0-9]+)(?:e([0-9]+))?$/.exec(value) ?? [];
  return `${mantissa}${"0".repeat(Number(exponent))}`;
}
