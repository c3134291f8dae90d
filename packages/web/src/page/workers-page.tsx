import type { Page, WorkerJson } from "@drover/server/api";
import { useState } from "preact/hooks";
import { useLoaded } from "./loaded.ts";
import { Command, Empty, State, Table, Trouble, workCommand } from "./pieces.tsx";
import { functionHref, jobHref } from "./route.ts";

const REFRESH_MS = 2000;
const SHOWN_FUNCTIONS = 5;

export function WorkersPage() {
  const [after, setAfter] = useState("0");
  const loaded = useLoaded<Page<WorkerJson>>(`v1/workers?after=${after}`, REFRESH_MS);
  const page = loaded.value;
  return (
    <>
      <h1 tabIndex={-1}>Workers</h1>
      <Trouble of={loaded} />
      {page !== undefined && page.items.length === 0 && after === "0" && (
        <Empty title="No worker is connected">
          <p>This one turns what it gets to capitals:</p>
          <Command>{workCommand("shout")}</Command>
        </Empty>
      )}
      {page !== undefined && page.items.length > 0 && (
        <Table caption="Workers" columns={["#Connection", "Address", "Client", "State", "Functions", "Jobs"]}>
          {page.items.map((worker) => (
            <Worker key={worker.id} of={worker} />
          ))}
        </Table>
      )}
      <div class="buttons">
        {after !== "0" && (
          <button type="button" onClick={() => setAfter("0")}>
            First workers
          </button>
        )}
        {page !== undefined && page.next !== null && (
          <button type="button" onClick={() => setAfter(page.next!)}>
            Next workers
          </button>
        )}
      </div>
    </>
  );
}

function Worker({ of: worker }: { readonly of: WorkerJson }) {
  const { functions, abilities, jobs, running } = worker;
  const more = abilities - Math.min(SHOWN_FUNCTIONS, functions.length);
  return (
    <tr>
      <th scope="row" class="number">
        {worker.id}
      </th>
      <td>{worker.address}</td>
      <td class="text">{worker.client}</td>
      <td>
        <State>{running > 0 ? "running" : worker.state}</State>
      </td>
      <td class="text list">
        {functions.slice(0, SHOWN_FUNCTIONS).map((name) => (
          <a key={name} href={functionHref(name)}>
            {name}
          </a>
        ))}
        {more > 0 && <span class="quiet">and {more} more</span>}
      </td>
      <td class="text list">
        {jobs.map(({ handle }) => (
          <a key={handle} class="handle" href={jobHref(handle)}>
            {handle}
          </a>
        ))}
        {running > jobs.length && <span class="quiet">and {running - jobs.length} more</span>}
      </td>
    </tr>
  );
}
