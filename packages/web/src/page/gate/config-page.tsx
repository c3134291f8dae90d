import type { ConfigProblem } from "@drover/gate/api";
import { useLoaded } from "../loaded.ts";
import { Empty, Table } from "../pieces.tsx";
import { GateTrouble } from "./pieces.tsx";

const REFRESH_MS = 5000;

export function ConfigPage() {
  const loaded = useLoaded<readonly ConfigProblem[]>("api/gate/config-problems", REFRESH_MS);
  const problems = loaded.value;
  return (
    <>
      <h1 tabIndex={-1}>Configuration</h1>
      <GateTrouble of={loaded} />
      {problems?.length === 0 && <Empty title="The configuration is in order" />}
      {problems !== undefined && problems.length > 0 && (
        <>
          <p class="quiet">
            This is wrong in what is merged, and counts for nothing; the rest does. A change that mends it is
            tested as any other, and <code>drover gate config check</code> tells the same of a clone.
          </p>
          <Table
            caption="Problems of the configuration"
            columns={["Project", "Branch", "Where", "What is wrong"]}
          >
            {problems.map(({ project, branch, file, line, message }) => (
              <tr key={`${project} ${branch} ${file} ${line} ${message}`}>
                <th scope="row">{project}</th>
                <td>{branch}</td>
                <td class="handle">{line === null ? file : `${file}:${line}`}</td>
                <td class="gate-message">{message}</td>
              </tr>
            ))}
          </Table>
        </>
      )}
    </>
  );
}
