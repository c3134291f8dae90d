import { mkdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readKeyValueFile } from "../src/config/key-value-file.ts";
import { nearest } from "../src/config/nearest.ts";
import { ConfigError } from "../src/config/problem.ts";
import { type ConfigInputs, resolveConfig } from "../src/config/resolve.ts";
import { optionSchema } from "../src/config/schema.ts";
import { environmentName, SERVER_OPTIONS } from "../src/config/server-options.ts";
import { readConfigFile } from "../src/config/yaml-file.ts";
import { drover, temporaryFolder } from "./running.ts";

const folder = temporaryFolder();
afterAll(() => folder.remove());

function resolve(inputs: Partial<ConfigInputs>) {
  return resolveConfig({ flags: new Map(), environment: {}, configFile: empty, ...inputs });
}

let empty = "";
beforeAll(() => {
  mkdirSync(folder.path, { recursive: true });
  empty = folder.write("empty.yaml", "# nothing\n");
});

/** The problems of inputs that are wrong, as they are printed. */
function problemsOf(inputs: Partial<ConfigInputs>): string[] {
  try {
    resolve(inputs);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message.split("\n");
  }
  throw new Error("nothing was wrong");
}

describe("where a value comes from", () => {
  test("flags win over the environment, which wins over gearmand's file, which wins over drover.yaml", () => {
    const configFile = folder.write(
      "order.yaml",
      "server: { port: 1, backlog: 1, grace: 1, jobRetries: 1 }\n",
    );
    const keyValueFile = folder.write("order.conf", "port=2\nbacklog=2\njob-retries=2\n");
    const { server, sources } = resolve({
      flags: new Map([["port", "4"]]),
      environment: { DROVER_PORT: "3", DROVER_BACKLOG: "3", GEARMAND_PORT: "5" },
      configFile,
      keyValueFiles: [keyValueFile],
    });
    expect(server).toEqual({ port: 4, backlog: 3, jobRetries: 2, grace: 1 });
    expect(sources.get("port")).toBe("--port");
    expect(sources.get("backlog")).toBe("DROVER_BACKLOG");
    expect(sources.get("jobRetries")).toBe(`${keyValueFile}:3`);
    expect(sources.get("grace")).toBe(`${configFile}:1:39`);
  });

  test("GEARMAND_PORT counts only where nothing else says a port", () => {
    expect(resolve({ environment: { GEARMAND_PORT: "4731" } }).server.port).toBe(4731);
    const configFile = folder.write("port.yaml", "server: { port: 4732 }\n");
    expect(resolve({ environment: { GEARMAND_PORT: "4731" }, configFile }).server.port).toBe(4732);
  });

  test("every option has a variable of its own, and an empty one says nothing", () => {
    const names = SERVER_OPTIONS.map(environmentName);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain("DROVER_LOG_LEVEL");
    expect(names).toContain("DROVER_MAX_PACKET_BYTES");
    expect(resolve({ environment: { DROVER_PORT: "" } }).server).toEqual({});
  });

  test("a variable that is nearly one of ours is warned about, another program's is not", () => {
    const { warnings } = resolve({ environment: { DROVER_PROT: "1", DROVER_HOME_COLOUR: "red" } });
    expect(warnings).toEqual(["unknown variable DROVER_PROT; did you mean DROVER_PORT?"]);
  });

  test("DROVER_CONFIG names the file, and --config wins over it", () => {
    const one = folder.write("one.yaml", "server: { port: 1 }\n");
    const two = folder.write("two.yaml", "server: { port: 2 }\n");
    expect(resolve({ configFile: undefined, environment: { DROVER_CONFIG: one } }).server.port).toBe(1);
    expect(resolve({ configFile: two, environment: { DROVER_CONFIG: one } }).server.port).toBe(2);
  });
});

