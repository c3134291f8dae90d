import type { BranchRule, JobVariant, Origin, ProjectStanza } from "./model.ts";
import { anyMatches, type Regex, showRegex } from "./regex.ts";
import type { TenantProject } from "./tenant.ts";

/** A project of the tenant with what its repository has. */
export interface LoadedProject extends TenantProject {
  /** Those that are loaded; the default branch first. Of a config-project one only. */
  readonly branches: readonly string[];
  /** `null`: the repository has none, or cannot be read. */
  readonly defaultBranch: string | null;
}

/** What the branch of an item is compared with. */
export interface BranchedSubject {
  /** `null`: of a tag or another ref. */
  readonly branch: string | null;
  /** `refs/tags/1.0`. Of a change: not given. */
  readonly ref?: string | null;
  /** Of a tag, when it is known: branches that hold it. */
  readonly containingBranches?: readonly string[];
}

interface Branched {
  readonly origin: Origin;
  readonly branches: readonly Regex[] | undefined;
  readonly impliedBranches: readonly Regex[] | undefined;
  readonly impliesBranches: boolean | undefined;
}

/**
 * Which branches a job, a template or a project's item is for: those written; else, from an untrusted project of several
 * branches, the branch it stands on, so that each branch configures itself.
 * @param source The project that the item stands in.
 */
export function branchRule(item: JobVariant | ProjectStanza, source: LoadedProject | undefined): BranchRule {
  const { origin, branches, impliedBranches, impliesBranches }: Branched = item;
  if (branches !== undefined) return { any: branches };
  const implied: BranchRule =
    impliedBranches === undefined ? { exact: origin.branch } : { any: impliedBranches };
  const isImplied = impliesBranches ?? source?.impliedBranchMatchers;
  if (isImplied !== undefined) return isImplied ? implied : null;
  if (origin.trusted || (source?.branches.length ?? 0) <= 1) return null;
  return implied;
}

export function ruleAccepts(
  rule: BranchRule,
  { branch, ref, containingBranches = [] }: BranchedSubject,
): boolean {
  if (rule === null) return true;
  const accepts = (name: string): boolean =>
    "exact" in rule ? rule.exact === name : anyMatches(rule.any, name);
  if (branch !== null) return accepts(branch);
  return (ref != null && accepts(ref)) || containingBranches.some(accepts);
}

export function showRule(rule: BranchRule): string {
  if (rule === null) return "any branch";
  return "exact" in rule ? rule.exact : rule.any.map(showRegex).join(" or ");
}
