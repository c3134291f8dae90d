import { BarChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { still } from "../charts.ts";
import { medianOf } from "../ratios.ts";
import type { Figures } from "./measure.ts";
import type { Results } from "./report.ts";
import { SCHEME_TITLES, SCHEMES } from "./schemes.ts";

use([BarChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const TITLE = "1,000 requests for one value: computations and p99";
/** The scenarios in it, and what the legend calls them. */
const BARS = { cold: "cold", "memcached-down": "memcached gone", "winner-killed": "who computes is killed" };
const PANELS: readonly { figure: keyof Figures; title: string; left: number }[] = [
  { figure: "computations", title: "computations", left: 215 },
  { figure: "p99Ms", title: "p99, ms", left: 555 },
];
const WIDTH = 880;
const HEIGHT = 500;
const PLOT = { top: 75, width: 290, height: 370 };

/** Medians as bars of a logarithmic scale, as SVG. */
export function cacheChart({ series }: Results): string {
  const schemes = SCHEMES.filter((name) =>
    series.some(({ scheme, scenario }) => scheme === name && Object.hasOwn(BARS, scenario)),
  ).toReversed();
  const value = (scenario: string, scheme: string, figure: keyof Figures): number | null => {
    const own = series.find((one) => one.scenario === scenario && one.scheme === scheme);
    return medianOf(own?.runs.map((run) => run[figure])) ?? null;
  };
  const canvas = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  canvas.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: TITLE, left: "center", top: 8, textStyle: { fontSize: 15 } },
    legend: { data: Object.values(BARS), top: 34 },
    grid: PANELS.map(({ left }) => ({ left, ...PLOT })),
    xAxis: PANELS.map(({ title: name }, gridIndex) => ({
      type: "log",
      gridIndex,
      name,
      nameLocation: "middle",
      nameGap: 26,
      // A bar of one computation is to be seen.
      min: 0.5,
      axisLabel: { formatter: (at: number) => (at < 1 ? "" : at.toLocaleString("en-US")) },
    })),
    yAxis: PANELS.map((_panel, gridIndex) => ({
      type: "category",
      gridIndex,
      data: schemes.map((scheme) => SCHEME_TITLES[scheme]),
      axisLabel: { show: gridIndex === 0 },
    })),
    series: PANELS.flatMap(({ figure }, at) =>
      Object.entries(BARS).map(([scenario, name]) => ({
        type: "bar",
        name,
        xAxisIndex: at,
        yAxisIndex: at,
        data: schemes.map((scheme) => value(scenario, scheme, figure)),
      })),
    ),
  });
  const svg = canvas.renderToSVGString();
  canvas.dispose();
  return `${still(svg).replace(/^<svg[^>]*>/, (tag) => `${tag}\n<title>${TITLE}</title>`)}\n`;
}