describe("values", () => {
  const read = (key: string, value: unknown) => optionSchema(key).parse(value);
  test("are read alike from text and from YAML", () => {
    expect(read("port", "4730")).toBe(read("port", 4730));
    expect(read("keepalive", "yes")).toBe(read("keepalive", true));
    expect(read("grace", "0.5")).toBe(0.5);
    expect(read("logLevel", "debug")).toBe("DEBUG");
    expect(read("listen", "localhost, [::1]:4731")).toEqual(["localhost", "[::1]:4731"]);
  });

  test("sizes may have units", () => {
    expect(read("limits.maxPacketBytes", "64MiB")).toBe(64 * 1024 * 1024);
    expect(read("limits.maxPacketBytes", "2 KiB")).toBe(2048);
    expect(read("limits.maxPacketBytes", 4096)).toBe(4096);
  });

  test("a bare IPv6 address is taken as gearmand takes it", () => {
    expect(read("listen", "::1")).toEqual(["[::1]"]);
  });

  test.each([
    ["port", "65536", '"65536" is no whole number from 0 to 65535'],
    ["port", 1.5, "1.5 is no whole number from 0 to 65535"],
    ["port", "0x10", '"0x10" is no whole number from 0 to 65535'],
    ["jobRetries", -2, "-2 is no whole number of at least -1"],
    ["grace", "-1", '"-1" is no number of seconds from 0 to 86400'],
    ["keepalive", "perhaps", '"perhaps" is neither true nor false'],
    ["timeoutUnit", "min", '"min" is none of auto, ms, s'],
    ["logLevel", "LOUD", '"LOUD" is none of FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG'],
    [
      "limits.maxPacketBytes",
      "64MB",
      '"64MB" is no size (1024 to 4294967295 bytes; KiB, MiB and GiB may follow)',
    ],
    ["listen", "/run/x.sock", '"/run/x.sock" is no address: write unix:/run/x.sock for a Unix socket'],
    ["listen", [], "[] is no list of addresses such as [localhost:4730]"],
    ["pidFile", null, "nothing is no file name"],
  ])("%s refuses %j", (key, value, message) => {
    const { error } = optionSchema(key).safeParse(value);
    expect(error?.issues[0]?.message).toBe(message);
  });
});

describe("drover.yaml", () => {
  test("problems name line, column and what was probably meant, all of them at once", () => {
    const configFile = folder.write(
      "wrong.yaml",
      [
        "server:",
        "  prot: 1",
        "  port: many",
        "  limits: { maxPacketByte: 3 }",
        "functions:",
        '  "img:*": { maxQueue: { hig: 1 } }',
        "  b: { retry: { maxAttempts: 3, backoff: { factor: 0 } } }",
        "  c: 3",
        "  d: { lingerMs: -1 }",
        "servre: {}",
      ].join("\n"),
    );
    expect(problemsOf({ configFile }).sort()).toEqual(
      [
        `${configFile}:2:3: unknown key "prot" in server; did you mean port?`,
        `${configFile}:3:9: server.port: "many" is no whole number from 0 to 65535`,
        `${configFile}:4:13: unknown key "maxPacketByte" in server.limits; did you mean maxPacketBytes?`,
        `${configFile}:6:26: unknown key "hig" in functions.img:*.maxQueue; did you mean high?`,
        `${configFile}:7:52: functions.b.retry.backoff.factor: is no number from 1 to 100`,
        `${configFile}:8:6: functions.c: must be a map of keys and values`,
        `${configFile}:9:18: functions.d.lingerMs: -1 is no whole number of at least 0`,
        `${configFile}:10:1: unknown key "servre"; did you mean server?`,
      ].sort(),
    );
  });

  test("broken YAML and keys given twice are told with their place", () => {
    const broken = readConfigFile("server: [1, 2\n", "f");
    expect(broken.problems[0]?.where).toMatch(/^f:\d+:\d+$/);
    const twice = readConfigFile("server: { port: 1, port: 2 }\n", "f");
    expect(twice.problems).toEqual([{ where: "f:1:20", message: "Map keys must be unique" }]);
  });

  test("a file that is not there is a problem where it was named", () => {
    const [problem] = problemsOf({ configFile: folder.file("absent.yaml") });
    expect(problem).toBe(`${folder.file("absent.yaml")}: cannot be read (ENOENT)`);
  });

  test("rules of functions keep the order of the file, numbers and aliases included", () => {
    const configFile = folder.write(
      "functions.yaml",
      [
        "functions:",
        '  "z*": &slow { maxRunning: 1 }',
        '  "9": *slow',
        "  größe: { maxQueue: { high: 3 }, retry: { maxAttempts: 2 } }",
        '  "1": { maxQueue: 7, onAbandoned: cancel, restartWarning: true }',
      ].join("\n"),
    );
    expect(resolve({ configFile }).rules).toEqual([
      { glob: "z*", settings: { maxRunning: 1 } },
      { glob: "9", settings: { maxRunning: 1 } },
      {
        // Names on the wire are bytes.
        glob: Buffer.from("größe").toString("latin1"),
        settings: {
          maxQueue: [3, 0, 0],
          retry: { maxAttempts: 2, backoff: { initialMs: 1000, maxMs: 60_000, factor: 2, jitter: 0.2 } },
        },
      },
      { glob: "1", settings: { maxQueue: [7, 7, 7], onAbandoned: "cancel", restartWarning: true } },
    ]);
  });
});

