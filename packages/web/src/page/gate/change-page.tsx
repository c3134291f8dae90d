import type { ChangeView, ExplanationView } from "@drover/gate/api";
import { useState } from "preact/hooks";
import { confirmed } from "../dialogs.tsx";
import { useLoaded } from "../loaded.ts";
import { Moment } from "../moment.tsx";
import { Command, Empty, Facts, State, Table } from "../pieces.tsx";
import { changeHref } from "../route.ts";
import { acted } from "./acting.ts";
import { BuildTable } from "./build-table.tsx";
import { CommentForm, Comments } from "./comments.tsx";
import { Diff, type Spot } from "./diff.tsx";
import { ExplainedJobs } from "./explained-jobs.tsx";
import { dateOf, GateTrouble } from "./pieces.tsx";

const REFRESH_MS = 2500;

export function ChangePage({ number }: { readonly number: number }) {
  const path = `api/gate/changes/${number}`;
  const loaded = useLoaded<ChangeView>(path, REFRESH_MS);
  const explained = useLoaded<ExplanationView>(`api/gate/explain/${number}`, REFRESH_MS);
  const change = loaded.value;
  const again = (): void => {
    loaded.again();
    explained.again();
  };
  return (
    <>
      <div class="title">
        <h1 tabIndex={-1}>Change {number}</h1>
        {change !== undefined && (
          <>
            <span class="gate-subject">{change.subject.title}</span>
            <State>{change.state}</State>
            {change.isApproved && <span class="state good">approved</span>}
          </>
        )}
      </div>
      {loaded.refusal?.status === 404 ? (
        <Empty title="No such change is known" />
      ) : (
        <GateTrouble of={loaded} />
      )}
      {change !== undefined && (
        <>
          <Acts path={path} change={change} again={again} />
          <ChangeFacts of={change} />
          <pre class="gate-said">{change.message}</pre>
          <div class="columns">
            <Needs of={change} />
            <Explanation of={explained.value} />
          </div>
          {explained.value !== undefined && explained.value.jobs.length > 0 && (
            <section class="part">
              <h2>Jobs</h2>
              <ExplainedJobs of={explained.value.jobs} />
            </section>
          )}
          <Revisions path={path} change={change} again={again} />
          <section class="part">
            <h2>Builds</h2>
            {change.builds.length === 0 ? (
              <p class="quiet">None yet.</p>
            ) : (
              <BuildTable builds={change.builds} caption="Builds of the change" />
            )}
          </section>
        </>
      )}
    </>
  );
}

function Acts({
  path,
  change,
  again,
}: {
  readonly path: string;
  readonly change: ChangeView;
  readonly again: () => void;
}) {
  const [isBusy, setBusy] = useState(false);
  const { number, revision } = change.subject;
  const act = async (what: string, body: object): Promise<void> => {
    setBusy(true);
    await acted(`${path}/${what}`, body);
    setBusy(false);
    again();
  };
  const abandon = async (): Promise<void> => {
    const text = "It leaves its queues, and so does what needs it.";
    if (await confirmed(`Abandon change ${number}?`, text, "Abandon")) await act("abandon", {});
  };
  if (change.state === "merged") return null;
  if (change.state === "abandoned") {
    return (
      <div class="buttons gate-acts">
        <button type="button" disabled={isBusy} onClick={() => void act("restore", {})}>
          Restore
        </button>
      </div>
    );
  }
  return (
    <div class="buttons gate-acts">
      <button
        type="button"
        class={change.isApproved ? "" : "primary"}
        disabled={isBusy}
        // Of the revision that was seen, whatever was pushed since.
        onClick={() => void act("approve", { revision })}
      >
        Approve revision {revision}
      </button>
      <button
        type="button"
        disabled={isBusy || change.approvals.length === 0}
        onClick={() => void act("unapprove", {})}
      >
        Withdraw approval
      </button>
      <button type="button" class="danger" disabled={isBusy} onClick={() => void abandon()}>
        Abandon
      </button>
    </div>
  );
}

