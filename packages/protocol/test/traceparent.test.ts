import { describe, expect, it } from "vitest";
import { isTracestate } from "../src/index.ts";

describe("isTracestate", () => {
  it.each([
    "congo=t61rcWkgMzE",
    "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    "fw529a3039@dt=FfAK;x y, \t a*b/c_d-e=~!",
    "0a= b",
    "a=1,, ,b=2",
    Array.from({ length: 32 }, (_, i) => `k${i}=v`).join(),
    `a=${"x".repeat(256)}`,
  ])("takes %s", (text) => {
    expect(isTracestate(text)).toBe(true);
  });

  it.each([
    ["nothing", ""],
    ["no member", " , "],
    ["a member without a value", "a="],
    ["a member without =", "a=1,b"],
    ["a key with capitals", "A=1"],
    ["a key that begins with a sign", "@a=1"],
    ["a value with =", "a=b=c"],
    ["a value with a tab", "a=b\tc"],
    ["a value that is not ASCII", "a=\xe9"],
    ["a value of more than 256 characters", `a=${"x".repeat(257)}`],
    ["33 members", Array.from({ length: 33 }, (_, i) => `k${i}=v`).join()],
    ["more than 512 characters", `a=${"x".repeat(256)},b=${"x".repeat(252)}`],
  ])("refuses %s", (_what, text) => {
    expect(isTracestate(text)).toBe(false);
  });
});
