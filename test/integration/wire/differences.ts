/** A row of the table of deliberate differences: one or more scenario ids or prefixes that end in `/*`. */
export type ListedDifference = { ids: string[]; gearmand: string; drover: string; why: string };

const heading = "## Deliberate differences from gearmand 1.1.20";

/** Reads the table under its heading in docs/PROTOCOL.md. */
export function readDifferences(document: string): ListedDifference[] {
  const start = document.indexOf(`${heading}\n`);
  if (start < 0) throw new Error(`docs/PROTOCOL.md has no heading "${heading}"`);
  const rest = document.slice(start + heading.length);
  const next = /\n#{1,2} /.exec(rest);
  const section = next === null ? rest : rest.slice(0, next.index);
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) => {
    const cells = row.split(/(?<!\\)\|/).slice(1, -1);
    if (cells.length !== 4) throw new Error(`not a row of four cells: ${row}`);
    const [ids, gearmand, drover, why] = cells.map((cell) => cell.trim());
    return {
      ids: ids!.split(",").map((id) => id.trim().replaceAll("`", "")),
      gearmand: gearmand!,
      drover: drover!,
      why: why!,
    };
  });
}

export function covers(pattern: string, id: string): boolean {
  return pattern.endsWith("/*") ? id.startsWith(pattern.slice(0, -1)) : pattern === id;
}

export function isListed(listed: readonly ListedDifference[], id: string): boolean {
  return listed.some((row) => row.ids.some((pattern) => covers(pattern, id)));
}
