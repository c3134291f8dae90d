import type { NodesetDefinition } from "./model.ts";
import { suggestion } from "./nearest.ts";

type Named = ReadonlyMap<string, NodesetDefinition>;

/** A nodeset, with its name where it has one. */
export interface FoundNodeset extends Pick<NodesetDefinition, "nodes" | "groups"> {
  readonly name: string | null;
}

/**
 * All that a nodeset may be, in the order in which they are tried: itself, or its alternatives, which may have such, too.
 * @returns A sentence when one of them is not there, or they lead in a circle.
 */
export function alternativesOf(
  nodeset: string | NodesetDefinition,
  named: Named,
): readonly FoundNodeset[] | string {
  const found: FoundNodeset[] = [];
  const walk = (one: string | NodesetDefinition, path: readonly string[]): string | undefined => {
    const name = typeof one === "string" ? one : null;
    if (name !== null && path.includes(name))
      return `nodesets lead to each other: ${[...path, name].join(", ")}`;
    const definition = typeof one === "string" ? named.get(one) : one;
    if (definition === undefined) return `nodeset ${name} is not defined${suggestion(name!, named.keys())}`;
    const { nodes, groups, alternatives } = definition;
    if (alternatives === undefined) found.push({ name, nodes, groups });
    const onward = name === null ? path : [...path, name];
    for (const alternative of alternatives ?? []) {
      const fault = walk(alternative, onward);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
  return walk(nodeset, []) ?? found;
}

/** How many nodes it has; one with two names is two. */
export function nodeCount({ nodes }: Pick<NodesetDefinition, "nodes">): number {
  return nodes.reduce((sum, { names }) => sum + names.length, 0);
}

/** The first that there can be enough nodes for, else the first. @param maxNodes `undefined`: not known, as many as are wanted. */
export function firstThatFits(
  alternatives: readonly FoundNodeset[],
  maxNodes: number | undefined,
): FoundNodeset | undefined {
  const fits = (one: FoundNodeset): boolean => maxNodes === undefined || one.nodes.length <= maxNodes;
  return alternatives.find(fits) ?? alternatives[0];
}
