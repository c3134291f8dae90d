import { FIGURE_TITLES, formatted, isRate } from "../figures.ts";
import { medianOf, pairedRatios } from "../ratios.ts";
import type { Report } from "../report.ts";
import { settingsLine, table } from "../tables.ts";
import { TRANSPORT_TARGETS } from "../targets.ts";
import { VERSIONS } from "./h2load.ts";
import { BARE, JOB_SERVER } from "./transports.ts";

/** Jobs over HTTP beside a bare server's answers, packets of a WebSocket, and what idle streams take. */
export function transportsTable(report: Report): string {
  const section = report.section("transports");
  const { ofBare, webSocketPerS, idleEventsMiB } = TRANSPORT_TARGETS;
  const rows: string[][] = [];
  const held = (holds: boolean): string => (holds ? "yes" : "**no**");
  for (const [name, { title }] of Object.entries(VERSIONS)) {
    const series = section[name]?.series ?? {};
    for (const figure of ["ops_per_s", "server_us_per_op"]) {
      const [own, bare] = [series[JOB_SERVER]?.[figure], series[BARE]?.[figure]];
      const ratios = own && bare && pairedRatios(own, bare);
      if (!ratios) continue;
      const { median, min, max } = ratios;
      const isJudged = isRate(figure);
      rows.push([
        `${title}: ${FIGURE_TITLES[figure]!} ${isJudged ? "↑" : "↓"}`,
        formatted(medianOf(bare)!),
        formatted(medianOf(own)!),
        `**${median.toFixed(2)}** (${min.toFixed(2)}–${max.toFixed(2)})`,
        isJudged ? `≥ ${ofBare}` : "",
        isJudged ? held(median >= ofBare) : "",
      ]);
    }
  }
  const echoes = medianOf(section.websocket?.series[JOB_SERVER]?.ops_per_s);
  if (echoes !== undefined) {
    const target = `≥ ${formatted(webSocketPerS)}`;
    rows.push([
      "WebSocket: echoes of 112 bytes/s ↑",
      "",
      formatted(echoes),
      "",
      target,
      held(echoes >= webSocketPerS),
    ]);
  }
  const idle = section["idle-events"]?.series[JOB_SERVER] ?? {};
  const mib = medianOf(idle.rss_mib);
  if (mib !== undefined) {
    const target = `< ${formatted(idleEventsMiB)}`;
    rows.push([
      "idle event streams: memory in all, MiB ↓",
      "",
      formatted(mib),
      "",
      target,
      held(mib < idleEventsMiB),
    ]);
    const each = FIGURE_TITLES.rss_bytes_per_stream!;
    rows.push([`${each} ↓`, "", formatted(medianOf(idle.rss_bytes_per_stream)!), "", "", ""]);
  }
  if (rows.length === 0) return "Not measured yet.";
  const head = ["what", "bare server", "Drover", "Drover / bare", "target", "holds"];
  return `${table("lrrrrl", head, rows)}\n\n${settingsLine(section)}`;
}
