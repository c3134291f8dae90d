import { keySegment } from "../render/json-text.ts";

/** One step down: a key of a map, or an item of a list by its place on each side and by what it was told from others. */
export type Segment =
  | { readonly kind: "key"; readonly name: string }
  | {
      readonly kind: "item";
      readonly before?: number;
      readonly after?: number;
      /** Fields that tell the item from others, with their values. */
      readonly match?: readonly (readonly [field: string, value: string])[];
    };

export type Path = readonly Segment[];

/** `spec.containers[name=web].args[2]`; a dot for the document itself. */
export function pathText(path: Path): string {
  const text = path.map(segmentText).join("");
  return text === "" ? "." : text.replace(/^\./, "");
}

/** The path with `[*]` for every item. */
export function generalPathText(path: Path): string {
  const text = path.map((segment) => (segment.kind === "key" ? keySegment(segment.name) : "[*]")).join("");
  return text === "" ? "." : text.replace(/^\./, "");
}

function segmentText(segment: Segment): string {
  if (segment.kind === "key") return keySegment(segment.name);
  const { match, before, after } = segment;
  if (match === undefined) return `[${before ?? after}]`;
  return `[${match.map(([field, value]) => `${field}=${plain(value)}`).join()}]`;
}

function plain(value: string): string {
  return /^[\w./:@%+-]+$/.test(value) ? value : JSON.stringify(value);
}

/** The JSON Pointer (RFC 6901) of a path on one side; undefined where it is only on the other. */
export function pointerOf(path: Path, side: "before" | "after"): string | undefined {
  let pointer = "";
  for (const segment of path) {
    if (segment.kind === "key") pointer += `/${escapePointer(segment.name)}`;
    else {
      const index = segment[side];
      if (index === undefined) return undefined;
      pointer += `/${index}`;
    }
  }
  return pointer;
}

export function escapePointer(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}
