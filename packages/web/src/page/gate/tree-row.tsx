import type { ItemView, JobView, PipelineView, WaitingView } from "@drover/gate/api";
import type { ComponentChildren } from "preact";
import { duration } from "../format.ts";
import { nowMs } from "../live.ts";
import type { Twig } from "./graph.ts";
import { numberOf, placeOf, SubjectLink } from "./pieces.tsx";
import { lookOfJob, remainingOf, shareOf, summaryOf, wordOf } from "./progress.ts";
import { heightOf, type Row } from "./rows.ts";

interface Place {
  readonly topPx: number;
  readonly atMs: number;
  readonly isChosen: boolean;
  readonly isReachable: boolean;
}

export function TreeRow({ row, ...place }: Place & { readonly row: Row }) {
  const { topPx, isChosen, isReachable, atMs } = place;
  const style = { top: `${topPx}px`, height: `${heightOf(row)}px` };
  if (row.kind === "queue") {
    const { name, branch, window, items } = row.queue;
    return (
      <div class="gate-row gate-queue" role="presentation" style={style}>
        <b>{name}</b>
        {branch !== null && <span>{branch}</span>}
        <span class="quiet">
          {items.length} {items.length === 1 ? "item" : "items"},{" "}
          {window === 0 ? "no window" : `window ${window}`}
        </span>
      </div>
    );
  }
  if (row.kind === "edge") {
    return (
      <div class="gate-row gate-edge" role="presentation" style={style}>
        <Lanes heightPx={heightOf(row)} passing={row.lanes} />
        <span>window of {row.window}: those below wait until it moves</span>
      </div>
    );
  }
  const isPipeline = row.kind === "pipeline";
  return (
    <div
      class={`gate-row ${looksOf(row)}`}
      role="treeitem"
      tabIndex={isReachable ? 0 : -1}
      data-key={row.key}
      aria-level={isPipeline ? 1 : 2}
      aria-selected={isChosen}
      aria-expanded={isPipeline ? row.isOpen : undefined}
      aria-label={labelOf(row)}
      style={style}
    >
      {row.kind === "pipeline" && <Pipeline of={row.pipeline} isOpen={row.isOpen} />}
      {row.kind === "item" && <Item of={row.item} twig={row.twig} atMs={atMs} />}
      {row.kind === "waiting" && <Waiting of={row.waiting} />}
    </div>
  );
}

function looksOf(row: Row): string {
  if (row.kind !== "item") return `gate-${row.kind}`;
  const { failing, active, live } = row.item;
  return `gate-item${failing ? " failing" : ""}${active ? "" : " outside"}${live ? "" : " carried"}`;
}

function labelOf(row: Row): string | undefined {
  if (row.kind === "waiting") return `${numberOf(row.waiting.subject)} waits: ${row.waiting.reason}`;
  return row.kind === "item" ? labelOfItem(row.item) : undefined;
}

function labelOfItem(item: ItemView): string {
  const { subject, members, failing, active, live, resets } = item;
  const parts = [
    ...members.map((member) => `${numberOf(member)} ${member.title}`),
    ...(members.length > 1 ? ["a cycle, tested and merged as one"] : []),
    placeOf(subject),
    ...(failing ? ["failing"] : []),
    ...(live ? [] : ["not live"]),
    ...(active ? [] : ["outside of the window"]),
    ...(resets > 0 ? [`reset ${resets} times`] : []),
    ...(live ? [summaryOf(item)] : []),
  ];
  return parts.join(", ");
}

function Pipeline({ of, isOpen }: { readonly of: PipelineView; readonly isOpen: boolean }) {
  const { name, manager, description, queues, waiting } = of;
  const items = queues.reduce((sum, queue) => sum + queue.items.length, 0);
  return (
    <>
      <span class="gate-twist" aria-hidden="true">
        {isOpen ? "▾" : "▸"}
      </span>
      <b>{name}</b>
      <span class="quiet">{manager}</span>
      <span class="gate-count">{items === 0 ? "empty" : items}</span>
      {waiting.length > 0 && <span class="state warn">{waiting.length} waiting</span>}
      {description !== null && (
        <span class="gate-text quiet" title={description}>
          {description}
        </span>
      )}
    </>
  );
}

