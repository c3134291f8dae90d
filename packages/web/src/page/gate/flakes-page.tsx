import type { FlakeView } from "@drover/gate/api";
import { useLoaded } from "../loaded.ts";
import { Moment } from "../moment.tsx";
import { Empty, Table } from "../pieces.tsx";
import { buildHref } from "../route.ts";
import { dateOf, GateTrouble, Result } from "./pieces.tsx";

const REFRESH_MS = 10_000;

/** Jobs that ended differently on equal content. */
export function FlakesPage() {
  const loaded = useLoaded<readonly FlakeView[]>("api/gate/flakes", REFRESH_MS);
  const flakes = loaded.value;
  return (
    <>
      <h1 tabIndex={-1}>Flakes</h1>
      <GateTrouble of={loaded} />
      {flakes?.length === 0 && (
        <Empty title="No flake is known">
          <p>A job that ends differently on exactly the same content is one; jobs with reuse are watched.</p>
        </Empty>
      )}
      {flakes !== undefined && flakes.length > 0 && (
        <Table
          caption="Flakes, newest first"
          columns={["Job", "Project", "Last seen", "How it ended, each time"]}
        >
          {flakes.map(({ project, job, key, lastMs, executions }) => (
            <tr key={`${project} ${job} ${key}`}>
              <th scope="row">{job}</th>
              <td>{project}</td>
              <td>
                <Moment at={dateOf(lastMs)} />
              </td>
              <td>
                {executions.map(({ build, result, detail }) => (
                  <span key={build} title={detail ?? ""}>
                    <a href={buildHref(build)}>
                      <Result of={result} />
                    </a>{" "}
                  </span>
                ))}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}
