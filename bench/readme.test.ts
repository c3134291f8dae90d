import { expect, test } from "vitest";
import { replacePart } from "./readme.ts";

const PAGE =
  "# Page\n<!-- a:begin -->\nold\n<!-- a:end -->\nbetween\n<!-- b:begin -->\n<!-- b:end -->\nafter\n";

test("a part is replaced between its marks and nowhere else", () => {
  const page = replacePart(PAGE, "a", "new\nlines");
  expect(page).toBe(PAGE.replace("\nold\n", "\nnew\nlines\n"));
  expect(replacePart(page, "a", "old")).toBe(PAGE);
  expect(replacePart(PAGE, "b", "filled")).toContain("begin -->\nfilled\n<!-- b:end -->");
});

test("a page without the marks is refused, so that no result gets lost", () => {
  expect(() => replacePart(PAGE, "c", "")).toThrow(/c:begin/);
});
