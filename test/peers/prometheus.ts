import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "./packages.ts";
import { freePort } from "./ports.ts";
import { until } from "./until.ts";

const START_MS = 30_000;
const INTERVAL = "250ms";

export interface Rule {
  readonly name: string;
  readonly health: "ok" | "err" | "unknown";
  readonly lastError?: string;
  readonly state: "inactive" | "pending" | "firing";
  readonly alerts: readonly { readonly annotations: Readonly<Record<string, string>> }[];
}

/** A real Prometheus that scrapes and evaluates several times a second. */
export interface Prometheus extends AsyncDisposable {
  /** How many series answer an expression now. @throws When it is no expression. */
  query(expression: string): Promise<number>;
  rules(): Promise<Rule[]>;
}

/** @param targets What is scraped, as `host:port`. */
export async function startPrometheus(targets: readonly string[], rulesFile: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), "drover-prometheus-"));
  const config = join(folder, "prometheus.yml");
  writeFileSync(
    config,
    // YAML has JSON in it.
    JSON.stringify({
      global: { scrape_interval: INTERVAL, scrape_timeout: INTERVAL, evaluation_interval: INTERVAL },
      rule_files: [rulesFile],
      scrape_configs: [{ job_name: "drover", static_configs: [{ targets }] }],
    }),
  );
  const port = await freePort();
  const child = spawn(
    findProgram("prometheus")!,
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const killed = () => child.kill("SIGKILL");
  process.once("exit", killed);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ended = once(child, "close");
  const end = async () => {
    child.kill("SIGKILL");
    await ended;
    process.off("exit", killed);
    rmSync(folder, { recursive: true, force: true });
  };
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    const { data, error } = (await answer.json()) as { data?: unknown; error?: string };
    if (error !== undefined) throw new Error(`${path}: ${error}`);
    return data;
  };
  try {
    await until("Prometheus is ready", START_MS, () => {
      if (child.exitCode !== null) throw new Error(`prometheus ended: ${said}`);
      return fetch(`http://127.0.0.1:${port}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
  } catch (error) {
    await end();
    throw error;
  }
  return {
    async query(expression) {
      const data = await ask(`/api/v1/query?query=${encodeURIComponent(expression)}`);
      return (data as { result: unknown[] }).result.length;
    },
    async rules() {
      const { groups } = (await ask("/api/v1/rules")) as { groups: { rules: Rule[] }[] };
      return groups.flatMap((group) => group.rules);
    },
    [Symbol.asyncDispose]: end,
  };
}
