import { chmodSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { Client } from "@drover/client";
import { Worker } from "@drover/worker";
import { describe, expect, test } from "vitest";
import { BIN, drover, run, stage, startDrover, startServe, until } from "./running.ts";

/* The real binary, as an init system runs it. */

const at = stage();
const { serve, serving } = at;

/** A server with a job that runs until `finish` is called. */
async function withRunningJob(...args: string[]) {
  const server = await serve(...args);
  const servers = `127.0.0.1:${server.port}`;
  const started = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const worker = new Worker({ servers });
  worker.handle("slow", async () => {
    started.resolve();
    await release.promise;
    return "done";
  });
  await worker.run();
  const client = new Client({ servers, unreachableMs: 500 });
  const result = client.submit("slow", "").result();
  result.catch(() => {});
  await started.promise;
  return {
    server,
    result,
    client,
    finish: () => release.resolve(),
    end: async () => {
      release.resolve();
      await Promise.all([client.close(), worker.close()]);
    },
  };
}

/** One line of the text protocol for administrators. */
async function admin(port: number, ...words: string[]): Promise<string> {
  const { stdout, stderr } = await drover(["admin", "-p", String(port), ...words]);
  return stdout + stderr;
}

function logLines(text: string): { level: string; msg: string; [field: string]: unknown }[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
}

describe("signals", () => {
  test("SIGTERM gives a running job its grace, delivers its result and exits 0", async () => {
    const { server, result, finish, end } = await withRunningJob("--grace", "15");
    server.child.kill("SIGTERM");
    await until("the server waits", () => server.stderr().includes("waiting for running jobs"));
    expect(server.hasEnded()).toBe(false);
    finish();
    expect(Buffer.from(await result).toString()).toBe("done");
    expect(await server.ended).toBe(0);
    await end();
  });

  test("SIGTERM exits 0 when the grace is over, whatever runs", async () => {
    const { server, end } = await withRunningJob("--grace", "0.2");
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);
    expect(server.stderr()).toContain("stopping with jobs that did not finish");
    await end();
  });

  test("a second signal exits 1 at once", async () => {
    const { server, end } = await withRunningJob("--grace", "60");
    server.child.kill("SIGTERM");
    await until("the server waits", () => server.stderr().includes("waiting for running jobs"));
    server.child.kill("SIGINT");
    expect(await server.ended).toBe(1);
    await end();
  });

  test("SIGUSR1 drains: the running job ends first, new connections find nobody", async () => {
    const { server, result, client, finish, end } = await withRunningJob();
    server.child.kill("SIGUSR1");
    await until("the server drains", () => server.stderr().includes("draining"));
    const { code } = await drover(["admin", "-p", String(server.port), "--getpid"]);
    expect(code).toBe(2);
    // Connections of old may still submit.
    const { known } = await client.status("H:none:1");
    expect(known).toBe(false);
    expect(server.hasEnded()).toBe(false);
    finish();
    expect(Buffer.from(await result).toString()).toBe("done");
    expect(await server.ended).toBe(0);
    expect(server.stderr()).not.toMatch(/Debugger|inspector/);
    await end();
  });

  test("a signal that comes while the server starts is obeyed once it has", async () => {
    const server = startDrover(["serve", "-p", "0", "--config", "/dev/null"], { cwd: at.folder.path });
    await until("the program has taken over its signals", () => catchesSignal(server.child.pid!));
    server.child.kill("SIGUSR1");
    expect(await server.ended).toBe(0);
    expect(server.stderr()).not.toMatch(/Debugger|inspector/);
  });

  test("SIGHUP opens the log anew and takes new settings of functions into use", async () => {
    const config = at.folder.file("drover.yaml");
    const log = at.folder.file("log");
    writeFileSync(config, "functions: { q: { maxQueue: 1 } }\n");
    const server = await serve("--config", config, "-l", log);
    const client = new Client({ servers: `127.0.0.1:${server.port}` });
    await client.background("q", "1");
    await expect(client.background("q", "2")).rejects.toMatchObject({ code: "QUEUE_FULL" });
    renameSync(log, `${log}.1`);
    writeFileSync(config, "functions: { q: { maxQueue: 2 } }\n");
    server.child.kill("SIGHUP");
    await until(
      "the log is there again",
      () => existsSync(log) && readFileSync(log, "utf8").includes("reloaded"),
    );
    await client.background("q", "2");
    await expect(client.background("q", "3")).rejects.toMatchObject({ code: "QUEUE_FULL" });

    // A configuration that is wrong changes nothing, and is told.
    writeFileSync(config, "functions: { q: { maxQueu: 9 } }\n");
    server.child.kill("SIGHUP");
    await until("the mistake is logged", () => readFileSync(log, "utf8").includes("did you mean maxQueue?"));
    await expect(client.background("q", "3")).rejects.toMatchObject({ code: "QUEUE_FULL" });
    await client.close();
    expect(readFileSync(`${log}.1`, "utf8")).toContain("listening");
  });
});

