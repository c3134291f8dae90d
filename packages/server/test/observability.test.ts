import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { beforeEach, describe, expect, it } from "vitest";
import { parseAllDocuments, parse as parseYaml } from "yaml";
import { findProgram } from "../../../test/peers/packages.ts";
import { until } from "../../../test/peers/until.ts";
import { MemoryStore } from "../src/stores/memory.ts";
import { operate } from "./operator-stage.ts";

/* The files of docs/observability are what they claim to be, and name only what a server tells. */

const FOLDER = resolve(import.meta.dirname, "../../../docs/observability");
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
const rules = (parseYaml(text("alerts.yaml")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (one) => one.rules,
);
const manifests = parseAllDocuments(text("keda.yaml")).map((one) => one.toJS());

const metricsIn = (query: string) => query.match(/\b(?:drover|nodejs|process)_\w+/g) ?? [];

/** Every name under which a server with a store tells something, once everything has happened. */
let names: ReadonlySet<string>;
beforeEach(async () => {
  const at = await operate({ store: new MemoryStore(), limits: { maxFunctions: 2 } });
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
      ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
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

  const promtool = findProgram("promtool");
  it.skipIf(promtool === undefined)("alert rules pass promtool, of Debian's package prometheus", async () => {
    const { stdout } = await promisify(execFile)(promtool!, [
      "check",
      "rules",
      resolve(FOLDER, "alerts.yaml"),
    ]);
    expect(stdout).toContain(`SUCCESS: ${rules.length} rules found`);
  });

  it.skipIf(promtool === undefined)("/metrics passes promtool, of Debian's package prometheus", async () => {
    const at = await operate({ store: new MemoryStore() });
    await at.work('a "name"', () => "");
    await at.client().submit('a "name"', "").result();
    const checked = promisify(execFile)(promtool!, ["check", "metrics"]);
    checked.child.stdin!.end(await (await at.get("/metrics")).text());
    // It complains of nothing of ours; names of Node's metrics are prom-client's.
    const said = await checked.then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );
    expect(said.split("\n").filter((line) => line !== "" && !/^(?:nodejs|process)_/.test(line))).toEqual([]);
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
    const named = metricsIn(readFileSync(resolve(FOLDER, "../OPERATING.md"), "utf8"));
    expect(named).not.toEqual([]);
    for (const name of named) expect(names.has(name) || names.has(`${name}_count`), name).toBe(true);
  });
});
