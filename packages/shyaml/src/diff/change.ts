import type { DataNode } from "../document/node.ts";
import type { Path } from "./path.ts";

/**
 * What differs at one place. `type` is a value of another type or tag, `moved` an item at another place of its list, `order` a
 * list of which most items are.
 */
export type ChangeKind = "added" | "removed" | "modified" | "type" | "moved" | "order" | "comment";

/** One side of a change. */
export interface Side {
  readonly node: DataNode;
  /** Offset in that side's source of the key or item. */
  readonly start: number;
}

export interface Change {
  readonly kind: ChangeKind;
  readonly path: Path;
  /** Of all kinds but `added`. */
  readonly before?: Side;
  /** Of all kinds but `removed`. */
  readonly after?: Side;
  /** The comments, of kind `comment`; undefined where there is none. */
  readonly comments?: { readonly before: string | undefined; readonly after: string | undefined };
  /** Why it differs, in a few words, where that is known. */
  readonly note?: string;
  /** The items, of kind `order`, as text that tells them apart. */
  readonly order?: { readonly before: readonly string[]; readonly after: readonly string[] };
}
