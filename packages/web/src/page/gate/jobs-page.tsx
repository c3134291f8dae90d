import type { JobDefinitionsView } from "@drover/gate/api";
import { useState } from "preact/hooks";
import { useLoaded } from "../loaded.ts";
import { Empty, Table } from "../pieces.tsx";
import { GateTrouble } from "./pieces.tsx";

const REFRESH_MS = 10_000;

/** Each job of the merged configuration: what it comes from, and all of its definitions. */
export function JobsPage() {
  const loaded = useLoaded<readonly JobDefinitionsView[]>("api/gate/jobs", REFRESH_MS);
  const [wanted, setWanted] = useState("");
  const jobs = loaded.value?.filter(({ name, description }) =>
    `${name}\n${description ?? ""}`.toLowerCase().includes(wanted.toLowerCase()),
  );
  return (
    <>
      <h1 tabIndex={-1}>Jobs</h1>
      <search class="gate-filter">
        <label class="field">
          Name or description
          <input value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
        </label>
      </search>
      <GateTrouble of={loaded} />
      {jobs?.length === 0 && <Empty title={wanted === "" ? "No job is defined" : "No job is called so"} />}
      {jobs?.map((job) => (
        <Job key={job.name} of={job} />
      ))}
    </>
  );
}

function Job({ of: { name, description, ancestors, definitions } }: { readonly of: JobDefinitionsView }) {
  return (
    <section class="part gate-definitions" aria-label={name}>
      <h2>{name}</h2>
      {description !== null && <p class="gate-message">{description}</p>}
      <p class="quiet">
        {ancestors.length === 0
          ? "It has no parent."
          : `It begins with all of ${ancestors.join(", and that with all of ")}.`}
      </p>
      <Table caption={`Definitions of ${name}`} columns={["Defined at", "For", "Parent", "What it sets"]}>
        {definitions.map(({ project, branch, file, line, isFor, parent, sets }) => (
          <tr key={`${project} ${branch} ${file} ${line}`}>
            <th scope="row" class="handle">
              {project} {branch} {file}:{line}
            </th>
            <td>{isFor}</td>
            <td>{parent ?? "–"}</td>
            <td class="gate-message">{sets.join(", ") || "nothing"}</td>
          </tr>
        ))}
      </Table>
    </section>
  );
}
