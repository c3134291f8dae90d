import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { IGNORED_OPTIONS, REFUSED_OPTIONS } from "../src/config/foreign-options.ts";
import { resolveConfig } from "../src/config/resolve.ts";
import { UsageError } from "../src/errors.ts";
import { droverProgram } from "../src/program.ts";
import { exposedAddresses, isLoopback } from "../src/serve/exposure.ts";
import { serveInputs } from "../src/serve/flags.ts";
import { graceMs, jobServerOptions, listenAddresses } from "../src/serve/settings.ts";

/** What the flags of `drover serve` make of the server, without starting one. */
async function parsed(...args: string[]) {
  const program = droverProgram();
  const serve = program.commands.find((command) => command.name() === "serve")!;
  let inputs: ReturnType<typeof serveInputs> | undefined;
  serve.action((files: string[], values: Record<string, unknown>) => {
    inputs = serveInputs(values, files);
  });
  await program.parseAsync(["serve", "--config", "/dev/null", ...args], { from: "user" });
  const config = resolveConfig({ ...inputs!, environment: {} });
  return { config, options: jobServerOptions(config, 20_000) };
}

/** Runs the whole command in this process, with --check-args, and gives what it refuses. */
async function refusal(...args: string[]): Promise<UsageError> {
  try {
    await droverProgram().parseAsync(["serve", "--check-args", "--config", "/dev/null", ...args], {
      from: "user",
    });
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return error as UsageError;
  }
  throw new Error(`${args.join(" ")} was not refused`);
}

describe("gearmand's flags", () => {
  test("without any, the server listens on loopback in both families, with Drover's defaults", async () => {
    const { options, config } = await parsed();
    expect(options).toMatchObject({
      listen: ["localhost:4730"],
      maxConnections: 20_000 - 64,
      exceptionsForAll: false,
      wakeAtLeast: 0,
      timeoutUnit: "auto",
      allowShutdown: false,
      logLevel: "INFO",
    });
    expect(options).not.toHaveProperty("functionDefaults");
    expect(options).not.toHaveProperty("keepAlive");
    expect(graceMs(config.server)).toBe(5000);
  });

  test.each<[string[], object]>([
    [["-p", "4731"], { listen: ["localhost:4731"] }],
    [["-p4731"], { listen: ["localhost:4731"] }],
    [["--port=4731"], { listen: ["localhost:4731"] }],
    [
      ["-L", "127.0.0.1", "--listen", "[::1]:99", "-L", "unix:/run/d.sock", "-p", "7"],
      { listen: ["127.0.0.1:7", "[::1]:99", "unix:/run/d.sock"] },
    ],
    [["-L", "::1"], { listen: ["[::1]:4730"] }],
    [["-b", "64"], { backlog: 64 }],
    [["--backlog", "64"], { backlog: 64 }],
    [["-j", "3"], { functionDefaults: { maxAttempts: 3 } }],
    [["--job-retries=0"], { functionDefaults: { maxAttempts: 0 } }],
    [["--job-retries=-1"], { functionDefaults: { maxAttempts: 0 } }],
    [["-w", "2"], { wakeAtLeast: 2 }],
    [["--worker-wakeup", "2"], { wakeAtLeast: 2 }],
    [["--exceptions"], { exceptionsForAll: true }],
    [["--job-handle-prefix", "ZZ"], { handlePrefix: "ZZ" }],
    [["-f", "1000"], { maxConnections: 1000 - 64 }],
    [["--file-descriptors", "1000"], { maxConnections: 1000 - 64 }],
    [["--verbose", "DEBUG"], { logLevel: "DEBUG" }],
    [["--verbose=notice"], { logLevel: "NOTICE" }],
    [["--keepalive"], { keepAlive: { idleMs: 0 } }],
    [
      ["--keepalive", "--keepalive-idle", "60", "--keepalive-interval=5", "--keepalive-count", "3"],
      { keepAlive: { idleMs: 60_000, intervalMs: 5000, count: 3 } },
    ],
    [["--timeout-unit", "s"], { timeoutUnit: "s" }],
    [["--allow-shutdown"], { allowShutdown: true }],
    [["--max-packet-bytes", "1MiB"], { limits: { maxPacketBytes: 1024 * 1024 } }],
    [["--max-connections-per-address", "9"], { maxConnectionsPerAddress: 9 }],
    [
      ["-R", "-t", "8", "--threads=4", "--hashtable-buckets", "991", "--coredump"],
      { listen: ["localhost:4730"] },
    ],
    [["-q", "builtin"], { listen: ["localhost:4730"] }],
  ])("%j", async (args, expected) => {
    const { options } = await parsed(...args);
    expect(options).toMatchObject(expected);
  });

  test("files, user and log are kept for the shell", async () => {
    const { config } = await parsed(
      ...["-P", "/p", "-l", "none", "-u", "nobody", "--syslog", "--grace", "0.5", "--ready-file", "/r"],
    );
    expect(config.server).toEqual({
      pidFile: "/p",
      logFile: "none",
      user: "nobody",
      syslog: true,
      grace: 0.5,
      readyFile: "/r",
    });
  });

  test("those without effect are told with the reason", async () => {
    const { config } = await parsed("-R", "--threads=4");
    expect(config.ignored).toEqual([
      "--round-robin: functions always take turns",
      "--threads: one thread serves all connections",
    ]);
    expect(IGNORED_OPTIONS.size).toBe(5);
  });

  test.each([...REFUSED_OPTIONS].map(([name, { flags }]) => [name, flags.includes("<")] as const))(
    "--%s is refused by name, with what to do instead",
    async (name, takesValue) => {
      const error = await refusal(...(takesValue ? [`--${name}`, "x"] : [`--${name}`]));
      expect(error.code).toBe("OPTION_REFUSED");
      expect(error.message).toContain(`--${name}: `);
      expect(error.message).toMatch(/leave it out/);
    },
  );

  test("-r http and stores that Drover does not have are refused too", async () => {
    expect((await refusal("-r", "http")).message).toMatch(/--protocol: .*leave it out/);
    expect((await refusal("-q", "MySQL")).message).toMatch(/queue type "MySQL".*--store/);
    expect((await refusal("--queue-type=libsqlite3")).message).toMatch(/needs --libsqlite3-db/);
    expect((await refusal("--libsqlite3-table=t")).message).toMatch(/import gearmand-sqlite/);
  });

  test.each([
    [["-q", "builtin"], "memory"],
    [["-q", "libsqlite3", "--libsqlite3-db", "/q.db"], "sqlite:/q.db"],
    [["-q", "postgres", "--libpq-conninfo", "postgres://u@h/d"], "postgres://u@h/d"],
    [
      ["-q", "Postgres", "--libpq-conninfo", "host=db port=5433 user=me password='it\\'s a %' dbname=jobs"],
      "postgres://me:it's%20a%20%25@db:5433/jobs",
    ],
    [["-q", "libsqlite3", "--libsqlite3-db", "/q.db", "--store", "sqlite:/other.db"], "sqlite:/other.db"],
  ])("%j is a store", async (words, store) => {
    expect((await parsed(...words)).config.server.store).toBe(store);
  });

  test("an unknown flag is answered with the nearest one", async () => {
    let said = "";
    const program = droverProgram();
    const serve = program.commands.find((command: Command) => command.name() === "serve")!;
    serve.configureOutput({
      outputError: (text) => {
        said = text;
      },
    });
    await expect(program.parseAsync(["serve", "--prot", "1"], { from: "user" })).rejects.toMatchObject({
      code: "commander.unknownOption",
    });
    expect(said).toMatch(/unknown option '--prot'/);
    expect(said).toMatch(/--port/);
  });

  test("anything else than options is refused, and @FILE is a file of options", async () => {
    expect((await refusal("start")).message).toMatch(/takes options only/);
    await expect(parsed("@/nonexistent/g.conf")).rejects.toThrow(
      "/nonexistent/g.conf: cannot be read (ENOENT)",
    );
  });
});

