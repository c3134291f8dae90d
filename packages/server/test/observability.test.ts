import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { beforeEach, describe, expect, it } from "vitest";
import { parseAllDocuments, parse as parseYaml } from "yaml";
import { describeWith } from "../../../test/peers/needs.ts";
import { findProgram } from "../../../test/peers/packages.ts";
import { startPrometheus } from "../../../test/peers/prometheus.ts";
import { until } from "../../../test/peers/until.ts";
import { MemoryStore } from "../src/stores/memory.ts";
import { type Operated, operate } from "./operator-stage.ts";

/* The files of docs/observability are what they claim to be, and name only what a server tells. */

const FOLDER = resolve(import.meta.dirname, "../../../docs/observability");
const DEADLINE_MS = 20_000;
const text = (name: string) => readFileSync(resolve(FOLDER, name), "utf8");

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}
interface Dashboard {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}
interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

const dashboard = JSON.parse(text("grafana-dashboard.json")) as Dashboard;
const panelQueries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
const rules = (parseYaml(text("alerts.yaml")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (one) => one.rules,
);
const manifests = parseAllDocuments(text("keda.yaml")).map((one) => one.toJS());

const metricsIn = (query: string) => query.match(/\b(?:drover|nodejs|process)_\w+/g) ?? [];

/** Every name under which a server with a store tells something, once everything has happened. */
let names: ReadonlySet<string>;
let at: Operated;
beforeEach(async () => {
  at = await operate({ store: new MemoryStore(), limits: { maxFunctions: 2 } });
  const client = at.client();
  await client.background("report", "");
  await client
    .submit("mail", "", { deadlineMs: 1 })
    .result()
    .catch(() => {});
  await at.work("report", () => "");
  await at.work("mail", () => "");
  await client.submit("mail", "").result();
  await expect(client.background("third", "")).rejects.toMatchObject({ code: "QUEUE_FULL" });
  await until("it has run", 20_000, () => at.server.core.state.counts.completed >= 2);
  names = new Set((await at.scrape()).samples.map(({ name }) => name));
});

describe("docs/observability", () => {
  it("the dashboard's queries name only what a server tells", () => {
    const queries = [
      ...panelQueries,
      ...dashboard.templating.list.flatMap(({ definition }) => definition ?? []),
    ];
    expect(queries.length).toBeGreaterThan(30);
    for (const query of queries) {
      expect(metricsIn(query), query).not.toEqual([]);
      for (const name of metricsIn(query)) expect(names, query).toContain(name);
    }
  });

  it("the dashboard is one that Grafana takes: ids are unique, and panels do not overlap", () => {
    const { panels, schemaVersion, uid } = dashboard;
    expect({ schemaVersion, uid }).toEqual({ schemaVersion: 39, uid: "drover" });
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos } of panels) {
      const { x, y, w, h } = gridPos;
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++) {
        for (let row = y; row < y + h; row++) {
          expect(taken, title).not.toContain(`${column} ${row}`);
          taken.add(`${column} ${row}`);
        }
      }
    }
    for (const { type, targets = [] } of panels) expect(targets.length > 0).toBe(type !== "row");
  });

  it("alert rules name only what a server tells, and say what to do", () => {
    expect(rules.length).toBeGreaterThan(10);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { alert, expr, labels, annotations } of rules) {
      expect(metricsIn(expr), alert).not.toEqual([]);
      for (const name of metricsIn(expr)) expect(names, alert).toContain(name);
      expect(["critical", "warning", "info"]).toContain(labels.severity);
      expect(annotations.summary, alert).toMatch(/\.$/);
      expect(annotations.runbook, alert).toMatch(/\w{3}.*[.`]$/s);
    }
  });

  it("manifests for Kubernetes scale by what a server tells", () => {
    const [keda, hpa, ...more] = manifests;
    expect(more).toEqual([]);
    expect(keda).toMatchObject({ apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject" });
    const [trigger] = keda.spec.triggers;
    expect(trigger.type).toBe("prometheus");
    for (const value of Object.values(trigger.metadata)) expect(value).toBeTypeOf("string");
    for (const field of ["serverAddress", "query", "threshold"])
      expect(trigger.metadata[field]).toMatch(/\S/);
    expect(hpa).toMatchObject({ apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler" });
    const used = [
      ...metricsIn(trigger.metadata.query),
      ...metricsIn(hpa.spec.metrics[0].external.metric.name),
    ];
    expect(used).toEqual(["drover_workers_wanted", "drover_workers_wanted"]);
    for (const name of used) expect(names).toContain(name);
  });

  it("docs/OPERATING.md names only what a server tells", () => {
    const named = metricsIn(readFileSync(resolve(FOLDER, "../OPERATING.md"), "utf8")).filter(
      // A gate's are held by test/gate.
      (name) => !name.startsWith("drover_gate_"),
    );
    expect(named).not.toEqual([]);
    for (const name of named) expect(names.has(name) || names.has(`${name}_count`), name).toBe(true);
  });
});

describeWith(["prometheus"], "docs/observability, with Prometheus", () => {
  const run = promisify(execFile);
  const promtool = () => findProgram("promtool")!;

  it("alert rules pass promtool", async () => {
    const { stdout } = await run(promtool(), ["check", "rules", resolve(FOLDER, "alerts.yaml")]);
    expect(stdout).toContain(`SUCCESS: ${rules.length} rules found`);
  });

  it("/metrics passes promtool", async () => {
    const named = await operate({ store: new MemoryStore() });
    await named.work('a "name"', () => "");
    await named.client().submit('a "name"', "").result();
    const checked = run(promtool(), ["check", "metrics"]);
    checked.child.stdin!.end(await (await named.get("/metrics")).text());
    // It complains of nothing of ours; names of Node's metrics are prom-client's.
    const said = await checked.then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );
    expect(said.split("\n").filter((line) => line !== "" && !/^(?:nodejs|process)_/.test(line))).toEqual([]);
  });

  it("every query has an answer, and alerts see what they are for", async () => {
    const lonely = await operate();
    await lonely.client().background("nobody does it", "");
    const targets = [at, lonely].map(({ http }) => http.addresses[0]!);
    await using prometheus = await startPrometheus(targets, resolve(FOLDER, "alerts.yaml"));
    await until("both were scraped", DEADLINE_MS, async () => (await prometheus.query("drover_info")) === 2);
    await expect(at.client().background("third", "")).rejects.toMatchObject({ code: "QUEUE_FULL" });

    const queries = [...panelQueries, manifests[0].spec.triggers[0].metadata.query as string];
    for (const query of queries) {
      // As Grafana fills in for all servers, all functions and a short time.
      const asked = query.replaceAll(/\$(?:instance|function)\b/g, ".*").replaceAll("$__rate_interval", "1m");
      await until(`there is an answer to ${query}`, DEADLINE_MS, () => prometheus.query(asked));
    }

    const states = async () => {
      const found = await prometheus.rules();
      for (const { name, lastError = "" } of found) expect([name, lastError]).toEqual([name, ""]);
      return new Map(found.map(({ name, state, alerts }) => [name, { state, alerts }]));
    };
    const sees = (alert: string, state: string) =>
      until(`${alert} is ${state}`, DEADLINE_MS, async () => (await states()).get(alert)?.state === state);
    await sees("DroverLimitHit", "firing");
    await sees("DroverNoWorker", "pending");
    const now = await states();
    expect([...now.keys()].sort()).toEqual(rules.map(({ alert }) => alert).sort());
    for (const alert of ["DroverAbsent", "DroverNotReady", "DroverStoreFailing", "DroverDeadLetters"]) {
      expect([alert, now.get(alert)!.state]).toEqual([alert, "inactive"]);
    }
    const told = [...now.values()].flatMap(({ alerts }) =>
      alerts.map(({ annotations }) => annotations.summary),
    );
    expect(told).toContain("Jobs of nobody does it wait, and no worker does it.");
    expect(told).toContain(`${targets[0]} refused work by its limit maxFunctions.`);
  });
});
