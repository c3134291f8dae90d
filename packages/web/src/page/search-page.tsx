import type { FoundJob, FunctionJson, Page, SearchJson } from "@drover/server/api";
import { JobList } from "./job-list.tsx";
import { useLoaded } from "./loaded.ts";
import { Moment } from "./moment.tsx";
import { Empty, State, Table, Trouble } from "./pieces.tsx";
import { functionHref, jobHref } from "./route.ts";

/** What goes by a text: a handle, a unique, functions with it in their names. */
export function SearchPage({ text }: { readonly text: string }) {
  const query = encodeURIComponent(text);
  const byUnique = useLoaded<SearchJson>(`v1/search?unique=${query}`, 0);
  const byHandle = useLoaded<FoundJob>(`v1/jobs/${query}/detail`, 0);
  const byName = useLoaded<Page<FunctionJson>>(`v1/functions?limit=50&q=${query}`, 0);
  const { jobs = [], outcomes = [], deadLetters = [] } = byUnique.value ?? {};
  const functions = byName.value?.items ?? [];
  const isHandle = byHandle.value !== undefined;
  const isKnown = byUnique.value !== undefined && byName.value !== undefined;
  const isNothing =
    isKnown && !isHandle && jobs.length + outcomes.length + deadLetters.length + functions.length === 0;
  return (
    <>
      <h1 tabIndex={-1}>Search: {text}</h1>
      <Trouble of={byUnique} />
      {isNothing && (
        <Empty title="Nothing goes by that">
          <p>Uniques and handles are looked for as a whole, functions by a part of their names.</p>
        </Empty>
      )}
      {isHandle && (
        <section class="part">
          <h2>Job of this handle</h2>
          <p>
            <a class="handle" href={jobHref(text)}>
              {text}
            </a>
          </p>
        </section>
      )}
      {jobs.length > 0 && (
        <section class="part">
          <h2>Jobs of this unique</h2>
          <JobList jobs={jobs} caption="Jobs of this unique" withFunction />
        </section>
      )}
      {outcomes.length + deadLetters.length > 0 && (
        <section class="part">
          <h2>Ended jobs of this unique</h2>
          <Table caption="Ended jobs of this unique" columns={["Handle", "Function", "State", "Ended"]}>
            {outcomes.map(({ handle, function: fn, state, ended }) => (
              <Ended key={handle} handle={handle} fn={fn} state={state} at={ended} />
            ))}
            {deadLetters
              .filter(({ handle }) => !outcomes.some((outcome) => outcome.handle === handle))
              .map(({ handle, function: fn, died }) => (
                <Ended key={handle} handle={handle} fn={fn} state="dead" at={died} />
              ))}
          </Table>
        </section>
      )}
      {functions.length > 0 && (
        <section class="part">
          <h2>Functions</h2>
          <ul class="plain">
            {functions.map(({ function: name }) => (
              <li key={name}>
                <a href={functionHref(name)}>{name}</a>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function Ended(job: {
  readonly handle: string;
  readonly fn: string;
  readonly state: string;
  readonly at: string;
}) {
  return (
    <tr>
      <th scope="row" class="handle">
        <a href={jobHref(job.handle)}>{job.handle}</a>
      </th>
      <td class="text">
        <a href={functionHref(job.fn)}>{job.fn}</a>
      </td>
      <td>
        <State>{job.state}</State>
      </td>
      <td>
        <Moment at={job.at} />
      </td>
    </tr>
  );
}