function Item({
  of,
  twig,
  atMs,
}: {
  readonly of: ItemView;
  readonly twig: Twig | null;
  readonly atMs: number;
}) {
  const { subject, members, failing, live, active, resets, jobs } = of;
  const titles = members.map(({ title }) => title).join(" + ");
  const remaining = remainingOf(of, atMs, nowMs.value);
  return (
    <>
      <Lanes
        heightPx={34}
        passing={twig?.passing ?? []}
        knot={{ lane: twig?.lane ?? 0, leaves: twig?.leaves ?? null, isBuiltOn: twig?.isBuiltOn ?? false }}
        stands={twig !== null}
      />
      {members.map((member) => (
        <SubjectLink key={member.id} of={member} tabIndex={-1} />
      ))}
      <span class="gate-title" title={titles}>
        {titles}
      </span>
      <span class="gate-marks">
        {members.length > 1 && (
          <span
            class="state"
            title="Changes that need each other: tested together, and merged together or not at all"
          >
            cycle
          </span>
        )}
        {failing && <span class="state bad">failing</span>}
        {!live && (
          <span class="state" title="It is merged beneath those behind it, and neither tested nor reported">
            not live
          </span>
        )}
        {live && !active && <span class="state">outside</span>}
        {resets > 0 && (
          <span class="state warn" title="How often its builds were thrown away and begun anew">
            {resets} {resets === 1 ? "reset" : "resets"}
          </span>
        )}
      </span>
      <span class="gate-place quiet" title={placeOf(subject)}>
        {subject.project}
      </span>
      <Strip jobs={jobs} title={summaryOf(of)} />
      <span class="gate-time">
        {remaining === null ? "" : remaining === 0 ? "soon" : duration(remaining)}
      </span>
    </>
  );
}

function Waiting({ of: { subject, reason } }: { readonly of: WaitingView }) {
  return (
    <>
      <span class="state warn">waits</span>
      <SubjectLink of={subject} tabIndex={-1} />
      <span class="gate-title" title={subject.title}>
        {subject.title}
      </span>
      <span class="gate-text quiet" title={reason}>
        {reason}
      </span>
    </>
  );
}

/** More jobs than these are told as a number. */
const MAX_STRIP = 20;

/** A piece for each job, as full as the job is far. */
function Strip({ jobs, title }: { readonly jobs: readonly JobView[]; readonly title: string }) {
  return (
    <span class="gate-strip" title={title} aria-hidden="true">
      {jobs.slice(0, MAX_STRIP).map((job) => (
        <Bar key={job.name} job={job} title={`${job.name}: ${wordOf(job)}`} />
      ))}
      {jobs.length > MAX_STRIP && <small>+{jobs.length - MAX_STRIP}</small>}
    </span>
  );
}

export function Bar({ job, title }: { readonly job: JobView; readonly title?: string }) {
  const share = shareOf(job, nowMs.value);
  const looks = `gate-bar ${lookOfJob(job)}${share === null ? " unknown" : ""}`;
  return (
    <i class={looks} title={title}>
      <i style={{ width: `${Math.round((share ?? 1) * 100)}%` }} />
    </i>
  );
}

const LANE_PX = 14;
/** Lanes that are drawn; further ones are drawn as the last. */
const MAX_LANES = 10;

/** A row's part of the tree. */
function Lanes({
  heightPx,
  passing,
  knot,
  stands = true,
}: {
  readonly heightPx: number;
  readonly passing: readonly number[];
  readonly knot?: Pick<Twig, "lane" | "leaves" | "isBuiltOn">;
  /** It is joined to the row above. */
  readonly stands?: boolean;
}): ComponentChildren {
  const xOf = (lane: number): number => Math.min(lane, MAX_LANES - 1) * LANE_PX + LANE_PX / 2;
  const most = Math.min(MAX_LANES - 1, Math.max(0, ...passing, knot?.lane ?? 0));
  const width = (most + 1) * LANE_PX;
  const middle = heightPx / 2;
  return (
    <svg
      class="gate-lanes"
      width={width}
      height={heightPx}
      viewBox={`0 0 ${width} ${heightPx}`}
      aria-hidden="true"
    >
      {passing.map((lane) => (
        <path key={lane} d={`M${xOf(lane)} 0V${heightPx}`} />
      ))}
      {knot !== undefined && (
        <>
          {stands && knot.leaves === null && <path d={`M${xOf(knot.lane)} 0V${middle}`} />}
          {knot.leaves !== null && (
            <path
              class="off"
              d={`M${xOf(knot.leaves)} 0C${xOf(knot.leaves)} ${middle} ${xOf(knot.lane)} 0 ${xOf(knot.lane)} ${middle}`}
            />
          )}
          {knot.isBuiltOn && <path d={`M${xOf(knot.lane)} ${middle}V${heightPx}`} />}
          <circle cx={xOf(knot.lane)} cy={middle} r="4.5" />
        </>
      )}
    </svg>
  );
}
