import type { FoundJob, JobDetailJson, OutcomeJson, TimelineEntry } from "@drover/server/api";
import { useEffect, useRef } from "preact/hooks";
import { bytes } from "./format.ts";
import { type JobStream, useJobStream } from "./job-stream.ts";
import { useLoaded } from "./loaded.ts";
import { Moment } from "./moment.tsx";
import { Empty, Facts, State, Table, Trouble } from "./pieces.tsx";
import { functionHref, jobHref } from "./route.ts";

const REFRESH_MS = 1500;

export function JobPage({ handle }: { readonly handle: string }) {
  const loaded = useLoaded<FoundJob>(`v1/jobs/${encodeURIComponent(handle)}/detail`, REFRESH_MS);
  const found = loaded.value;
  const lives = found?.live === true;
  // Once followed, always: the stream tells the end, which the details may tell first.
  const wasLive = useRef("");
  if (lives) wasLive.current = handle;
  const reports = useJobStream(handle, wasLive.current === handle);
  const lastJob = useRef<JobDetailJson | undefined>(undefined);
  if (found?.live === true) lastJob.current = found.job;
  const job = lastJob.current?.handle === handle ? lastJob.current : undefined;
  const hasEnded =
    !lives && job !== undefined && (reports.state === "ended" || loaded.refusal?.status === 404);
  const state = stateOf(found, reports, hasEnded, job);
  return (
    <>
      <div class="title">
        <h1 tabIndex={-1} class="handle">
          {handle}
        </h1>
        {state !== undefined && <State>{state}</State>}
      </div>
      {!hasEnded && loaded.refusal?.status === 404 ? <Unknown /> : !hasEnded && <Trouble of={loaded} />}
      {found?.live === false && job === undefined && <Outcome of={found.outcome} />}
      {job !== undefined && (
        <>
          <JobFacts job={job} hasEnded={!lives} />
          <Stream of={reports} />
          <div class="columns">
            <Submitters job={job} hasEnded={!lives} />
            <Timeline job={job} ended={found?.live === false ? found.outcome : undefined} />
          </div>
        </>
      )}
    </>
  );
}

function stateOf(
  found: FoundJob | undefined,
  reports: JobStream,
  hasEnded: boolean,
  job: JobDetailJson | undefined,
): string | undefined {
  if (found?.live === false) return found.outcome.state;
  if (hasEnded || reports.state === "ended") {
    return reports.reports.at(-1)?.name === "complete" ? "done" : "failed";
  }
  return found?.live === true ? found.job.state : job?.state;
}

function Unknown() {
  return (
    <Empty title="No such job is known">
      <p>
        Foreground jobs are forgotten when they end, background jobs some minutes later. The search finds jobs
        by their unique.
      </p>
    </Empty>
  );
}

function Outcome({ of }: { readonly of: OutcomeJson }) {
  return (
    <>
      <Facts
        of={[
          ["Function", <a href={functionHref(of.function)}>{of.function}</a>],
          ["Unique", of.unique === "" ? "none" : of.unique],
          ["Ended", <Moment at={of.ended} />],
        ]}
      />
      {of.state === "dead" && (
        <p>
          Its attempts are spent: it is among the <a href="#/dead-letters">dead letters</a>.
        </p>
      )}
    </>
  );
}

function JobFacts({ job, hasEnded }: { readonly job: JobDetailJson; readonly hasEnded: boolean }) {
  const { run, successor } = job;
  const worker = run?.worker;
  return (
    <Facts
      of={[
        ["Function", <a href={functionHref(job.function)}>{job.function}</a>],
        ["Unique", job.unique === "" ? <span class="quiet">none: joins nothing</span> : job.unique],
        ["Priority", job.priority],
        ["Workload", bytes(job.workloadBytes)],
        ["Attempt", String(job.attempts)],
        ["Submitted", <Moment at={job.created} />],
        ...(job.due === null ? [] : ([["Due", <Moment at={job.due} />]] as const)),
        ...(worker === undefined || hasEnded
          ? []
          : ([
              [
                "Worker",
                `${worker.client === "-" ? "" : `${worker.client} `}${worker.address} #${worker.id}`,
              ],
            ] as const)),
        ...(run?.timeout ? ([["Timeout", <Moment at={run.timeout} />]] as const) : []),
        ...(run !== null && !hasEnded
          ? ([
              [
                "Late joiners",
                run.joinable ? `get all ${bytes(run.historyBytes)} so far` : "wait for a run of their own",
              ],
            ] as const)
          : []),
        ...(successor === null
          ? []
          : ([["Successor", <a href={jobHref(successor)}>{successor}</a>]] as const)),
      ]}
    />
  );
}

