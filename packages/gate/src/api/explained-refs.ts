import { Problem } from "@drover/server/http";
import type { CoreStatus, GateCore, RefUpdate } from "../core/index.ts";

/* Which branches and tags that moved, or whose time came, somebody means who asks about a ref. */

export interface WantedRef {
  /** `refs/heads/main` */
  readonly ref: string;
  /** Default: the only one that it is known of. */
  readonly project?: string | undefined;
  /** How the commit begins that it moved to. Default: any, or none. */
  readonly commit?: string | undefined;
}

/**
 * Those that are in pipelines; else the last one about which something was decided.
 * @throws Problem `not-found`; `conflict` when several projects have had such a ref
 */
export function explainedRefs(core: GateCore, status: CoreStatus, wanted: WantedRef): readonly RefUpdate[] {
  const isMeant = ({ ref, project, newCommit }: RefUpdate): boolean =>
    ref === wanted.ref &&
    (wanted.project ?? project) === project &&
    (wanted.commit === undefined || newCommit?.startsWith(wanted.commit) === true);
  const present = new Map<string, RefUpdate>();
  for (const { queues } of status.pipelines)
    for (const { members, live } of queues.flatMap(({ items }) => items))
      for (const member of members)
        if (live && member.kind === "ref" && isMeant(member)) present.set(member.id, member);
  const past = core
    .explained()
    .map(refOf)
    .filter((one) => one !== undefined && isMeant(one)) as RefUpdate[];
  const projects = new Set([...present.values(), ...past].map(({ project }) => project));
  if (projects.size === 0) {
    const of = wanted.project === undefined ? "" : ` of ${wanted.project}`;
    const to = wanted.commit === undefined ? "" : ` at ${wanted.commit}`;
    throw new Problem("not-found", `no pipeline has had ${wanted.ref}${of}${to}, or it is too long ago`);
  }
  if (projects.size > 1) {
    const names = [...projects].toSorted().join(", ");
    throw new Problem("conflict", `several projects have had ${wanted.ref}, say which one: ${names}`);
  }
  return present.size > 0 ? [...present.values()] : [past.at(-1)!];
}

const ID = /^ref:(.+):(refs\/[^:]+?)(?:@([0-9a-f]{40,64}))?$/;

/** What an id tells. @returns undefined when it is a change's */
function refOf(id: string): RefUpdate | undefined {
  const [, project, ref, commit] = ID.exec(id) ?? [];
  if (project === undefined || ref === undefined) return undefined;
  const branch = ref.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : null;
  const newCommit = commit === undefined || /^0+$/.test(commit) ? null : commit;
  return { kind: "ref", id, project, ref, branch, oldCommit: null, newCommit };
}