/** Whether the process catches SIGUSR1 with a handler of JavaScript's: then SIGHUP is caught as well. */
function catchesSignal(pid: number): boolean {
  const match = /^SigCgt:\s+([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  // Signal 1 is the lowest bit; Node itself never catches it.
  return match !== null && (BigInt(`0x${match[1]}`) & 1n) === 1n;
}

describe("files", () => {
  test("the ready file tells process, version and addresses, and goes with the server", async () => {
    const server = await serve(
      "-L",
      "localhost",
      "-L",
      `unix:${at.folder.file("s")}`,
      "-P",
      at.folder.file("pid"),
    );
    const ready = JSON.parse(readFileSync(server.readyFile, "utf8"));
    expect(ready.pid).toBe(server.child.pid);
    expect(ready.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(ready.listeners[0]).toEqual({ transport: "tcp", address: "127.0.0.1", port: server.port });
    expect(ready.listeners.at(-1)).toEqual({ transport: "unix", address: at.folder.file("s"), port: 0 });
    expect(readFileSync(at.folder.file("pid"), "utf8")).toBe(`${server.child.pid}\n`);
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);
    for (const path of [server.readyFile, at.folder.file("pid"), at.folder.file("s")])
      expect(existsSync(path)).toBe(false);
  });

  test("a pid file that a live process holds is left alone, one of a dead process is replaced", async () => {
    const pidFile = at.folder.file("pid");
    writeFileSync(pidFile, `${process.pid}\n`);
    const refused = await drover(["serve", "-p", "0", "-P", pidFile], { cwd: at.folder.path });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`PID_FILE_HELD: ${pidFile} belongs to process ${process.pid}`);
    expect(readFileSync(pidFile, "utf8")).toBe(`${process.pid}\n`);

    const { child, ended } = startDrover(["--version"]);
    await ended;
    writeFileSync(pidFile, `${child.pid}\n`);
    const server = await serve("-P", pidFile);
    expect(readFileSync(pidFile, "utf8")).toBe(`${server.child.pid}\n`);
  });

  test("a port in use is told with its remedy, and no file is left behind", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    const port = await until("the port is taken", () => (other.address() as { port: number } | null)?.port);
    const { code, stderr } = await drover(
      [
        "serve",
        "-L",
        `127.0.0.1:${port}`,
        "-P",
        at.folder.file("pid"),
        "--ready-file",
        at.folder.file("ready"),
      ],
      { cwd: at.folder.path },
    );
    other.close();
    expect(code).toBe(2);
    expect(stderr).toMatch(/drover: ADDRESS_IN_USE: .*choose another address/);
    expect(existsSync(at.folder.file("pid"))).toBe(false);
    expect(existsSync(at.folder.file("ready"))).toBe(false);
  });

  test("a log or ready file that cannot be written is told by name", async () => {
    const log = await drover(["serve", "-p", "0", "-l", "/nonexistent/log"], { cwd: at.folder.path });
    expect([log.code, log.stderr]).toEqual([
      2,
      "drover: FILE_NOT_WRITABLE: cannot write the log file /nonexistent/log (ENOENT)\n",
    ]);
    const ready = await drover(["serve", "-p", "0", "--ready-file", "/nonexistent/r", "-l", "none"], {
      cwd: at.folder.path,
    });
    expect([ready.code, ready.stderr]).toEqual([
      2,
      "drover: FILE_NOT_WRITABLE: cannot write the ready file /nonexistent/r (ENOENT)\n",
    ]);
  });
});

