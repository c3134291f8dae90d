import { execFile } from "node:child_process";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { findProgram, type Started, stage, start, startServe, until } from "./running.ts";

const UNIT = resolve(import.meta.dirname, "../../../deploy/systemd/drover.service");
const run = promisify(execFile);

/** Prints each datagram as a line of JSON. Node has no such sockets. */
const RECEIVER = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print(json.dumps("bound"), flush=True)
while True:
    print(json.dumps(s.recv(65536).decode()), flush=True)
`;

/** Why the tests of what systemd is told cannot run here. */
const missing = ["python3", "systemd-notify"].filter((name) => findProgram(name) === undefined);

describe.skipIf(missing.length > 0)(`systemd is told, which needs python3 and systemd-notify`, () => {
  const at = stage();
  let receiver: Started;
  const messages = () =>
    receiver
      .stdout()
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as string)
      .filter((message) => message !== "bound" && message !== "BARRIER=1");
  const told = (what: string) =>
    until(`systemd is told ${what}`, () => messages().some((one) => one.includes(what)));

  /** A `systemd-notify` that hands on messages that begin so only when it may. */
  function gated(begin: string) {
    const [reached, opened] = [at.folder.file("reached"), at.folder.file("opened")];
    const program = at.folder.file("systemd-notify");
    writeFileSync(
      program,
      `#!/bin/sh
