import type { LoadReport } from "./core/load.ts";

const WIDTH = 960;
const HEIGHT = 360;
const LEFT = 60;
const TOP = 40;
const BOTTOM = 40;
const RIGHT = 20;
const COLOURS = { alone: "#c9c9c9", joined: "#1a7f4b" } as const;

/** The load over time as a picture. Nothing of the log but numbers and times is in it. */
export function svgOf(load: LoadReport): string {
  const peak = Math.max(1, load.alone.peak);
  const spanUs = Math.max(1, load.endUs - load.beginUs);
  const x = (us: number) => (LEFT + ((WIDTH - LEFT - RIGHT) * Math.min(us, spanUs)) / spanUs).toFixed(1);
  const y = (level: number) => (HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * level) / peak).toFixed(1);
  const area = ({ stretchUs, highest }: LoadReport["alone"]["timeline"]) => {
    const steps = highest.map((level, i) => `V${y(level)}H${x((i + 1) * stretchUs)}`);
    return `M${LEFT},${y(0)}${steps.join("")}V${y(0)}Z`;
  };
  const levels = [...new Set([0, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * peak)))];
  const grid = levels.map(
    (level) =>
      `<path d="M${LEFT},${y(level)}H${WIDTH - RIGHT}" stroke="#8884"/>` +
      `<text x="${LEFT - 8}" y="${y(level)}" dy="4" text-anchor="end">${level}</text>`,
  );
  const times = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const anchor = part === 0 ? "start" : part === 1 ? "end" : "middle";
    const at = new Date((load.beginUs + part * spanUs) / 1000).toISOString().slice(0, 19).replace("T", " ");
    return `<text x="${x(part * spanUs)}" y="${HEIGHT - 14}" text-anchor="${anchor}">${at}</text>`;
  });
  const key = (at: number, colour: string, text: string) =>
    `<rect x="${at}" y="14" width="12" height="12" fill="${colour}"/><text x="${at + 18}" y="24">${text}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="sans-serif" font-size="12">
<title>Under way at one time: at most ${load.alone.peak} without joining, ${load.joined.peak} with</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<path d="${area(load.alone.timeline)}" fill="${COLOURS.alone}"/>
<path d="${area(load.joined.timeline)}" fill="${COLOURS.joined}"/>
${[...grid, ...times].join("\n")}
${key(LEFT, COLOURS.alone, `without joining: at most ${load.alone.peak}`)}
${key(LEFT + 240, COLOURS.joined, `with joining: at most ${load.joined.peak}`)}
</svg>
`;
}
