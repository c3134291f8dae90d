import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { install, type Run } from "./install.ts";
import { withLock } from "./lock.ts";
import { whyMissing } from "./needs.ts";
import { findMissing, packages, peers } from "./packages.ts";
import { keepServicesFromStarting } from "./service-policy.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "drover-peers-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A package manager that fails for the named packages and notes what it was asked. */
function fakeRun(unobtainable: string[] = []): { run: Run; asked: string[] } {
  const asked: string[] = [];
  const run: Run = async (program, ...args) => {
    asked.push([program, ...args.filter((arg) => /^[a-z]/.test(arg))].join(" "));
    const culprit = args.find((arg) => unobtainable.includes(arg));
    return culprit && `E: Unable to locate package ${culprit}`;
  };
  return { run, asked };
}

describe("installing peers", () => {
  test("asks for all missing packages in one call", async () => {
    const { run, asked } = fakeRun();
    const failures = await install(["make", "gcc"], run, () => () => {});
    expect(failures.size).toBe(0);
    expect(asked).toEqual(["apt-get update", "apt-get install make gcc"]);
  });

  test("tries each package on its own when the common call fails", async () => {
    const { run, asked } = fakeRun(["php-gearman"]);
    const failures = await install(["make", "php-gearman", "gcc"], run, () => () => {});
    expect([...failures]).toEqual([["php-gearman", "E: Unable to locate package php-gearman"]]);
    expect(asked.slice(1)).toEqual([
      "apt-get install make php-gearman gcc",
      "apt-get install make",
      "apt-get install php-gearman",
      "apt-get install gcc",
    ]);
  });

  test("keeps the job server's service from the machine's next start", async () => {
    const { run, asked } = fakeRun();
    await install(["gearman-job-server"], run, () => () => {});
    expect(asked.at(-1)).toBe("update-rc.d gearman-job-server disable");
  });

  test("lets services start again even when the installation throws", async () => {
    let held = 0;
    const broken: Run = async () => {
      throw new Error("no such program");
    };
    const attempt = install(["make"], broken, () => {
      held += 1;
      return () => {
        held -= 1;
      };
    });
    await expect(attempt).rejects.toThrow("no such program");
    expect(held).toBe(0);
  });
});

describe("keeping services from starting", () => {
  const policy = () => join(folder, "policy-rc.d");

  test("leaves nothing behind where there was no policy", () => {
    const release = keepServicesFromStarting(folder);
    expect(readFileSync(policy(), "utf8")).toContain("exit 101");
    expect(statSync(policy()).mode & 0o111).toBe(0o111);
    release();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("puts an existing policy back as it was", () => {
    writeFileSync(policy(), "#!/bin/sh\nexit 0\n", { mode: 0o700 });
    const release = keepServicesFromStarting(folder);
    expect(readFileSync(policy(), "utf8")).toContain("exit 101");
    release();
    release();
    expect(readFileSync(policy(), "utf8")).toBe("#!/bin/sh\nexit 0\n");
    expect(statSync(policy()).mode & 0o777).toBe(0o700);
    expect(readdirSync(folder)).toEqual(["policy-rc.d"]);
  });

  test("clears up after a run that was killed", () => {
    writeFileSync(policy(), "#!/bin/sh\nexit 0\n");
    keepServicesFromStarting(folder);
    const release = keepServicesFromStarting(folder);
    release();
    expect(readFileSync(policy(), "utf8")).toBe("#!/bin/sh\nexit 0\n");
  });
});

describe("the lock around an installation", () => {
  test("lets one at a time in", async () => {
    const file = join(folder, "lock");
    let inside = 0;
    let most = 0;
    const enter = async () => {
      inside += 1;
      most = Math.max(most, inside);
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      inside -= 1;
    };
    await Promise.all([withLock(file, enter), withLock(file, enter), withLock(file, enter)]);
    expect(most).toBe(1);
    expect(inside).toBe(0);
  });

  test("is free again after a failure", async () => {
    const file = join(folder, "lock");
    const failing = withLock(file, () => Promise.reject(new Error("no space left")));
    await expect(failing).rejects.toThrow("no space left");
    await expect(withLock(file, async () => "in")).resolves.toBe("in");
    expect(existsSync(file)).toBe(true);
  });
});

describe("naming what is missing", () => {
  test("every peer is made of packages we know how to look for", () => {
    const known = packages.map((one) => one.name);
    for (const parts of Object.values(peers)) for (const part of parts) expect(known).toContain(part);
  });

  test("finds what is not here", async () => {
    const here = { name: "here", isPresent: async () => true };
    const gone = { name: "gone", isPresent: async () => false };
    expect(await findMissing([here, gone])).toEqual(["gone"]);
  });

  test("tells the peer, the command and the obstacle", () => {
    const missing = { "php-gearman": "only root can install it" };
    expect(whyMissing(["gearmand"], missing)).toBeUndefined();
    expect(whyMissing(["gearmand", "php-gearman"], missing)).toBe(
      "needs php-gearman, install it with: apt-get install php-gearman (only root can install it)",
    );
  });
});