describe("the log", () => {
  test("is JSON where there is no terminal, with level, time and addresses, and says that loopback is the default", async () => {
    const server = await serve();
    await until("it is logged", () => server.stderr().includes("listening"));
    const [line] = logLines(server.stderr());
    expect(line).toMatchObject({ level: "info", pid: server.child.pid });
    expect(line!.msg).toMatch(/loopback, which is the default/);
    expect(line!.listening).toContain(`127.0.0.1:${server.port}`);
    expect(Date.parse(String(line!.time))).not.toBeNaN();
  });

  test("escapes what peers send, in JSON and in text", async () => {
    for (const format of ["json", "text"]) {
      const server = await serve("--log-format", format, "--max-unique-bytes", "100", "--max-functions", "1");
      const client = new Client({ servers: `127.0.0.1:${server.port}` });
      await client.background("one", "");
      await expect(client.background("\x1b]0;owned\x07\n\u009b31m", "")).rejects.toThrow();
      await until("it is logged", () => server.stderr().includes("owned"));
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
      expect(server.stderr()).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
      await client.close();
      server.child.kill("SIGTERM");
      await server.ended;
    }
  });

  test("--verbose ERROR keeps quiet, DEBUG tells of options without effect, and the server answers its level", async () => {
    const quiet = await serve("--verbose", "ERROR");
    expect(await admin(quiet.port, "--server-verbose")).toBe("ERROR\n");
    expect(quiet.stderr()).toBe("");
    const loud = await serve("--verbose", "DEBUG", "-R");
    await until("it is logged", () => loud.stderr().includes("functions always take turns"));
  });

  test("--syslog hands every line to logger with its severity", async () => {
    const seen = at.folder.file("seen");
    writeFileSync(at.folder.file("logger"), `#!/bin/sh\necho "$@" > ${seen}.args\nexec cat > ${seen}\n`);
    chmodSync(at.folder.file("logger"), 0o755);
    const server = await startServe(at.folder.path, ["--syslog"], {
      env: { PATH: `${at.folder.path}:${process.env.PATH}` },
    });
    serving.push(server);
    server.child.kill("SIGTERM");
    await server.ended;
    await until("logger has all", () => existsSync(seen) && readFileSync(seen, "utf8").includes("stopped"));
    expect(readFileSync(seen, "utf8")).toMatch(/^<30>.*listening/);
    expect(readFileSync(`${seen}.args`, "utf8")).toContain("--tag drover");
    expect(server.stderr()).toBe("");
  });
});

