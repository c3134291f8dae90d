import type { Change } from "../core/index.ts";
import type { Approval, ChangeRow, NewRevision } from "./change-table.ts";
import { short } from "./commits.ts";
import type { Need, Target } from "./dependencies.ts";
import { shown } from "./names.ts";

/* What the one who pushed is told, line by line; git puts `remote: ` before each. */

/** @param place Where it can be fetched: below a URL, or from the repository's folder. */
export function changeLines(
  row: ChangeRow,
  { head }: NewRevision,
  needs: readonly {
    readonly need: Need;
    readonly target: (Target & { readonly number: number }) | undefined;
  }[],
  change: Change,
  kept: readonly Approval[],
  place: { readonly url: string | undefined; readonly gitDir: string; readonly project: string },
): string[] {
  const { number, revision, branch } = row;
  const what = revision === 1 ? `Change ${number} is new` : `Change ${number} has revision ${revision}`;
  const remote = place.url === undefined ? place.gitDir : `${place.url}/git/${place.project}.git`;
  const lines = ["", `${what}: ${shown(head.title, 72) || "(no message)"} (${short(head.id)})`];
  if (place.url !== undefined) lines.push(`  ${place.url}/changes/${number}`);
  lines.push(`  git fetch ${shown(remote, 300)} refs/changes/${number}/${revision}`);
  for (const { need, target } of needs) lines.push(`  needs ${needText(need, target, change)}`);
  const identity = row.changeId === null ? `%change=${number}` : "";
  lines.push(`  to revise it:  git commit --amend, then git push origin HEAD:refs/for/${branch}${identity}`);
  if (kept.length > 0) {
    const users = [...new Set(kept.map(({ user }) => user))].join(", ");
    lines.push(`  only its base is another: what ${shown(users, 200)} approved stays approved`);
  } else lines.push(`  to approve it: drover gate approve ${number}`);
  return lines;
}

function needText(
  need: Need,
  target: (Target & { readonly number: number }) | undefined,
  change: Change,
): string {
  const found = change.needs.find(({ source, change: id }) =>
    need.source === "git"
      ? source === "git" && (id === null || id.endsWith(`:${need.target}`))
      : source === need.source,
  );
  const name =
    need.source === "git" ? `change ${need.target}, on which it is built` : shown(need.source, 200);
  if (found === undefined) return `${name}: merged`;
  if (found.problem !== null) return `${name}: ${shown(found.problem, 200)}; it waits`;
  const of = need.source === "git" ? "" : `change ${need.target} of ${target!.project}, `;
  const isOld = need.revision !== null && need.revision !== target!.revision;
  return `${name}: ${of}open${isOld ? `, and its revision ${need.revision} is not the current one: rebase it` : ""}`;
}

export function sameLines({ number, revision }: ChangeRow, url: string | undefined): string[] {
  const where = url === undefined ? "" : `: ${url}/changes/${number}`;
  return ["", `No change: this is revision ${revision} of change ${number} already${where}`];
}
