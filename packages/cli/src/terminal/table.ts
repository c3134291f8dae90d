/** A column of a table. */
export interface Column {
  readonly title: string;
  /** Numbers stand on the right. */
  readonly right?: boolean;
  /** Longer cells are cut. */
  readonly maxWidth?: number;
}

/** Lines of a table: a heading, then the rows. Cells are plain text without anything that a terminal would obey. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title, maxWidth = Number.POSITIVE_INFINITY }, i) =>
    Math.min(maxWidth, Math.max(title.length, ...rows.map((row) => row[i]!.length))),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => {
        const width = widths[i]!;
        const shown = cut(cell, width);
        return columns[i]!.right === true ? shown.padStart(width) : shown.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)];
}

/** The text within a width; what is cut ends in `…`. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

/** `12,345`. */
export function grouped(value: number): string {
  return value.toLocaleString("en-US");
}

/** `1.5 MiB`. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** `850 ms`, `1.5 s`, `3 min`, `2 h`. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${ms < 10 && !Number.isInteger(ms) ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}
