import { execFile } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
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

  async function serve(env: Readonly<Record<string, string>> = {}, ...args: string[]) {
    const socket = at.folder.file("notify");
    receiver = start(["python3", "-c", RECEIVER, socket]);
    await until("the socket is there", () => receiver.stdout().includes("bound"));
    const server = await startServe(at.folder.path, args, { env: { NOTIFY_SOCKET: socket, ...env } });
    at.serving.push(server, { ...receiver, port: 0, readyFile: "" });
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
    const server = await serve({ WATCHDOG_USEC: "100000" });
    server.child.kill("SIGUSR2");
    await until(
      "the follower is ready",
      () => messages().filter((one) => one.includes("READY=1")).length === 2,
    );
    const all = messages().filter((one) => one !== "WATCHDOG=1");
    const pid = Number(/^MAINPID=(\d+)\nSTATUS=hands over/.exec(all[1]!)?.[1]);
    expect(pid).not.toBe(server.child.pid);
    const count = messages().length;
    await until(
      "it tells that it lives",
      () =>
        messages()
          .slice(count)
          .filter((one) => one === "WATCHDOG=1").length >= 3,
    );
    process.kill(pid, "SIGTERM");
    // Both had the pipe of its standard error.
    expect(await server.ended).toBe(0);
  });

  test("that it lives, at half of what the unit allows", async () => {
    await serve({ WATCHDOG_USEC: "100000" });
    await until("three signs of life", () => messages().filter((one) => one === "WATCHDOG=1").length >= 3);
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
