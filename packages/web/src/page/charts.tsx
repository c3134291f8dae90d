import type { Sample } from "@drover/server/api";
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { count, rate } from "./format.ts";
import { samples } from "./live.ts";
import { palette } from "./theme.tsx";

/** How much time a chart shows. */
const SHOWN_S = 300;
const HEIGHT_PX = 130;

interface Line {
  readonly name: string;
  /** Its value at a sample; `before` is the one a second earlier. */
  readonly of: (sample: Sample, before: Sample) => number;
}

const perSecond =
  (at: 1 | 2 | 3 | 4 | 5) =>
  (sample: Sample, before: Sample): number =>
    ((sample[at] - before[at]) * 1000) / Math.max(1, sample[0] - before[0]);

const CHARTS: readonly { title: string; lines: readonly Line[]; shown: (value: number) => string }[] = [
  {
    title: "Submissions/s",
    lines: [
      { name: "submitted", of: perSecond(1) },
      { name: "joined", of: perSecond(2) },
    ],
    shown: rate,
  },
  {
    title: "Runs/s",
    lines: [
      { name: "started", of: perSecond(3) },
      { name: "failed", of: perSecond(5) },
    ],
    shown: rate,
  },
  {
    title: "Jobs",
    lines: [
      { name: "queued", of: (sample) => sample[6] },
      { name: "running", of: (sample) => sample[8] },
    ],
    shown: count,
  },
];

/** The last minutes of the whole server. */
export function Charts() {
  return (
    <div class="charts">
      {CHARTS.map((chart) => (
        <Chart key={chart.title} {...chart} />
      ))}
    </div>
  );
}

function Chart({ title, lines, shown }: (typeof CHARTS)[number]) {
  const place = useRef<HTMLDivElement>(null);
  const legend = useRef<HTMLParagraphElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const all = samples.value;
  const data = useMemo(() => columns(all, lines), [all, lines]);
  const drawn = useRef(data);
  drawn.current = data;
  const colours = palette.value;

  useEffect(() => {
    const box = place.current!;
    const inks = Array.from(legend.current!.querySelectorAll("i"), (mark) => getComputedStyle(mark).color);
    const { color: ink } = getComputedStyle(box);
    const made = new uPlot(options(box.clientWidth, lines, inks, ink), drawn.current, box);
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height: HEIGHT_PX }));
    resized.observe(box);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [colours, lines]);

  useEffect(() => plot.current?.setData(data), [data]);

  const newest = data.slice(1).map((values) => (values as number[]).at(-1) ?? 0);
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        <p class="legend" ref={legend}>
          {lines.map(({ name }, at) => (
            <span key={name}>
              <i class={`ink-${at}`} /> {name} <b>{shown(newest[at] ?? 0)}</b>
            </span>
          ))}
        </p>
      </figcaption>
      <div ref={place} class="plot" aria-hidden="true" />
    </figure>
  );
}

function columns(all: readonly Sample[], lines: readonly Line[]): uPlot.AlignedData {
  const shown = all.slice(-SHOWN_S - 1);
  const times: number[] = [];
  const values: number[][] = lines.map(() => []);
  for (let i = 1; i < shown.length; i++) {
    times.push(shown[i]![0] / 1000);
    lines.forEach(({ of }, at) => {
      values[at]!.push(of(shown[i]!, shown[i - 1]!));
    });
  }
  return [times, ...values];
}

function options(width: number, lines: readonly Line[], inks: readonly string[], ink: string): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: ink,
    grid: { stroke: `color-mix(in srgb, ${ink} 18%, transparent)`, width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    width,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 4, 0, 0],
    scales: {
      x: { range: (_plot, _min, max) => [max - SHOWN_S, max] },
      y: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.1)] },
    },
    axes: [
      { ...axis, size: 24, space: 40, incrs: [60], values: (_plot, ticks) => ticks.map(clock) },
      { ...axis, size: 44, space: 30, values: (_plot, ticks) => ticks.map((value) => count(value)) },
    ],
    series: [
      {},
      ...lines.map(({ name }, at) => ({
        label: name,
        stroke: inks[at]!,
        width: 1.5,
        points: { show: false },
        ...(at === 0 ? { fill: `color-mix(in srgb, ${inks[at]} 14%, transparent)` } : {}),
      })),
    ],
  };
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