describe("addresses that other machines reach", () => {
  test.each(["0.0.0.0", "*", "[::]:4730", "192.0.2.1", "[2001:db8::1]:4730", "[::ffff:192.0.2.1]:1"])(
    "%s is refused",
    async (address) => {
      const error = await refusal("-L", address);
      expect(error.code).toBe("ADDRESS_EXPOSED");
      expect(error.message).toMatch(/--insecure/);
    },
  );

  test("one exposed address among safe ones is refused, and named alone", async () => {
    const error = await refusal("-L", "localhost", "-L", "0.0.0.0:99");
    expect(error.message).toMatch(/ADDRESS_EXPOSED: 0\.0\.0\.0:99 can be reached/);
  });

  test("loopback in all its forms, and Unix sockets, are not", async () => {
    const safe = [
      "localhost",
      "127.0.0.1:1",
      "127.9.9.9",
      "[::1]:4730",
      ":4730",
      "unix:/run/x",
      "[::ffff:127.0.0.1]",
    ];
    expect(await exposedAddresses(safe)).toEqual([]);
    expect(isLoopback("128.0.0.1")).toBe(false);
    expect(isLoopback("not an address")).toBe(false);
  });

  test("a name counts as what it resolves to, so one that does not resolve is no use", async () => {
    await expect(exposedAddresses(["no-such-host.invalid:1"])).rejects.toMatchObject({
      code: "HOST_NOT_FOUND",
    });
  });

  test("--insecure allows them", async () => {
    const { config } = await parsed("-L", "0.0.0.0", "--insecure");
    expect(listenAddresses(config.server)).toEqual(["0.0.0.0:4730"]);
    expect(config.server.insecure).toBe(true);
  });
});
