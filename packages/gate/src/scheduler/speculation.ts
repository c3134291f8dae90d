import {
  type ChangedConfig,
  type ConfigLoader,
  isConfigPath,
  isDynamicBranch,
  Kept,
  type Layout,
  type LayoutParts,
  type LoadedLayout,
  problemsOfChange,
} from "../config/index.ts";
import type { ChainLink, ConfigProblem, GateEffect } from "../core/index.ts";
import type { LocalForge } from "../forge/index.ts";
import { MergerError } from "../merger/index.ts";
import type { RepositoryConfig } from "./config-source.ts";

type FreezeEffect = Extract<GateEffect, { kind: "freeze" }>;

/** By which configuration an item's jobs are frozen. */
export type Speculation =
  | {
      readonly kind: "layout";
      readonly layout: Layout;
      /** Where the item itself edits configuration: the layout on the other side of that, for comparing jobs. */
      readonly compared?: LayoutParts;
    }
  | { readonly kind: "problems"; readonly problems: readonly ConfigProblem[] };

interface Parts {
  readonly forge: LocalForge;
  readonly loader: ConfigLoader;
  readonly source: RepositoryConfig;
}

/** What changes of a chain make of a branch's configuration. */
interface Edited extends ChangedConfig {
  readonly trusted: boolean;
}

/**
 * The layout of an item whose change, or one ahead of it, edits configuration (Zuul's dynamic layouts): untrusted projects as
 * the chain leaves them, trusted ones as they are merged. What the chain does to trusted projects is only looked through for
 * errors. An item that edits nothing has the layout of the item ahead of it, and none of its errors.
 */
export async function speculate(parts: Parts, effect: FreezeEffect): Promise<Speculation> {
  const { loader } = parts;
  const { chain, members } = effect;
  const current = loader.current;
  if (current === undefined) throw new Error("bug: no configuration is loaded");
  const own = new Set<ChainLink>();
  const editing = new Set<ChainLink>();
  for (const link of chain) {
    if (members.some(({ id }) => id === link.change)) own.add(link);
    if (await edits(parts, link)) editing.add(link);
  }
  const isOwnEdit = [...editing].some((link) => own.has(link));
  const ahead = await editedBy(parts, effect, (link) => editing.has(link) && !own.has(link));
  const before = withoutTrusted(loader, ahead);
  if (!isOwnEdit) return { kind: "layout", layout: before.layout };

  const edited = await editedBy(parts, effect, (link) => editing.has(link));
  const usable = withoutTrusted(loader, edited);
  const places = chain.filter((link) => own.has(link));
  const isTrusted = ({ project }: ChainLink): boolean => trusts(loader, project);
  if (edited.some(({ trusted }) => trusted)) {
    const whole = loader.propose(edited);
    const problems = problemsOfChange(whole, loader.propose(ahead), places);
    if (problems.length > 0) return { kind: "problems", problems };
  }
  const untrusted = places.filter((link) => !isTrusted(link));
  const problems = problemsOfChange(usable, before, untrusted);
  if (problems.length > 0)
    return { kind: "problems", problems: notYet(problems, chain.filter(isTrusted), editing) };
  const compared = untrusted.length > 0 ? before : loader.propose(edited);
  return { kind: "layout", layout: usable.layout, compared: compared.layout.parts };
}

function trusts(loader: ConfigLoader, project: string): boolean {
  return loader.tenant.projects.get(project)?.trusted === true;
}

/** What config-projects say counts when it has merged. */
function withoutTrusted(loader: ConfigLoader, edited: readonly Edited[]): LoadedLayout {
  return loader.propose(edited.filter(({ trusted }) => !trusted));
}

/** With everything merged there would be no problem: it is only too early. */
function notYet(
  problems: readonly ConfigProblem[],
  trusted: readonly ChainLink[],
  editing: ReadonlySet<ChainLink>,
): readonly ConfigProblem[] {
  const needed = trusted.find((link) => editing.has(link));
  if (needed === undefined) return problems;
  return problems.map((one) => ({
    ...one,
    message: `${one.message}; it will be right when ${needed.change} has merged, which changes the config-project ${needed.project}`,
  }));
}

/**
 * The configuration of each branch that some of the chain's changes edit, as the last of them leaves it. What cannot be read, as
 * it is too large, is told to the change that makes it so; to those behind it is as if that one edited nothing.
 */
async function editedBy(
  { loader, source }: Parts,
  { chain, steps, members }: FreezeEffect,
  isWanted: (link: ChainLink) => boolean,
): Promise<readonly Edited[]> {
  const last = new Map<string, number>();
  for (const [at, link] of chain.entries())
    if (isWanted(link)) last.set(JSON.stringify([link.project, link.branch]), at);
  const read = await Promise.all(
    [...last.values()].map(async (at): Promise<Edited[]> => {
      const { project, branch, change } = chain[at]!;
      const { extraConfigPaths = [] } = loader.tenant.projects.get(project) ?? {};
      try {
        const files = await source.filesAt(project, steps[at]!.commit, extraConfigPaths);
        return [{ project, branch, files, trusted: trusts(loader, project) }];
      } catch (error) {
        const isOwn = members.some(({ id }) => id === change);
        if (isOwn || !(error instanceof MergerError) || error.code !== "MERGER_LIMIT") throw error;
        return [];
      }
    }),
  );
  return read.flat();
}

/** Whether a revision edits configuration: asked of it for each item behind, and always the same. */
const knownToEdit = new WeakMap<LocalForge, Kept<boolean>>();
const MAX_KNOWN = 10_000;

async function edits(
  { forge, loader }: Parts,
  { project, branch, change, revision }: ChainLink,
): Promise<boolean> {
  const tenantProject = loader.tenant.projects.get(project);
  if (tenantProject === undefined) return false;
  if (isDynamicBranch(tenantProject, branch)) return true;
  const { extraConfigPaths } = tenantProject;
  const known = knownToEdit.get(forge) ?? new Kept<boolean>(MAX_KNOWN);
  knownToEdit.set(forge, known);
  const key = JSON.stringify([change, revision, extraConfigPaths]);
  const found = known.find(key);
  if (found !== undefined) return found;
  const files = await changedFiles(forge, change, revision);
  return known.keep(
    key,
    files.some((path) => isConfigPath(path, extraConfigPaths)),
    1,
  );
}

/** Paths that a revision of a change touches. */
export async function changedFiles(forge: LocalForge, change: string, revision: number): Promise<string[]> {
  const paths = await forge.paths(forge.numberOf(change)!, revision);
  return paths.map((path) => path.toString());
}
