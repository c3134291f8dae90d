import type { DefinitionView, JobExplanationView } from "@drover/gate/api";
import { Table } from "../pieces.tsx";

/** Of each job in each pipeline: whether it runs, why, and what it is made of. */
export function ExplainedJobs({ of }: { readonly of: readonly JobExplanationView[] }) {
  return (
    <Table caption="Jobs of the change" columns={["Pipeline", "Job", "What it does", "Why"]}>
      {of.map(({ pipeline, job, now, runs, reasons, definitions }) => (
        <tr key={`${pipeline} ${job}`}>
          <td>{pipeline}</td>
          <th scope="row">{job}</th>
          <td class={runs ? "gate-message" : "gate-message quiet"}>{now}</td>
          <td class="gate-message">
            {reasons.map((text) => (
              <p key={text}>{text}</p>
            ))}
            {definitions.length > 0 && (
              <details>
                <summary>
                  {definitions.length} {definitions.length === 1 ? "definition" : "definitions"}
                </summary>
                <Definitions of={definitions} />
              </details>
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** What a job is made of, the oldest ancestor's first. */
export function Definitions({ of }: { readonly of: readonly DefinitionView[] }) {
  return (
    <ol class="plain" aria-label="Definitions">
      {of.map(({ job, project, branch, file, line }) => (
        <li key={`${job} ${project} ${branch} ${file} ${line}`}>
          {job}{" "}
          <span class="handle">
            {project} {branch} {file}:{line}
          </span>
        </li>
      ))}
    </ol>
  );
}
