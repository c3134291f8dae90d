import type { BuildView, ItemView } from "@drover/gate/api";
import type { ChangeSetup } from "./world.ts";

/** A change as it was pushed last. */
export interface Proposed {
  readonly number: number;
  readonly setup: Required<Omit<ChangeSetup, "parent" | "config">> & Pick<ChangeSetup, "parent" | "config">;
  /** Trailer by which its revisions are one change. */
  readonly changeId: string;
  readonly revision: number;
  readonly commit: string;
}

export interface SeenBuild {
  readonly view: BuildView;
  /** In the notation of scenarios. */
  readonly name: string;
  readonly job: string;
  /** The change that it is of. */
  readonly change: string;
  /** It has looked at what it was given, and waits. */
  readonly isWaiting: boolean;
}

/** What can be seen of a scenario in a gate that runs. */
export interface Seen {
  readonly items: readonly (ItemView & { readonly pipeline: string })[];
  readonly waiting: readonly string[];
  readonly builds: readonly SeenBuild[];
  /** Nothing is under way but builds that wait. */
  readonly isSettled: boolean;
}

/** How results of builds are noted. */
export const MARKS: Readonly<Record<string, string>> = {
  SUCCESS: "✓",
  FAILURE: "✗",
  CANCELED: "∅",
  RETRY: "↻",
  LOST: "†",
};
