import type { FunctionJson, JobJson, Page } from "@drover/server/api";
import { useState } from "preact/hooks";
import { count, joinRatio, rate } from "./format.ts";
import { JobList } from "./job-list.tsx";
import { beat, functions } from "./live.ts";
import { useLoaded } from "./loaded.ts";
import { tell } from "./notices.tsx";
import { Act, Command, Empty, Facts, State, submitCommand, Trouble, workCommand } from "./pieces.tsx";
import { act } from "./session.ts";

const REFRESH_MS = 2000;
const JOBS = 50;

export function FunctionPage({ name }: { readonly name: string }) {
  beat.value;
  const path = `v1/functions/${encodeURIComponent(name)}`;
  const loaded = useLoaded<FunctionJson>(path, REFRESH_MS);
  const fn = loaded.value;
  const live = functions.get(name);
  return (
    <>
      <div class="title">
        <h1 tabIndex={-1}>{name}</h1>
        {fn?.paused && <State>paused</State>}
        {fn !== undefined && <Pause path={path} fn={fn} onDone={loaded.again} />}
      </div>
      <Trouble of={loaded} />
      {fn !== undefined && (
        <>
          <Facts
            of={[
              ["Queued", count(fn.queued)],
              ["Running", count(fn.running)],
              ["Delayed", count(fn.delayed)],
              ["Workers", count(fn.workers)],
              ["Join ratio", joinRatio(fn.submissions, fn.runs)],
              ["Submitted/s", rate(live?.submissionRate ?? 0)],
              ["Run/s", rate(live?.runRate ?? 0)],
              ["Submissions", count(fn.submissions)],
              ["Runs", count(fn.runs)],
              ["Completed", count(fn.completed)],
              ["Failed", count(fn.failed)],
              ["Lost workers", count(fn.lost)],
            ]}
          />
          {fn.workers === 0 && (
            <Empty title="No worker can do it">
              <p>Jobs wait until one comes, such as:</p>
              <Command>{workCommand(name)}</Command>
            </Empty>
          )}
          <Jobs path={path} name={name} />
        </>
      )}
    </>
  );
}

function Pause({
  path,
  fn: { function: name, paused },
  onDone,
}: {
  readonly path: string;
  readonly fn: FunctionJson;
  readonly onDone: () => void;
}) {
  const change = async (): Promise<void> => {
    try {
      await act("POST", `${path}/${paused ? "resume" : "pause"}`);
      tell(paused ? `${name} goes on` : `${name} is paused: what runs goes on, the rest waits`);
      onDone();
    } catch (error) {
      tell((error as Error).message, true);
    }
  };
  return <Act onClick={change}>{paused ? "Resume" : "Pause"}</Act>;
}

function Jobs({ path, name }: { readonly path: string; readonly name: string }) {
  const [after, setAfter] = useState("0");
  const loaded = useLoaded<Page<JobJson>>(`${path}/jobs?limit=${JOBS}&after=${after}`, REFRESH_MS);
  const page = loaded.value;
  return (
    <section class="part">
      <h2>Jobs</h2>
      <Trouble of={loaded} />
      {page !== undefined && page.items.length === 0 && page.next === null && (
        <Empty title="No job waits or runs">
          <Command>{submitCommand(name)}</Command>
        </Empty>
      )}
      {page !== undefined && page.items.length > 0 && (
        <JobList jobs={page.items} caption={`Jobs of ${name}`} />
      )}
      <div class="buttons">
        {after !== "0" && (
          <button type="button" onClick={() => setAfter("0")}>
            First jobs
          </button>
        )}
        {page !== undefined && page.next !== null && (
          <button type="button" onClick={() => setAfter(page.next!)}>
            Next jobs
          </button>
        )}
      </div>
    </section>
  );
}
