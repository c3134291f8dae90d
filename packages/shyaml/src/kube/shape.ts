/** How Kubernetes tells the items of a list apart when it merges two of them. */
export type ListType =
  /**
   * By the values of one or more fields. `keys` are sets of fields, best first: server-side apply's own set, then a
   * single field that serves where it is unique in both lists.
   */
  | { readonly type: "map"; readonly keys: readonly (readonly string[])[] }
  /** By value; the order means nothing. */
  | { readonly type: "set" }
  /** Not at all: the list is replaced as one. */
  | { readonly type: "atomic" };

/**
 * What is known of a place in a manifest. Nothing that is said here holds for sure of a given file, which may be
 * wrong: whoever uses `list` sees for himself whether the keys are there and unique.
 */
export interface Shape {
  /** Set where the place holds a list whose type is known. */
  readonly list?: ListType;
  /** The place holds a quantity, such as `100m` or `1Gi`, which is compared by value. */
  readonly quantity?: boolean;
  /** What the server writes where the manifest is silent, one of these. The first is what a missing key field means. */
  readonly defaults?: readonly unknown[];
  /** The values of a mapping whose keys are known. */
  readonly fields?: Readonly<Record<string, Shape>>;
  /** The values of a mapping under any other key. */
  readonly values?: Shape;
  readonly items?: Shape;
}

/** Where nothing is known. */
export const UNKNOWN: Shape = {};

/** The shape of a mapping's value under `key`. */
export function fieldShape(shape: Shape, key: string): Shape {
  const { fields, values } = shape;
  return (fields !== undefined && Object.hasOwn(fields, key) ? fields[key] : values) ?? UNKNOWN;
}

/** The shape of a list's items. */
export function itemShape(shape: Shape): Shape {
  return shape.items ?? UNKNOWN;
}

/** The value that `field` of a list's item has where the item leaves it out, if its absence means something. */
export function absentMeans(item: Shape, field: string): unknown {
  return fieldShape(item, field).defaults?.[0];
}
