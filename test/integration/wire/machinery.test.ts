import { describe, expect, test } from "vitest";
import { covers, readDifferences } from "./differences.ts";
import { joinArguments, packet, type Received, take } from "./packet.ts";
import { difference, Transcript } from "./transcript.ts";

const bytes = (type: string, body: string): Received => ({
  kind: "packet",
  type,
  body: Buffer.from(body, "latin1"),
});
const text = (line: string): Received => ({ kind: "text", text: line });

describe("packets of the tests", () => {
  test("arguments are parted by one NUL each, and an empty last one leaves its NUL", () => {
    expect(joinArguments(["f", "u", ""]).toString("latin1")).toBe("f\0u\0");
    expect(joinArguments([]).length).toBe(0);
  });

  test("a packet and a text line are taken once they are whole", () => {
    const stream = Buffer.concat([packet("ERROR", Buffer.from("A\0b"), "\0RES"), Buffer.from("OK\r\nrest")]);
    expect(take(stream.subarray(0, 14))).toBeUndefined();
    const first = take(stream)!;
    expect(first).toEqual({ received: bytes("ERROR", "A\0b"), used: 15 });
    const second = take(stream.subarray(first.used))!;
    expect(second).toEqual({ received: text("OK\r\n"), used: 4 });
    expect(take(stream.subarray(first.used + second.used))).toBeUndefined();
  });
});

describe("a transcript", () => {
  test("numbers handles as they appear, and none inside of another", () => {
    const transcript = new Transcript();
    transcript.note("a", bytes("JOB_CREATED", "H:x:1"));
    transcript.note("a", bytes("JOB_CREATED", "H:x:12"));
    transcript.note("a", bytes("WORK_FAIL", "H:x:12"));
    transcript.note("a", text("H:x:1\t0\n"));
    expect(transcript.lines()).toEqual([
      'a: JOB_CREATED "<job1>"',
      'a: JOB_CREATED "<job2>"',
      'a: WORK_FAIL "<job2>"',
      'a: "<job1>\\t0\\n"',
    ]);
  });

  test("sorts a list and leaves the rest in its order", () => {
    const transcript = new Transcript();
    for (const line of ["OK\r\n", "b\n", "a\n", ".\n", "ERR x\r\n"]) transcript.note("a", text(line));
    expect(transcript.lines()).toEqual([
      'a: "OK\\r\\n"',
      'a: "a\\n"',
      'a: "b\\n"',
      'a: ".\\n"',
      'a: "ERR x\\r\\n"',
    ]);
  });

  test("on a common server keeps of a list what is its own", () => {
    const transcript = new Transcript("s7.");
    transcript.note("a", bytes("JOB_CREATED", "H:x:3"));
    for (const line of ["s7.f\t1\n", "s8.f\t1\n", "H:x:3\t0\n", "H:x:4\t0\n", ".\n"]) {
      transcript.note("a", text(line));
    }
    expect(transcript.lines().slice(1)).toEqual(['a: "<job1>\\t0\\n"', 'a: "s7.f\\t1\\n"', 'a: ".\\n"']);
  });

  test("shows every byte, and of a long body its digest", () => {
    const transcript = new Transcript();
    transcript.note("a", bytes("WORK_DATA", '\0\xff\n"'));
    transcript.note("a", bytes("WORK_DATA", "x".repeat(1_000)));
    transcript.note("a", bytes("WORK_DATA", `${"x".repeat(999)}y`));
    const [first, second, third] = transcript.lines();
    expect(first).toBe('a: WORK_DATA "\\0\\xff\\n\\""');
    expect(second).toContain("1000 characters");
    expect(third).not.toBe(second);
  });
});

test("a difference shows what each side has alone", () => {
  expect(difference(["a", "b", "c"], ["a", "x", "c", "d"])).toBe("  a\n- b\n+ x\n  c\n+ d");
  expect(difference([], ["a"])).toBe("+ a");
});

describe("the table of deliberate differences", () => {
  const document = [
    "# P",
    "## Deliberate differences from gearmand 1.1.20",
    "| id | gearmand | drover | why |",
    "|---|---|---|---|",
    "| `a/b`, `c/*` | says \\| this | says that | because |",
    "## Other",
    "| x | y | z | w |",
  ].join("\n");

  test("is read from under its heading", () => {
    const rows = readDifferences(document);
    expect(rows.map((row) => row.ids)).toEqual([["a/b", "c/*"]]);
    expect(rows[0]?.why).toBe("because");
  });

  test("covers ids and prefixes", () => {
    expect(covers("a/b", "a/b")).toBe(true);
    expect(covers("a/b", "a/bc")).toBe(false);
    expect(covers("c/*", "c/d")).toBe(true);
    expect(covers("c/*", "cd/e")).toBe(false);
  });

  test("must be there", () => {
    expect(() => readDifferences("# P\n")).toThrow("Deliberate differences");
  });
});
