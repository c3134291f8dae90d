/** One sample of the text format, with its labels unescaped. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const UNESCAPED: Readonly<Record<string, string>> = { "\\\\": "\\", '\\"': '"', "\\n": "\n" };
const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([-+\w.]+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/y;

/** Metrics as a server gives them in Prometheus' text format. */
export class Exposition {
  readonly samples: Sample[] = [];
  /** Types by family. */
  readonly types = new Map<string, string>();
  readonly help = new Map<string, string>();

  /** @throws When the text breaks the format, or has a series twice. */
  constructor(text: string) {
    const seen = new Set<string>();
    for (const line of text.split("\n")) {
      if (line === "") continue;
      const [, what, family, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
      if (what !== undefined) {
        const into = what === "HELP" ? this.help : this.types;
        if (into.has(family!)) throw new Error(`a second ${what} of ${family}`);
        into.set(family!, rest!);
        continue;
      }
      const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
      if (name === undefined) throw new Error(`no sample: ${line}`);
      const series = line.slice(0, line.lastIndexOf(" "));
      if (seen.has(series)) throw new Error(`twice: ${series}`);
      seen.add(series);
      this.samples.push({ name, labels: labelsOf(labels), value: numberOf(value!) });
    }
  }

  /** The value of the sample with this name and these labels, or undefined. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    return this.samples.find(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )?.value;
  }

  /** Values of a label, in order. */
  labels(name: string, label: string): string[] {
    return this.samples.filter((sample) => sample.name === name).map(({ labels }) => labels[label]!);
  }
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let at = 0;
  while (at < text.length) {
    LABEL.lastIndex = at;
    const match = LABEL.exec(text);
    if (match === null) throw new Error(`no label: ${text.slice(at)}`);
    labels[match[1]!] = match[2]!.replace(/\\./g, (pair) => UNESCAPED[pair]!);
    at = LABEL.lastIndex;
  }
  return labels;
}

function numberOf(text: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  const value = Number(text);
  if (Number.isNaN(value) && text !== "Nan" && text !== "NaN") throw new Error(`no number: ${text}`);
  return value;
}
