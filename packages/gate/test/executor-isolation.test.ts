import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { describeWith } from "../../../test/peers/needs.ts";
import { until } from "../../../test/peers/until.ts";
import type { Isolation } from "../src/executor/isolation.ts";
import { Stage, script } from "./executor-stage.ts";

const SLEEP = "86399";

/** Processes that sleep for a number of seconds that nobody else sleeps for. */
function sleepers(part: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const [program, seconds] = readFileSync(`/proc/${name}/cmdline`, "latin1").split("\0");
        const isDead = /^State:\t[ZX]/m.test(readFileSync(`/proc/${name}/status`, "latin1"));
        return program?.endsWith("sleep") && seconds === part && !isDead;
      } catch {
        return false;
      }
    })
    .map(Number);
}

let lastSleep = 0;
/** Seconds to sleep, of one test alone. */
const ownSleep = () => `${SLEEP}.${process.pid}${++lastSleep}`;

const KINDS: readonly Isolation[] =
  process.getuid?.() === 0 ? ["bubblewrap", "user", "none"] : ["bubblewrap", "none"];

describeWith(["bubblewrap"], "processes of a build", () => {
  describe.each(KINDS)("isolated by %s", (kind) => {
    const stage = new Stage({ isolation: kind, limits: { maxProcesses: 200 } });

    test("end with it, also those that left its session", async () => {
      const sleep = ownSleep();
      const { outcome, log } = await stage.run(
        stage.request(
          `setsid sh -c 'setsid sleep ${sleep} & sleep ${sleep} &' & sleep ${sleep} & sleep 0.1; echo done`,
        ),
      );
      expect(stage.executor.isolation).toBe(kind);
      expect([outcome.result, log]).toEqual([{ kind: "final", result: "SUCCESS" }, "done\n"]);
      expect(sleepers(sleep)).toEqual([]);
    });

    test("end at the timeout", async () => {
      const sleep = ownSleep();
      const request = stage.request(`trap '' TERM INT; setsid setsid sleep ${sleep} & sleep ${sleep}`);
      const { outcome } = await stage.run({ ...request, timeoutMs: 500 });
      expect(outcome.result).toEqual({ kind: "final", result: "TIMED_OUT" });
      expect(sleepers(sleep)).toEqual([]);
    });

    test("end when it is cancelled, and post-run does not run", async () => {
      const sleep = ownSleep();
      const cancel = new AbortController();
      let execution = "";
      const running = stage.executor.run(
        { ...stage.request(`echo up; setsid sleep ${sleep}`), postRun: [script("echo post")] },
        {
          signal: cancel.signal,
          onStart: (id) => {
            execution = id;
          },
          onOutput: ({ bytes }) => {
            if (Buffer.from(bytes).toString().includes("up\n")) cancel.abort();
          },
        },
      );
      await expect(running).rejects.toMatchObject({ code: "BUILD_CANCELLED" });
      expect(sleepers(sleep)).toEqual([]);
      expect(await stage.wholeLogOf(execution)).toMatch(/drover: cancelled\n$/);
      expect(await stage.logOf(execution)).toBe("up\n");
    });

    test("that fork without end are held within a number, and end", async () => {
      const sleep = ownSleep();
      // A bomb that does not go off where nothing holds it.
      const isHeld = kind !== "none" || existsSync("/sys/fs/cgroup/pids");
      const fork = `while :; do sleep ${sleep} & done`;
      const request = stage.request(isHeld ? fork : `sleep ${sleep}`);
      let most = 0;
      const looking = setInterval(() => {
        most = Math.max(most, sleepers(sleep).length);
      }, 100);
      onTestFinished(() => clearInterval(looking));
      const { outcome } = await stage.run({ ...request, timeoutMs: 2_000 });
      expect(["FAILURE", "TIMED_OUT"]).toContain((outcome.result as { result: string }).result);
      expect(most).toBeLessThanOrEqual(200);
      expect(sleepers(sleep)).toEqual([]);
    });

    test("that an executor left when it was killed end with it, or when the next one starts", async () => {
      const sleep = ownSleep();
      const folder = join(stage.folder, "killed");
      const child = startExecutor(kind, folder, stage.request(`setsid sleep ${sleep} & sleep ${sleep}`));
      await until("the build sleeps", 20_000, () => sleepers(sleep).length === 2);
      child.kill("SIGKILL");
      await once(child, "exit");
      const next = await stage.start({ folder });
      onTestFinished(() => next.close());
      await until("nothing sleeps", 5_000, () => sleepers(sleep).length === 0);
      expect(next.leftovers).toBe(0);
      const [execution] = readdirSync(join(folder, "executions"));
      const record = readFileSync(join(folder, "executions", execution!, "execution.json"), "utf8");
      expect(existsSync((JSON.parse(record) as { work: string }).work)).toBe(false);
      expect(await next.readLog(execution!)).toMatchObject({ offset: 0 });
    });
  });
});

