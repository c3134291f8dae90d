import type { ItemView, WaitingView } from "@drover/gate/api";
import { duration } from "../format.ts";
import { nowMs } from "../live.ts";
import { Moment } from "../moment.tsx";
import { Facts } from "../pieces.tsx";
import { buildHref, changeHref } from "../route.ts";
import { dateOf, numberOf, placeOf } from "./pieces.tsx";
import { lookOfJob, remainingOf, timeOf, wordOf } from "./progress.ts";
import { Bar } from "./tree-row.tsx";

/** All that the status tells of one item. */
export function ItemPanel({
  item,
  pipeline,
  atMs,
  hasLeft,
}: {
  readonly item: ItemView;
  readonly pipeline: string;
  readonly atMs: number;
  /** It is in its queue no more. */
  readonly hasLeft: boolean;
}) {
  const { subject, members, reasons, enqueuedMs, resets, jobs, itemAhead, live, active, failing } = item;
  const remaining = remainingOf(item, atMs, nowMs.value);
  return (
    <>
      <h2>
        {subject.number === null ? (
          numberOf(subject)
        ) : (
          <a href={changeHref(subject.number)}>{numberOf(subject)}</a>
        )}{" "}
        {subject.title}
      </h2>
      {hasLeft && (
        <p class="trouble">
          It has left its queue. {subject.number !== null && "The page of the change tells why."}
        </p>
      )}
      <p class="gate-marks">
        {failing && <span class="state bad">failing</span>}
        {!live && <span class="state">not live</span>}
        {!active && <span class="state">outside of the window</span>}
        {resets > 0 && (
          <span class="state warn">
            {resets} {resets === 1 ? "reset" : "resets"}
          </span>
        )}
      </p>
      <Facts
        of={[
          ["Pipeline", pipeline],
          ["Project", placeOf(subject)],
          ["Owner", subject.owner ?? "–"],
          ...(members.length > 1 ? [["Together with", <Others of={members} />] as const] : []),
          ["Enqueued", <Moment at={dateOf(enqueuedMs)} />],
          ["Stands on", itemAhead === null ? "the branch" : "the item ahead"],
          ["Remaining", remaining === null ? "not known" : remaining === 0 ? "soon" : duration(remaining)],
        ]}
      />
      {reasons.length > 0 && (
        <ul class="gate-reasons" aria-label="Why">
          {reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      )}
      {jobs.length === 0 ? (
        <p class="quiet">{live ? "Its jobs are not known yet." : "It runs no jobs of its own."}</p>
      ) : (
        <ul class="gate-jobs" aria-label="Jobs">
          {jobs.map((job) => (
            <li key={job.name}>
              <div>
                {job.build === null ? <span>{job.name}</span> : <a href={buildHref(job.build)}>{job.name}</a>}
                {job.attempt > 1 && <span class="quiet">attempt {job.attempt}</span>}
                {!job.voting && <span class="quiet">non-voting</span>}
                <span class={`state ${lookOfJob(job)}`}>{wordOf(job)}</span>
              </div>
              <div>
                <Bar job={job} />
                <span class="gate-time">{timeOf(job, nowMs.value)}</span>
              </div>
              {job.reason !== null && <p class="quiet">{job.reason}</p>}
              {job.state === "waiting" && job.dependencies.length > 0 && (
                <p class="quiet">after {job.dependencies.join(", ")}</p>
              )}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** Of a cycle: those that are tested and merged together with the last of them. */
function Others({ of }: { readonly of: ItemView["members"] }) {
  return of.slice(0, -1).map((member) => (
    <div key={member.id}>
      {member.number === null ? numberOf(member) : <a href={changeHref(member.number)}>{numberOf(member)}</a>}{" "}
      {member.title}
    </div>
  ));
}

export function WaitingPanel({ of: { subject, pipeline, reason } }: { readonly of: WaitingView }) {
  return (
    <>
      <h2>
        {subject.number === null ? (
          numberOf(subject)
        ) : (
          <a href={changeHref(subject.number)}>{numberOf(subject)}</a>
        )}{" "}
        {subject.title}
      </h2>
      <p>{reason}</p>
      <Facts
        of={[
          ["Pipeline", pipeline],
          ["Project", placeOf(subject)],
          ["Owner", subject.owner ?? "–"],
        ]}
      />
      <p class="quiet">It is approved, and enters its queue by itself once what it needs is there.</p>
    </>
  );
}
