import type { SubjectView } from "@drover/gate/api";
import { duration } from "../format.ts";
import type { Loaded } from "../loaded.ts";
import { Trouble } from "../pieces.tsx";
import { changeHref, type GateRoute } from "../route.ts";
import { askForLook } from "./acting.ts";
import { lookOfResult } from "./progress.ts";

export function Result({ of, voting = true }: { readonly of: string | null; readonly voting?: boolean }) {
  return <span class={`state ${lookOfResult(of, voting)}`}>{of ?? "running"}</span>;
}

/** `12,3` for a change's revision; the start of a commit for anything else, where it is about one. */
export function numberOf({ number, revision, commit, id }: SubjectView): string {
  if (number === null) return commit?.slice(0, 8) ?? (/@0+$/.test(id) ? "deleted" : "as it is");
  return revision === null ? String(number) : `${number},${revision}`;
}

/** Leads to a change; anything else has no page. */
export function SubjectLink({ of, tabIndex }: { readonly of: SubjectView; readonly tabIndex?: number }) {
  const text = numberOf(of);
  if (of.number === null) return <span class="handle">{text}</span>;
  return (
    <a class="handle" href={changeHref(of.number)} {...(tabIndex === undefined ? {} : { tabIndex })}>
      {text}
    </a>
  );
}

/** `project` or `project branch`. */
export function placeOf({ project, branch }: SubjectView): string {
  return branch === null ? project : `${project} ${branch}`;
}

export function spentOf(startedMs: number | null, endedMs: number | null, nowMs: number): string {
  return startedMs === null ? "–" : duration(Math.max(0, (endedMs ?? nowMs) - startedMs));
}

/** What a date of the gate is to `Moment`. */
export const dateOf = (ms: number): string => new Date(ms).toISOString();

/** Why there is nothing to see, and the way to a token where one is wanted. */
export function GateTrouble({ of }: { readonly of: Loaded<unknown> }) {
  if (of.refusal?.status !== 401) return <Trouble of={of} />;
  return (
    <div class="trouble" role="alert">
      The gate asks for a token.{" "}
      <button type="button" onClick={() => void askForLook()}>
        Give a token
      </button>
    </div>
  );
}

const PAGES: readonly { href: string; name: string; pages: readonly GateRoute["page"][] }[] = [
  { href: "#/gate", name: "Status", pages: ["gate"] },
  { href: "#/gate/changes", name: "Changes", pages: ["gate-changes", "gate-change"] },
  { href: "#/gate/builds", name: "Builds", pages: ["gate-builds", "gate-build", "gate-timeline"] },
  { href: "#/gate/jobs", name: "Jobs", pages: ["gate-jobs"] },
  { href: "#/gate/flakes", name: "Flakes", pages: ["gate-flakes"] },
  { href: "#/gate/autoholds", name: "Autoholds", pages: ["gate-autoholds"] },
  { href: "#/gate/config", name: "Configuration", pages: ["gate-config"] },
];

export function GateMenu({ at }: { readonly at: GateRoute }) {
  return (
    <nav class="gate-menu" aria-label="Gate">
      {PAGES.map(({ href, name, pages }) => (
        <a key={href} href={href} aria-current={pages.includes(at.page) ? "page" : undefined}>
          {name}
        </a>
      ))}
    </nav>
  );
}