/** An executor in a process of its own, which runs a build. */
function startExecutor(isolation: Isolation, folder: string, request: unknown): ChildProcess {
  const source = `
    import { Executor } from ${JSON.stringify(new URL("../src/executor/executor.ts", import.meta.url).href)};
    const [options, request] = JSON.parse(process.argv[1]);
    const executor = await Executor.start(options);
    await executor.run(request);
  `;
  return spawn(
    process.execPath,
    ["--input-type=module", "--eval", source, JSON.stringify([{ folder, isolation }, request])],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
}

describeWith(["bubblewrap"], "a build under bubblewrap", () => {
  const stage = new Stage();

  test("cannot reach a port or a socket of the gate", async () => {
    const server = createServer((socket) => socket.end("reached\n"));
    const unix = createServer((socket) => socket.end("reached\n"));
    server.listen(0, "127.0.0.1");
    const path = join(stage.folder, "state", "gate.sock");
    unix.listen(path);
    await Promise.all([once(server, "listening"), once(unix, "listening")]);
    onTestFinished(() => {
      server.close();
      unix.close();
    });
    const { port } = server.address() as { port: number };
    const dial = (to: string) =>
      `perl -MIO::Socket::INET -MIO::Socket::UNIX -e 'my $s = ${to}; print $s ? <$s> : "no: $!\\n"'`;
    const { log } = await stage.run(
      stage.request(
        dial(`IO::Socket::INET->new("127.0.0.1:${port}")`),
        dial(`IO::Socket::UNIX->new("${path}")`),
        "ls -1 /proc/net/dev >/dev/null; grep -c : /proc/net/dev",
      ),
    );
    expect(log).toBe("no: Connection refused\nno: No such file or directory\n1\n");
  });

  test("has the network when its job says so", async () => {
    const server = createServer((socket) => socket.end("reached\n"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const dial = `perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new("127.0.0.1:${port}"); print <$s>'`;
    const { log } = await stage.run({ ...stage.request(dial), network: true });
    expect(log).toBe("reached\n");
  });

  test("sees neither the state of the gate nor what belongs to others, and writes to none of it", async () => {
    const secret = join(stage.folder, "state", "tokens");
    writeFileSync(secret, "secret");
    const { log } = await stage.run(
      stage.request(
        `cat ${secret}; cat ${stage.app.path}/HEAD; ls ${stage.folder}/executor; ls /root /home /srv /run /mnt; ls /proc/1/root/`,
        "true",
      ),
    );
    expect(log).not.toMatch(/secret$|ref: refs|executions/m);
    expect(log.match(/No such file or directory/g)).toHaveLength(8);
    expect(log).toMatch(/Permission denied/);
    const store = join(stage.app.path, "objects");
    const writing = [
      `echo x > ${store}/x`,
      "echo x > /etc/x",
      "echo x > /usr/x",
      "echo x > /x",
      "echo x > /build/x",
    ];
    for (const text of writing) {
      const { outcome } = await stage.run(stage.request(text));
      expect(outcome.result).toEqual({ kind: "final", result: "FAILURE" });
    }
    expect(existsSync(join(store, "x"))).toBe(false);
  });

  test("sees no process but its own, and no variable of the executor's environment", async () => {
    process.env.DROVER_TEST_SECRET = "leaked";
    onTestFinished(() => {
      delete process.env.DROVER_TEST_SECRET;
    });
    const { log } = await stage.run(
      stage.request(
        "env; cat /proc/*/environ | tr '\\0' '\\n'; echo processes: $(ls -d /proc/[0-9]* | wc -l)",
      ),
    );
    expect(log).not.toContain("leaked");
    expect(Number(/processes: (\d+)/.exec(log)![1])).toBeLessThanOrEqual(6);
  });

  test("has no privileges, and cannot get any", async () => {
    const { log } = await stage.run(
      stage.request(
        "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; id -un; test -r /etc/shadow || echo closed; mount -t tmpfs x /tmp 2>/dev/null || echo no mount",
      ),
    );
    expect(log.split("\n")).toEqual([
      expect.stringMatching(/CapEff:\s0+$/),
      expect.stringMatching(/CapBnd:\s[0-9a-f]+$/),
      expect.stringMatching(/NoNewPrivs:\s1$/),
      "build",
      "closed",
      "no mount",
      "",
    ]);
  });

  test("finds hidden what it was told to hide below a system folder", async () => {
    const folder = "/usr/local/lib/drover-executor-test";
    if (process.getuid?.() !== 0) return;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "token"), "secret");
    onTestFinished(() => void spawn("rm", ["-r", folder]));
    const hiding = await stage.start({ folder: join(stage.folder, "hiding"), hidden: [folder] });
    onTestFinished(() => hiding.close());
    const text = `ls -A ${folder} | wc -l; echo x > ${folder}/x || true`;
    const { execution } = await hiding.run(stage.request(text));
    const log = Buffer.from((await hiding.readLog(execution))!.bytes).toString();
    expect(log).toMatch(/\n0\n/);
    expect(log).toMatch(/Read-only file system/);
  });

  test("leaves its folders to nobody", async () => {
    await stage.run(
      stage.request(
        "mkdir -p a/b; chmod 000 a; cd /tmp; for i in $(seq 300); do mkdir dddddddddddddddd; cd dddddddddddddddd; done",
      ),
    );
    expect(readdirSync(join(stage.folder, "executor", "work"))).toEqual([]);
  });
});

describe("isolation", () => {
  test("is told, with a warning where it is not as it should be", async () => {
    const stage = await import("../src/executor/executor.ts");
    const folder = `/tmp/drover-executor-none-${process.pid}`;
    const executor = await stage.Executor.start({ folder, isolation: "none" });
    onTestFinished(async () => {
      await executor.close();
      spawn("rm", ["-r", folder]);
    });
    expect(executor.isolation).toBe("none");
    expect(executor.warning).toMatch(/a build can do what the gate can/);
  });
});

describe("an executor's folder", () => {
  const stage = new Stage();

  test("belongs to one executor", async () => {
    await expect(stage.start()).rejects.toMatchObject({ code: "EXECUTOR_UNUSABLE" });
    expect((await stage.run(stage.request("true"))).outcome.detail).toBeNull();
  });

  test("is anybody's when who had it was killed while it wrote so", async () => {
    const folder = join(stage.folder, "half");
    mkdirSync(folder);
    writeFileSync(join(folder, "owner.json"), "");
    await using executor = await stage.start({ folder });
    expect(executor.leftovers).toBe(0);
  });

  test("that cannot be one is told", async () => {
    writeFileSync(join(stage.folder, "file"), "");
    const start = stage.start({ folder: join(stage.folder, "file") });
    await expect(start).rejects.toMatchObject({ code: "EXECUTOR_UNUSABLE" });
  });

  test("logs and artifacts go when they are old, and the oldest when they are too much", async () => {
    await stage.executor.sweep(Date.now() + 60_000, 0);
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) {
      const { outcome } = await stage.run(
        stage.request("head -c 100000 /dev/zero > $DROVER_ARTIFACTS/a; ls $DROVER_ARTIFACTS"),
      );
      ids.push(outcome.execution);
    }
    expect(await stage.executor.sweep(0, 1_000_000)).toEqual([]);
    expect(await stage.executor.sweep(0, 250_000)).toEqual([ids[0]]);
    expect(await stage.executor.readLog(ids[0]!)).toBeUndefined();
    expect(await stage.executor.sweep(Date.now() + 60_000, 1_000_000)).toEqual([ids[1], ids[2]]);
  });
});
