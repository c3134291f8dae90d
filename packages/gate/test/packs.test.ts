import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { git, gitLine } from "../src/git/git.ts";
import { packOf, takePack } from "../src/git/packs.ts";
import { BareRepository } from "./bare-repository.ts";

/* What mergers elsewhere make comes to the gate in packs, of which neither side takes one that is too large. */

const LARGE = 200_000;
const MANY = 3_000;

describe("a pack", () => {
  let from: BareRepository;
  let to: BareRepository;
  let small: string;
  let large: string;
  let many: string;
  beforeAll(async () => {
    [from, to] = [await BareRepository.make(), await BareRepository.make()];
    small = await from.commit("small", { a: "text\n" });
    large = await from.commit("large", { a: randomBytes(LARGE).toString("latin1") }, { from: null });
    const files = Object.fromEntries(Array.from({ length: MANY }, (_, at) => [`f${at}`, `${at}`]));
    many = await from.commit("many", files, { from: null });
  });
  afterAll(async () => {
    await from[Symbol.asyncDispose]();
    await to[Symbol.asyncDispose]();
  });

  const isThere = (commit: string): Promise<boolean> =>
    gitLine(["cat-file", "-t", commit], { gitDir: to.gitDir }).then(
      (type) => type === "commit",
      () => false,
    );

  test("that is larger than it may be is not made, and says so", async () => {
    await expect(packOf(from.gitDir, [large], [], LARGE / 2)).rejects.toMatchObject({
      code: "GIT_TOO_MUCH_OUTPUT",
    });
    expect((await packOf(from.gitDir, [small], [], LARGE / 2)).length).toBeLessThan(1_000);
  });

  test.each([
    ["of few objects", () => large],
    ["of many objects", () => many],
  ])("%s that is too large leaves the repository as it was, which takes the next one", async (_, commit) => {
    const pack = await packOf(from.gitDir, [commit()], [], 10 * LARGE);
    const limit = Math.floor(pack.length / 2);
    await expect(takePack(to.gitDir, Readable.from([pack]), limit)).rejects.toMatchObject({
      code: "GIT_FAILED",
      message: expect.stringContaining("maximum allowed size"),
    });
    expect(await isThere(commit())).toBe(false);
    await git(["fsck", "--connectivity-only"], { gitDir: to.gitDir });
    await takePack(to.gitDir, Readable.from([pack]), pack.length);
    expect(await isThere(commit())).toBe(true);
  });

  test("that ends early, or is none, is refused", async () => {
    const pack = await packOf(from.gitDir, [small], [], LARGE);
    const refused = { code: "GIT_FAILED" };
    await expect(takePack(to.gitDir, Readable.from([pack.subarray(0, 40)]), LARGE)).rejects.toMatchObject(
      refused,
    );
    await expect(takePack(to.gitDir, Readable.from([pack.subarray(0, 4)]), LARGE)).rejects.toMatchObject(
      refused,
    );
    await expect(takePack(to.gitDir, Readable.from([Buffer.alloc(100)]), LARGE)).rejects.toMatchObject(
      refused,
    );
    expect(await isThere(small)).toBe(false);
  });
});
