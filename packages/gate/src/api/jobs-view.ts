import { branchRule, type Layout, showRule } from "../config/index.ts";
import type { JobDefinitionsView } from "./types.ts";

/** Each job of a configuration, with all of its definitions. */
export function jobsView({ parts }: Layout): JobDefinitionsView[] {
  const { jobs, projects, tenant } = parts;
  const parentOf = (name: string): string | null => {
    const [first] = jobs.get(name) ?? [];
    return first?.parent === undefined ? tenant.defaultParent : first.parent;
  };
  return [...jobs].map(([name, variants]) => {
    const ancestors: string[] = [];
    for (let at = parentOf(name); at !== null && at !== name && !ancestors.includes(at); at = parentOf(at))
      ancestors.push(at);
    return {
      name,
      description: variants.find(({ attributes }) => attributes.description)?.attributes.description ?? null,
      ancestors,
      definitions: variants.map((variant) => {
        const { project, branch, file, line } = variant.origin;
        return {
          job: name,
          project,
          branch,
          file,
          line,
          isFor: showRule(branchRule(variant, projects.get(project))),
          parent: variant.parent ?? null,
          sets: Object.entries(variant.attributes)
            .filter(([, value]) => value !== undefined)
            .map(([attribute]) => attribute.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)),
        };
      }),
    };
  });
}