function Stream({ of: { reports, left, progress, state } }: { readonly of: JobStream }) {
  const log = useRef<HTMLOListElement>(null);
  // Stays at the newest report, unless somebody reads further up.
  const staysAtEnd = useRef(true);
  useEffect(() => {
    const box = log.current;
    if (box !== null && staysAtEnd.current) box.scrollTop = box.scrollHeight;
  }, [reports]);
  return (
    <section class="part" aria-labelledby="stream-title">
      <div class="title">
        <h2 id="stream-title">Stream</h2>
        <span class="quiet">{STREAM_STATES[state]}</span>
      </div>
      {progress !== null && (
        <p class="progress">
          <progress
            aria-label="Progress"
            {...(progress.denominator > 0 ? { max: progress.denominator, value: progress.numerator } : {})}
          />
          <span>
            {progress.numerator} of {progress.denominator}
          </span>
        </p>
      )}
      {left > 0 && <p class="quiet">{left} earlier reports are not shown.</p>}
      {reports.length > 0 && (
        <ol
          ref={log}
          class="log"
          aria-label="Reports of the job"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
          tabIndex={0}
          onScroll={({ currentTarget: box }) => {
            staysAtEnd.current = box.scrollTop + box.clientHeight > box.scrollHeight - 8;
          }}
        >
          {reports.map(({ number, name, text }) => (
            <li key={number} class={`report ${name}`}>
              <span class="report-name">{name}</span>
              <span class="report-text">{text}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

const STREAM_STATES: Readonly<Record<JobStream["state"], string>> = {
  connecting: "connecting …",
  following: "live; this page counts as one that waits",
  ended: "ended",
  unavailable: "cannot be followed: it is over, or has reported more than is kept",
};

function Submitters({ job, hasEnded }: { readonly job: JobDetailJson; readonly hasEnded: boolean }) {
  const { submitters, waiting, background } = job;
  return (
    <section class="part">
      <h2>Submitters</h2>
      {background && <p>A background submission claims it: it runs whoever leaves.</p>}
      {hasEnded || submitters.length === 0 ? (
        <p class="quiet">{hasEnded ? "The job is over, nobody waits." : "Nobody waits for it."}</p>
      ) : (
        <Table caption="Who waits for it" columns={["Address", "Client", "#Connection", "Since"]}>
          {submitters.map(({ peer, since }, at) => (
            <tr key={`${peer.id} ${at}`}>
              <td>{peer.address}</td>
              <td class="text">{peer.client}</td>
              <td class="number">{peer.id}</td>
              <td>
                <Moment at={since} />
              </td>
            </tr>
          ))}
        </Table>
      )}
      {!hasEnded && waiting > submitters.length && (
        <p class="quiet">and {waiting - submitters.length} more</p>
      )}
    </section>
  );
}

function Timeline({ job, ended }: { readonly job: JobDetailJson; readonly ended: OutcomeJson | undefined }) {
  return (
    <section class="part">
      <h2>Timeline</h2>
      <ol class="timeline">
        {job.timeline.map((entry) => (
          <li key={`${entry.at} ${entry.event} ${entry.attempt}`} class={LOOKS[entry.event]}>
            <b>{entry.event}</b>
            {entry.attempt !== null && ` attempt ${entry.attempt}`}
            {entry.worker !== null && (
              <span class="quiet">
                {" "}
                on {entry.worker.address} #{entry.worker.id}
              </span>
            )}{" "}
            <Moment at={entry.at} />
          </li>
        ))}
        {ended !== undefined && (
          <li class={ended.state === "done" ? "good" : "bad"}>
            <b>{ended.state}</b> <Moment at={ended.ended} />
          </li>
        )}
      </ol>
    </section>
  );
}

const LOOKS: Readonly<Record<TimelineEntry["event"], string>> = {
  created: "",
  due: "",
  started: "good",
  "worker lost": "bad",
  "timed out": "bad",
  failed: "bad",
  exception: "bad",
};