case "$1" in "${begin}"*) : >${reached}; while [ ! -e ${opened} ]; do sleep 0.01; done ;; esac
exec ${findProgram("systemd-notify")} "$@"
`,
    );
    chmodSync(program, 0o755);
    return {
      path: `${at.folder.path}:${process.env.PATH}`,
      isReached: () => existsSync(reached),
      open: () => writeFileSync(opened, ""),
    };
  }

  async function serve(env: Readonly<Record<string, string>> = {}, ...args: string[]) {
    const socket = at.folder.file("notify");
    receiver = start(["python3", "-c", RECEIVER, socket]);
    at.serving.push({ ...receiver, port: 0, readyFile: "" });
    await until("the socket is there", () => receiver.stdout().includes("bound"));
    const options = { env: { NOTIFY_SOCKET: socket, ...env }, withFollowers: true };
    const server = await startServe(at.folder.path, args, options);
    at.serving.push(server);
    return server;
  }

  test("that the server is ready, reads its configuration again, and ends", async () => {
    const server = await serve({}, "--store", `sqlite:${at.folder.file("jobs.db")}`);
    await told("READY=1");
    server.child.kill("SIGHUP");
    await until("it is ready again", () => messages().filter((one) => one.includes("READY=1")).length === 2);
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);
    await told("STOPPING=1");
    const all = messages();
    expect(all[0]).toBe("STATUS=taking back what is stored");
    expect(all[1]).toMatch(/^READY=1\nSTATUS=serves (?:\S+, )+store sqlite:?\S*$/);
    expect(all[2]).toMatch(/^RELOADING=1\nMONOTONIC_USEC=\d+$/);
    expect(all[3]).toBe(all[1]);
    expect(all[4]).toBe("STOPPING=1\nSTATUS=stops, 0 jobs run");
    expect(all).toHaveLength(5);
  });

  test("which process is the main one, before the one that was ends", async () => {
    const gate = gated("MAINPID=");
    const server = await serve({ WATCHDOG_USEC: "100000", PATH: gate.path });
    const old = server.child.pid!;
    server.child.kill("SIGUSR2");
    const isReady = (one: string) => one.startsWith("READY=1");
    await until("the follower is ready", () => messages().filter(isReady).length === 2);
    await until("systemd is to be told who is the main one", gate.isReached);
    expect(server.hasEnded()).toBe(false);
    const { pid } = JSON.parse(readFileSync(server.readyFile, "utf8")) as { pid: number };
    expect(pid).not.toBe(old);
    gate.open();
    await until("the one that was ends", server.hasEnded);
    expect(server.child.exitCode).toBe(0);
    await told("MAINPID=");
    // The two tell by ways of their own: only what waits for the other's has an order.
    const [first, hands, ...rest] = messages().filter((one) => one !== "WATCHDOG=1");
    expect([first, hands]).toEqual([
      expect.stringMatching(/^READY=1\n/),
      `STATUS=hands over to process ${pid}`,
    ]);
    expect(rest.sort()).toEqual([`MAINPID=${pid}`, first]);
    const count = messages().length;
    const signs = () =>
      messages()
        .slice(count)
        .filter((one) => one === "WATCHDOG=1");
    await until("the new one tells that it lives", () => signs().length >= 3);
    process.kill(pid, "SIGTERM");
    // Both had the pipe of its standard error.
    expect(await server.ended).toBe(0);
  });

  test("of no other main process when that one fails, and the one that was fails as well", async () => {
    const gate = gated("STATUS=hands over");
    const server = await serve({ PATH: gate.path }, "--warm-up-ms", "0");
    server.child.kill("SIGUSR2");
    await until("the follower is prepared", gate.isReached);
    const pid = Number(/"successor":(\d+)/.exec(server.stderr())![1]);
    process.kill(pid, "SIGKILL");
    gate.open();
    expect(await server.ended).toBe(1);
    await told("hands over");
    expect(messages()).not.toContainEqual(expect.stringContaining("MAINPID="));
  });

  test("that it lives, at half of what the unit allows", async () => {
    await serve({ WATCHDOG_USEC: "100000" });
    await until("three signs of life", () => messages().filter((one) => one === "WATCHDOG=1").length >= 3);
  });

  test("that it lives as soon as it serves: the one before may have told so long ago", async () => {
    const server = await serve({ WATCHDOG_USEC: "3600000000" }, "--warm-up-ms", "0");
    const signs = () => messages().filter((one) => one === "WATCHDOG=1");
    await until("it lives", () => signs().length === 1);
    server.child.kill("SIGUSR2");
    await until("the follower lives", () => signs().length === 2);
  });

  test("nothing of a watchdog that is meant for another process", async () => {
    const server = await serve({ WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" });
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);
    await told("STOPPING=1");
    expect(messages()).not.toContain("WATCHDOG=1");
  });

  test("nothing where nobody listens, and the server goes on", async () => {
    const server = await serve({ NOTIFY_SOCKET: at.folder.file("nobody") });
    server.child.kill("SIGTERM");
    expect(await server.ended).toBe(0);
  });
});

const analyze = findProgram("systemd-analyze");

describe.skipIf(analyze === undefined)("the unit, which needs systemd-analyze", () => {
  const at = stage();

  /** The unit with a program that is there. */
  function unit(): string {
    const program = at.folder.file("drover");
    writeFileSync(program, "#!/bin/sh\n");
    chmodSync(program, 0o755);
    const path = at.folder.file("drover.service");
    writeFileSync(path, readFileSync(UNIT, "utf8").replaceAll("/usr/local/bin/drover", program));
    return path;
  }

  test("is one that systemd takes", async () => {
    const { stderr } = await run(analyze!, ["verify", "--man=no", unit()]);
    expect(stderr.split("\n").filter((line) => line.includes("drover"))).toEqual([]);
  });

  test("exposes little", async () => {
    const { stdout } = await run(analyze!, ["security", "--offline=true", "--threshold=25", unit()]);
    expect(stdout).toMatch(/Overall exposure level.*: [0-2]\.\d/);
  });
});

test("the unit's settings are those that the server needs", () => {
  const text = readFileSync(UNIT, "utf8");
  for (const line of ["Type=notify", "NotifyAccess=all", "Restart=on-failure", "StateDirectory=drover"]) {
    expect(text).toContain(`\n${line}\n`);
  }
  expect(text).not.toContain("\nMemoryDenyWriteExecute=");
  expect(join("/var/lib", "drover", "jobs.db")).toBe(/DROVER_STORE=sqlite:(.+)/.exec(text)![1]);
});
