import { expect, test } from "vitest";
import { ForgeError } from "../src/forge/index.ts";
import { landWhole } from "../src/scheduler/landing-whole.ts";

const LANDED = { refused: null };
const later = new ForgeError("LANDING_UNFINISHED", "lib cannot be read");
const { signal } = new AbortController();

/** A forge that answers in turn, and says how often it was asked. */
function forge(...answers: (ForgeError | typeof LANDED)[]) {
  const told: ForgeError[] = [];
  const land = async () => {
    const answer = answers.shift()!;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { land, told, left: answers, unfinished: (error: ForgeError) => told.push(error) };
}

test("what was decided is asked for until it is done, and that it is not yet is told once", async () => {
  const { land, told, unfinished } = forge(later, later, later, LANDED);
  expect(await landWhole(land, unfinished, signal, 1)).toBe(LANDED);
  expect(told).toEqual([later]);
});

test("what is done, refused or fails otherwise is the end of it", async () => {
  const refused = new ForgeError("LANDING_KEY_REUSED", "1");
  const { land, left, told, unfinished } = forge(LANDED, refused, LANDED);
  expect(await landWhole(land, unfinished, signal, 1)).toBe(LANDED);
  await expect(landWhole(land, unfinished, signal, 1)).rejects.toBe(refused);
  expect([left, told]).toEqual([[LANDED], []]);
});

test("a gate that ends asks no more, and does not wait", async () => {
  const ending = new AbortController();
  const { land, left, unfinished } = forge(later, later, LANDED);
  const landing = landWhole(land, unfinished, ending.signal, 3_600_000);
  ending.abort();
  expect(await landing).toBeUndefined();
  expect(await landWhole(land, unfinished, ending.signal)).toBeUndefined();
  expect(left).toHaveLength(2);
});
