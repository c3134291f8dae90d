import type { JobJson } from "@drover/server/api";
import { Moment } from "./moment.tsx";
import { State, Table } from "./pieces.tsx";
import { functionHref, jobHref } from "./route.ts";

function waiting({ waiting: foreground, background }: JobJson): string {
  if (!background) return String(foreground);
  return foreground === 0 ? "background" : `${foreground} + background`;
}

/** Jobs as a table; with their functions where they are of several. */
export function JobList({
  jobs,
  caption,
  withFunction = false,
}: {
  readonly jobs: readonly JobJson[];
  readonly caption: string;
  readonly withFunction?: boolean;
}) {
  const columns = [
    "Handle",
    ...(withFunction ? ["Function"] : []),
    "Unique",
    "State",
    "Priority",
    "#Waiting",
    "#Attempts",
    "Submitted",
  ];
  return (
    <Table caption={caption} columns={columns}>
      {jobs.map((job) => (
        <tr key={job.handle}>
          <th scope="row" class="handle">
            <a href={jobHref(job.handle)}>{job.handle}</a>
          </th>
          {withFunction && (
            <td class="text">
              <a href={functionHref(job.function)}>{job.function}</a>
            </td>
          )}
          <td class="text" title={job.unique}>
            {job.unique === "" ? <span class="quiet">none</span> : job.unique}
          </td>
          <td>
            <State>{job.state}</State>
          </td>
          <td>{job.priority}</td>
          <td class="number">{waiting(job)}</td>
          <td class="number">{job.attempts}</td>
          <td>
            <Moment at={job.created} />
          </td>
        </tr>
      ))}
    </Table>
  );
}