describe("start and stop", () => {
  test("--check-args starts nothing and tells by 0 or 1", async () => {
    expect(
      (await drover(["serve", "--check-args", "-p", "4730", "-j", "3"], { cwd: at.folder.path })).code,
    ).toBe(0);
    const wrong = await drover(["serve", "--check-args", "-p", "x", "-j", "y"], { cwd: at.folder.path });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr.split("\n")).toHaveLength(3);
    expect((await drover(["serve", "--check-args", "--nonsense"])).code).toBe(1);
    expect((await drover(["serve", "--nonsense"])).code).toBe(2);
  });

  test("--daemon returns when the server listens, with 0; with 1 and the reason when it cannot", async () => {
    const [pid, log, ready] = [at.folder.file("pid"), at.folder.file("log"), at.folder.file("ready")];
    const args = ["serve", "-dp", "0", "-P", pid, "-l", log, "--ready-file", ready];
    const started = await drover(args, { cwd: at.folder.path });
    expect([started.code, started.stderr]).toEqual([0, ""]);
    const { pid: daemon, listeners } = JSON.parse(readFileSync(ready, "utf8"));
    try {
      expect(readFileSync(pid, "utf8")).toBe(`${daemon}\n`);
      expect(await admin(listeners[0].port, "--getpid")).toBe(`${daemon}\n`);
      const again = await drover(["serve", "-d", "-L", `127.0.0.1:${listeners[0].port}`, "-l", log], {
        cwd: at.folder.path,
      });
      expect(again.code).toBe(1);
      expect(again.stderr).toMatch(/START_FAILED: ADDRESS_IN_USE/);
    } finally {
      process.kill(daemon, "SIGTERM");
    }
    await until("the daemon has ended", () => !existsSync(pid));
    expect(readFileSync(log, "utf8")).toContain("stopped");
  });

  test("--user becomes that user, and leaves the log to it", async ({ skip }) => {
    if (process.getuid?.() !== 0) skip("only root may become another user");
    chmodSync(at.folder.path, 0o777);
    const server = await serve("-u", "nobody", "-l", at.folder.file("log"));
    expect(readFileSync(`/proc/${server.child.pid}/status`, "utf8")).toMatch(/^Uid:\s+65534\s+65534/m);
    expect(statSync(at.folder.file("log")).uid).toBe(65534);
    const unknown = await drover(["serve", "-u", "no-such-user", "-p", "0"], { cwd: at.folder.path });
    expect([unknown.code, unknown.stderr]).toEqual([
      2,
      'drover: USER_UNKNOWN: --user "no-such-user": there is no such user\n',
    ]);
  });

  test("`shutdown` is obeyed only where it was allowed", async () => {
    const strict = await serve();
    expect(await admin(strict.port, "--shutdown")).toBe(
      "Error: the server was not started with --allow-shutdown\n",
    );
    const server = await serve("--allow-shutdown");
    expect(await admin(server.port, "--shutdown", "graceful")).toBe("OK\n");
    expect(await server.ended).toBe(0);
  });

  test("more file descriptors than the system allows are warned about", async () => {
    const server = await serve("-f", "100000000");
    await until("it is logged", () => server.stderr().includes("raise the limit with ulimit -n"));
  });

  test("a bug is logged as fatal and ends the server with 1, its files gone", async () => {
    const script = 'process.on("SIGUSR2", () => { throw new Error("as if by a bug"); })';
    const bug = `data:text/javascript;base64,${Buffer.from(script).toString("base64")}`;
    const server = await startServe(at.folder.path, ["-P", at.folder.file("pid")], {
      env: { NODE_OPTIONS: `--import ${bug}` },
    });
    serving.push(server);
    server.child.kill("SIGUSR2");
    expect(await server.ended).toBe(1);
    expect(logLines(server.stderr()).at(-1)).toMatchObject({
      level: "fatal",
      error: { message: "as if by a bug" },
    });
    expect(existsSync(at.folder.file("pid"))).toBe(false);
    expect(existsSync(server.readyFile)).toBe(false);
  });

  test("a Node that is too old is told so in one line", async () => {
    const pretend = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"22.1.0"}})';
    const { code, stderr } = await run([process.execPath, "--import", pretend, BIN, "serve"]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^drover needs Node\.js 24 or newer, and this is 22\.1\.0: .*\n$/);
  });
});

describe.runIf(process.platform === "linux")("the server's process", () => {
  const commandLine = (pid: number | undefined) => readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");

  test("has the flags of a server, under the number it was started with", async () => {
    const { child } = await serve();
    const words = commandLine(child.pid);
    expect(words).toContain("--max-semi-space-size=4");
    expect(words).toContain("--invocation-count-for-turbofan=1000");
  });

  test("has the young generation that was asked for", async () => {
    const env = { NODE_OPTIONS: "--max-semi-space-size=8" };
    const server = await startServe(at.folder.path, [], { env });
    serving.push(server);
    const words = commandLine(server.child.pid);
    expect(words.filter((word) => word.includes("semi-space"))).toEqual([]);
    expect(words).toContain("--invocation-count-for-turbofan=1000");
  });
});
