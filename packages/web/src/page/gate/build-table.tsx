import type { BuildView } from "@drover/gate/api";
import { nowMs } from "../live.ts";
import { Moment } from "../moment.tsx";
import { Table } from "../pieces.tsx";
import { buildHref } from "../route.ts";
import { dateOf, placeOf, Result, SubjectLink, spentOf } from "./pieces.tsx";

/** Builds as a table; with their changes where they are of several. */
export function BuildTable({
  builds,
  caption,
  withSubject = false,
}: {
  readonly builds: readonly BuildView[];
  readonly caption: string;
  readonly withSubject?: boolean;
}) {
  const columns = [
    "Job",
    "Result",
    ...(withSubject ? ["Change", "Title", "Project"] : ["#Revision"]),
    "Pipeline",
    "#Took",
    "Started",
  ];
  return (
    <Table caption={caption} columns={columns}>
      {builds.map(({ id, job, subject, pipeline, result, voting, attempt, startedMs, endedMs, shared }) => (
        <tr key={id}>
          <th scope="row">
            <a href={buildHref(id)}>{job}</a>
            {attempt > 1 && <span class="quiet"> attempt {attempt}</span>}
          </th>
          <td>
            <Result of={result} voting={voting} />
            {shared != null && (
              <>
                {" "}
                <a
                  class="quiet"
                  href={buildHref(shared.build)}
                  title={`The result is that of build ${shared.build}`}
                >
                  {shared.how}
                </a>
              </>
            )}
          </td>
          {withSubject ? (
            <>
              <td>
                <SubjectLink of={subject} />
              </td>
              <td class="text" title={subject.title}>
                {subject.title}
              </td>
              <td class="text">{placeOf(subject)}</td>
            </>
          ) : (
            <td class="number">{subject.revision}</td>
          )}
          <td>{pipeline}</td>
          <td class="number">{spentOf(startedMs, endedMs, nowMs.value)}</td>
          <td>{startedMs === null ? "–" : <Moment at={dateOf(startedMs)} />}</td>
        </tr>
      ))}
    </Table>
  );
}
