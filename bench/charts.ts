import { LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { CURVES } from "./curves.ts";
import { medianOf } from "./ratios.ts";
import type { Report } from "./report.ts";

use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

interface Chart {
  readonly file: string;
  readonly title: string;
  /** The curves in it, and what the legend calls them. */
  readonly curves: Readonly<Record<string, string>>;
}

/** The files in figures/. */
export const CHARTS: readonly Chart[] = [
  {
    file: "functions.svg",
    title: "Cost of a job by the number of functions",
    curves: { "functions-equal": "every worker all", "functions-distinct": "each on one worker" },
  },
  { file: "workers.svg", title: "Cost of a job by the number of workers", curves: { workers: "" } },
  { file: "queued.svg", title: "Cost of a job by the number of queued jobs", curves: { queued: "" } },
];

/** The panels of a chart, from left to right, and the lines in each. */
const PANELS: readonly { title: string; lines: Readonly<Record<string, string>> }[] = [
  {
    title: "at 5,000 jobs/s, µs",
    lines: { p99_us: "p99", server_us_per_op: "server CPU per job" },
  },
  {
    title: "at full speed, per second",
    lines: { ops_per_s: "round trips", submit_per_s: "submissions", drain_per_s: "drained jobs" },
  },
];

const WIDTH = 860;
const HEIGHT = 400;
const LEFT = [75, 510];
const PLOT = { top: 75, width: 330, height: 200 };

interface Line {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

/** The charts as SVG, by file name. */
export function chartsOf(report: Report): Record<string, string> {
  return Object.fromEntries(CHARTS.map((chart) => [chart.file, draw(chart, report)]));
}

function draw(chart: Chart, report: Report): string {
  const panels = PANELS.map(({ title, lines }) => ({ title, lines: linesOf(chart, lines, report) }));
  const canvas = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  canvas.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: chart.title, left: "center", top: 8, textStyle: { fontSize: 15 } },
    grid: LEFT.map((left) => ({ left, ...PLOT })),
    legend: panels.map(({ lines }, at) => ({
      data: lines.map(({ name }) => name),
      orient: "vertical",
      left: LEFT[at],
      top: PLOT.top + PLOT.height + 25,
    })),
    xAxis: panels.map((_panel, gridIndex) => ({ ...AXIS, gridIndex, min: "dataMin" })),
    yAxis: panels.map(({ title }, gridIndex) => ({
      ...AXIS,
      gridIndex,
      name: title,
      nameTextStyle: { align: "left" },
    })),
    series: panels.flatMap(({ lines }, at) =>
      lines.map(({ name, points }) => ({
        type: "line",
        name,
        xAxisIndex: at,
        yAxisIndex: at,
        symbolSize: 7,
        data: points,
      })),
    ),
  });
  const svg = canvas.renderToSVGString();
  canvas.dispose();
  return `${still(svg).replace(/^<svg[^>]*>/, (tag) => `${tag}\n<title>${chart.title}</title>`)}\n`;
}

/** Without what serves pointing at lines, which nobody does in a page, and without ids that change with each chart. */
export function still(svg: string): string {
  return svg
    .replace(/<style[\s\S]*?<\/style>\n?/, "")
    .replace(/ class="[^"]*"/g, "")
    .replaceAll(/zr\d+-/g, "");
}

const AXIS = {
  type: "log",
  axisLabel: { formatter: (value: number) => value.toLocaleString("en-US") },
} as const;

/** The lines of a panel for which there is something to show. */
function linesOf(chart: Chart, titles: Readonly<Record<string, string>>, report: Report): Line[] {
  const lines = Object.entries(chart.curves).flatMap(([curve, of]) =>
    Object.entries(titles).map(([figure, title]) => ({
      name: of === "" ? title : `${title}, ${of}`,
      points: pointsOf(report, curve, figure),
    })),
  );
  return lines.filter(({ points }) => points.length > 0);
}

function pointsOf(report: Report, curve: string, figure: string): [number, number][] {
  const series = report.section("curves")[curve]?.series ?? {};
  const sizes = CURVES.find(({ name }) => name === curve)!.sizes;
  return sizes.flatMap((size): [number, number][] => {
    const value = medianOf(series[size]?.[figure]);
    return value === undefined ? [] : [[size, value]];
  });
}