describe("gearmand's configuration file", () => {
  test("lines, comments and sections are read", () => {
    const { options, problems } = readKeyValueFile(
      "# comment\nport = 4731\r\nexceptions=  # on\n\n[mysql]\nhost=db\nlonely\n",
      "g.conf",
    );
    expect(options).toEqual([
      { name: "port", value: "4731", where: "g.conf:2" },
      { name: "exceptions", value: "", where: "g.conf:3" },
      { name: "mysql.host", value: "db", where: "g.conf:6" },
    ]);
    expect(problems).toEqual([{ where: "g.conf:7", message: '"lonely" has no value: write lonely=VALUE' }]);
  });

  test("its options mean what the flags mean, those without effect are passed over", () => {
    const file = folder.write(
      "g.conf",
      "port=4731\nexceptions=\nround-robin=true\nqueue-type=libsqlite3\nlibsqlite3-db=/q.db\nverbose=DEBUG\n",
    );
    const { server, ignored } = resolve({ keyValueFiles: [file] });
    expect(server).toEqual({ port: 4731, exceptions: true, logLevel: "DEBUG", store: "sqlite:/q.db" });
    expect(ignored).toEqual(["round-robin: functions always take turns"]);
  });

  test("what cannot be honoured is refused by name, what is unknown too", () => {
    const file = folder.write("bad.conf", "queue-type=MySQL\nmysql-host=db\nprot=1\n");
    const problems = problemsOf({ keyValueFiles: [file] });
    expect(problems[0]).toMatch(/bad\.conf:1: queue type "MySQL": leave it out; --store/);
    expect(problems[1]).toMatch(/bad\.conf:2: mysql-host: leave it out; --store/);
    expect(problems[2]).toMatch(/bad\.conf:3: unknown option "prot"; did you mean port\?/);
  });
});

describe("schedules", () => {
  test("are read with what is said and what holds else", () => {
    const configFile = folder.write(
      "s.yaml",
      'schedules:\n  nightly: { cron: "0 2 * * *", timeZone: Europe/Berlin, function: report, missed: once }\n',
    );
    expect(resolve({ configFile }).schedules).toEqual([
      {
        name: "nightly",
        cron: "0 2 * * *",
        timeZone: "Europe/Berlin",
        function: "report",
        missed: "once",
        priority: 1,
      },
    ]);
  });

  test("that can never come are told at their line", () => {
    const configFile = folder.write("s.yaml", 'schedules:\n  a:\n    function: f\n    cron: "0 0 31 2 *"\n');
    expect(problemsOf({ configFile })[0]).toMatch(/s\.yaml:4:11: .*no such time/);
  });
});

describe("drover config", () => {
  test("show names each value's source, and what it prints is a drover.yaml that says the same", async () => {
    const configFile = folder.write(
      "shown.yaml",
      'server: { port: 4731, limits: { maxJobs: 9 } }\nfunctions: { "a*": { maxQueue: 3 } }\n',
    );
    const shown = await drover(["config", "show", configFile, "-j", "7"], { env: { DROVER_BACKLOG: "9" } });
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^ {2}port: 4731 +# \S+shown\.yaml:1:17$/m);
    expect(shown.stdout).toMatch(/^ {2}jobRetries: 7 +# --job-retries$/m);
    expect(shown.stdout).toMatch(/^ {2}backlog: 9 +# DROVER_BACKLOG$/m);
    expect(shown.stdout).toMatch(/^ {2}grace: 5 +# default$/m);
    const again = resolve({ configFile: folder.write("again.yaml", shown.stdout) });
    expect(again.server).toMatchObject({ port: 4731, jobRetries: 7, backlog: 9, grace: 5 });
    expect(again.limits).toMatchObject({ maxJobs: 9, maxPacketBytes: 64 * 1024 * 1024 });
    expect(again.rules).toEqual([{ glob: "a*", settings: { maxQueue: [3, 3, 3] } }]);
  });

  test("check tells by its exit code, with every problem in its place", async () => {
    const right = folder.write("right.yaml", "server: { port: 1 }\n");
    const good = await drover(["config", "check", right]);
    expect([good.code, good.stdout]).toEqual([0, `${right}: all right\n`]);
    const wrong = folder.write("wrong.yaml", "server: { prot: 1 }\nfunction: {}\n");
    const bad = await drover(["config", "check", wrong]);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain(`drover: ${wrong}:1:11: unknown key "prot" in server; did you mean port?\n`);
    expect(bad.stderr).toContain(`drover: ${wrong}:2:1: unknown key "function"; did you mean functions?\n`);
    const exposed = folder.write("exposed.yaml", "server: { listen: 0.0.0.0 }\n");
    expect((await drover(["config", "check", exposed])).code).toBe(1);
  });
});

test("nearest finds slips of one key, and nothing where nothing is near", () => {
  const known = ["maxRunning", "maxQueue", "lingerMs", "port"];
  expect(nearest("prot", known)).toBe("port");
  expect(nearest("MAXRUNING", known)).toBe("maxRunning");
  expect(nearest("lingerms", known)).toBe("lingerMs");
  expect(nearest("colour", known)).toBeUndefined();
  expect(nearest("x", known)).toBeUndefined();
});