function ChangeFacts({ of: { subject, approvals } }: { readonly of: ChangeView }) {
  const approved = approvals.map(({ user, revision, atMs }) => (
    <div key={`${user} ${revision}`}>
      {user} <span class="quiet">revision {revision},</span> <Moment at={dateOf(atMs)} />
    </div>
  ));
  return (
    <Facts
      of={[
        ["Project", subject.project],
        ["Branch", subject.branch ?? "–"],
        ["Owner", subject.owner ?? "–"],
        ["Revision", String(subject.revision ?? "–")],
        ["Commit", <span class="handle">{subject.commit?.slice(0, 12) ?? "–"}</span>],
        ["Approved by", approved.length === 0 ? "nobody" : approved],
      ]}
    />
  );
}

function Needs({ of: { needs } }: { readonly of: ChangeView }) {
  return (
    <section class="part">
      <h2>Needs</h2>
      {needs.length === 0 ? (
        <p class="quiet">No other change.</p>
      ) : (
        <ul class="plain" aria-label="Needs">
          {needs.map(({ source, change, problem }) => (
            <li key={`${source} ${change}`}>
              {change !== null && (
                <a class="handle" href={changeHref(change)}>
                  {change}
                </a>
              )}{" "}
              <span class="quiet">{source === "git" ? "its parent in git" : source}</span>
              {problem !== null && <p class="bad">{problem}</p>}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Explanation({ of }: { readonly of: ExplanationView | undefined }) {
  return (
    <section class="part" aria-label="What happened to it">
      <h2>What happened to it</h2>
      {of !== undefined && of.now.length > 0 && (
        <ul class="gate-reasons" aria-label="Now">
          {of.now.map((text) => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      )}
      {of === undefined || of.decisions.length === 0 ? (
        <p class="quiet">Nothing yet.</p>
      ) : (
        <div class="gate-scroll">
          <ol class="timeline">
            {of.decisions.toReversed().map(({ atMs, pipeline, text }, at) => (
              <li key={of.decisions.length - at}>
                {pipeline !== null && <b>{pipeline} </b>}
                {text} <Moment at={dateOf(atMs)} />
              </li>
            ))}
          </ol>
        </div>
      )}
    </section>
  );
}

function Revisions({
  path,
  change,
  again,
}: {
  readonly path: string;
  readonly change: ChangeView;
  readonly again: () => void;
}) {
  const { revisions, fetchCommand, comments, subject } = change;
  const [chosen, setChosen] = useState<number | null>(null);
  const [spot, setSpot] = useState<Spot | null>(null);
  const revision = chosen ?? subject.revision ?? revisions.at(-1)?.revision;
  return (
    <>
      <section class="part">
        <h2>Revisions</h2>
        <Command>{fetchCommand}</Command>
        <Table caption="Revisions" columns={["Revision", "Commit", "Pushed"]}>
          {revisions.toReversed().map(({ revision: own, commit, atMs }) => (
            <tr key={own}>
              <th scope="row">
                <button type="button" aria-pressed={own === revision} onClick={() => setChosen(own)}>
                  {own}
                </button>
              </th>
              <td class="handle">{commit}</td>
              <td>
                <Moment at={dateOf(atMs)} />
              </td>
            </tr>
          ))}
        </Table>
      </section>
      {revision !== undefined && (
        <section class="part gate-diff">
          <h2>Diff of revision {revision}</h2>
          <Diff key={revision} change={subject.number!} revision={revision} onSpot={setSpot} />
        </section>
      )}
      <section class="part" aria-label="Comments">
        <h2>Comments</h2>
        <Comments of={comments} />
        {change.state === "open" && (
          <CommentForm path={path} spot={spot} onSpotGone={() => setSpot(null)} again={again} />
        )}
      </section>
    </>
  );
}
