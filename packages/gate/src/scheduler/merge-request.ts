import type { ConfigLoader } from "../config/index.ts";
import type { ChainLink } from "../core/index.ts";
import type { LocalForge } from "../forge/index.ts";
import type { HeldCommit, MergeRequest } from "../merger/index.ts";

interface Parts {
  readonly loader: ConfigLoader;
  readonly forge: LocalForge;
}

/** What a merger is asked for to test a chain. */
export function mergeRequest({ loader, forge }: Parts, chain: readonly ChainLink[]): MergeRequest {
  const layout = loader.current!.layout;
  const [only] = chain;
  if (chain.length === 1 && only !== undefined) {
    const { project, branch, change, revision } = only;
    const number = forge.numberOf(change);
    const isCurrent = number !== undefined && forge.change(number)?.revision === revision;
    const landed = isCurrent ? forge.landed(number) : null;
    // What is done after the merge is about what merged, and not about it once more.
    if (landed !== null) {
      const { base, commit } = landed;
      return {
        steps: [{ project, branch, commit, mode: "merge" }],
        bases: [{ project, branch, commit: base }],
      };
    }
  }
  return {
    steps: chain.map(({ change, revision, project, branch, commit }) => {
      const number = forge.numberOf(change);
      const since = number === undefined ? undefined : forge.baseOf(number, revision);
      const mode = layout.mergeModeOf(project);
      return { project, branch, commit, mode, ...(since === undefined ? {} : { since }) };
    }),
  };
}

/** The last commit of each branch of a chain, which has all those before it. */
export function tipsOf(
  chain: readonly ChainLink[],
  steps: readonly { readonly commit: string }[],
): HeldCommit[] {
  const tips = new Map<string, HeldCommit>();
  for (const [at, { project, branch }] of chain.entries())
    tips.set(JSON.stringify([project, branch]), { project, commit: steps[at]!.commit });
  return [...tips.values()];
}
