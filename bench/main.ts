import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { install, installObstacle } from "../test/peers/install.ts";
import { findProgram } from "../test/peers/packages.ts";
import { until } from "../test/peers/until.ts";

/*
 * `npm run bench`: the neutral load generator of bench/gearbench against stock gearmand and drover, alternately, in
 * one run; prints medians and ratios. `--quick` only checks that every scenario's answers are right, without a peer.
 * A figure never makes it fail; a wrong answer does.
 */

const ROOT = resolve(import.meta.dirname, "..");
const GEARBENCH = join(ROOT, "bench/gearbench");
const DROVER = `${process.execPath} ${join(ROOT, "packages/cli/bin/drover.js")} serve --listen 127.0.0.1`;
const GEARMAND = "gearmand --listen=127.0.0.1 --log-file=none --pid-file=gearmand-$PORT.pid";

/** Scenarios of the check, short: what they prove is in bench/gearbench/README.md. */
const CHECKS = [
  "ping --seconds 1",
  "echo --seconds 2",
  "echo --seconds 2 --size 65536",
  "submit --jobs 20000",
  "herd --seconds 3",
  "herd --seconds 2 --clients 1000 --uniques 2 --hold-ms 0",
  "idle --idle-clients 500 --idle-workers 100 --seconds 1",
  "functions --functions 1000 --seconds 2",
  "functions --functions 1000 --function-split --workers 8 --seconds 2",
  "priority",
];

const HELP = `Usage: npm run bench -- [options]

  --quick            check every scenario's answers against drover alone (under a minute); no figures
  --rounds N         rounds per scenario (3); the table shows medians
  --scenarios LIST   names separated by spaces, as in bench/gearbench/README.md (default: all)
  --pin              pin servers and load generator to one core each
  --short            shorter runs and smaller queues
  --best             also run gearmand with one thread, and tuned for large queues and many sleepers
  --help
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string", default: "3" },
      scenarios: { type: "string" },
      pin: { type: "boolean", default: false },
      short: { type: "boolean", default: false },
      best: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  await need("gcc", ["gcc", "libc6-dev", "make"]);
  await need("make", ["make"]);
  run("make", ["--silent", "-C", GEARBENCH]);
  if (values.quick) return check();
  await need("gearmand", ["gearman-job-server"]);
  const servers = [`gearmand=${GEARMAND} --port=$PORT`];
  if (values.best) {
    servers.push(`gm-1=${GEARMAND} --threads=1 --port=$PORT`);
    servers.push(
      `gm-tuned=${GEARMAND} --threads=1 --hashtable-buckets=1000003 --worker-wakeup=1 --port=$PORT`,
    );
  }
  servers.push(`drover=${DROVER} --log-file none --port $PORT`);
  const options = ["-r", values.rounds];
  if (values.scenarios !== undefined) options.push("-s", values.scenarios);
  if (values.pin) options.push("-c");
  if (values.short) options.push("-q");
  const folder = mkdtempSync(join(tmpdir(), "drover-bench-"));
  try {
    // A folder of its own: gearmand leaves its pid files where it is started.
    return run(join(GEARBENCH, "compare.sh"), [...options, ...servers], folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs every check against one drover. @returns the exit code. */
async function check(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "drover-bench-"));
  const ready = join(folder, "ready");
  const words = `${DROVER} --port 0 --ready-file ${ready}`.split(" ");
  const server = spawn(words[0]!, words.slice(1), { stdio: ["ignore", "ignore", "inherit"] });
  let failed = 0;
  try {
    await until("drover listens", 30_000, () => {
      if (server.exitCode !== null) throw new Error(`drover serve ended with ${server.exitCode}`);
      return existsSync(ready);
    });
    const { listeners } = JSON.parse(readFileSync(ready, "utf8")) as { listeners: { port: number }[] };
    const port = String(listeners[0]!.port);
    for (const scenario of CHECKS) {
      const args = [...scenario.split(" "), "--port", port, "--server-pid", String(server.pid)];
      const { status } = spawnSync(join(GEARBENCH, "build/gearbench"), args, {
        stdio: ["ignore", "ignore", "inherit"],
        timeout: 120_000,
      });
      if (status === 0) continue;
      failed++;
      process.stderr.write(`gearbench ${scenario}: wrong answers (exit status ${status})\n`);
    }
  } finally {
    server.kill("SIGTERM");
    rmSync(folder, { recursive: true });
  }
  process.stdout.write(`bench: ${CHECKS.length - failed} scenarios right, ${failed} wrong\n`);
  return failed === 0 ? 0 : 1;
}

/** Makes sure that a program is there, from Debian's packages where that is possible. */
async function need(program: string, names: readonly string[]): Promise<void> {
  if (findProgram(program) !== undefined) return;
  const obstacle = installObstacle();
  if (obstacle !== undefined)
    throw new Error(`${program} is missing, and ${obstacle}: install ${names.join(" ")}`);
  const failures = await install(names);
  if (failures.size > 0) throw new Error(`${program} is missing: ${[...failures.values()].join("; ")}`);
}

function run(program: string, args: readonly string[], cwd = ROOT): number {
  const { status, error } = spawnSync(program, args, { cwd, stdio: "inherit" });
  if (error !== undefined) throw error;
  return status ?? 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
