import type { Gate } from "../gate.ts";

/** Families of the gate in the text format of Prometheus. */
export function gateMetrics(gate: Gate): string {
  const { scheduler, slots, configProblems } = gate;
  const { pipelines, isPaused } = scheduler.status();
  const { enqueues, resets, landed, refused, stale, builds } = scheduler.core.counters;
  const lines: string[] = [];
  const family = (
    name: string,
    kind: "counter" | "gauge",
    help: string,
    values: readonly (readonly [value: number, labels?: Readonly<Record<string, string>>])[],
  ): void => {
    lines.push(`# HELP drover_gate_${name} ${help}`, `# TYPE drover_gate_${name} ${kind}`);
    for (const [value, labels] of values) {
      const text = Object.entries(labels ?? {}).map(([label, of]) => `${label}="${escaped(of)}"`);
      lines.push(`drover_gate_${name}${text.length === 0 ? "" : `{${text.join(",")}}`} ${value}`);
    }
  };
  const queues = pipelines.flatMap(({ name, queues: all }) =>
    all.map((queue) => ({
      queue,
      labels: { pipeline: name, queue: queue.name, branch: queue.branch ?? "" },
    })),
  );
  family("enqueues_total", "counter", "Items that entered a queue.", [[enqueues]]);
  family("resets_total", "counter", "Buildsets thrown away since something ahead was not as assumed.", [
    [resets],
  ]);
  family("merges_total", "counter", "Changes merged.", [[landed]]);
  family("merges_refused_total", "counter", "Changes whose branch could not be moved.", [[refused]]);
  family("stale_answers_total", "counter", "Answers that came for what was not wanted any more.", [[stale]]);
  family(
    "builds_total",
    "counter",
    "Builds that ended, by result.",
    Object.entries(builds).map(([result, count]) => [count, { result }]),
  );
  const { executions, reused, joined, flakes } = gate.ledger.counts();
  family("executions_total", "counter", "Executions of jobs with reuse that were recorded, each once.", [
    [executions],
  ]);
  family("builds_reused_total", "counter", "Builds that took a result of equal content.", [[reused]]);
  family("builds_joined_total", "counter", "Builds that joined an execution of equal content.", [[joined]]);
  family("flakes_total", "counter", "Contents that gave different results.", [[flakes]]);
  const letters = gate.outbox.counts();
  const ofEach = (key: "delivered" | "givenUp" | "waiting") =>
    letters.map((one) => [one[key], { connection: one.connection }] as const);
  family("reports_delivered_total", "counter", "Reports that a connection has taken.", ofEach("delivered"));
  family("reports_given_up_total", "counter", "Reports that a connection will not get.", ofEach("givenUp"));
  family("reports_waiting", "gauge", "Reports that a connection has not taken yet.", ofEach("waiting"));
  family("slots", "gauge", "Builds that may run at a time.", [[slots.total]]);
  family("slots_used", "gauge", "Slots in use.", [[slots.used]]);
  family("paused", "gauge", "1 while no build starts and nothing is merged.", [[isPaused ? 1 : 0]]);
  family("config_problems", "gauge", "Problems of the merged configuration.", [[configProblems.length]]);
  family(
    "current_changes",
    "gauge",
    "Items in a pipeline.",
    pipelines.map(({ name, queues: all }) => [
      all.reduce((sum, { items }) => sum + items.length, 0),
      { pipeline: name },
    ]),
  );
  family(
    "waiting_changes",
    "gauge",
    "Approved changes that wait for something elsewhere.",
    pipelines.map(({ name, waiting }) => [waiting.length, { pipeline: name }]),
  );
  family(
    "queue_changes",
    "gauge",
    "Items in a queue.",
    queues.map(({ queue, labels }) => [queue.items.length, labels]),
  );
  family(
    "queue_window",
    "gauge",
    "Items of a queue that are worked on at a time; 0 = all.",
    queues.map(({ queue, labels }) => [queue.window, labels]),
  );
  return `${lines.join("\n")}\n`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
