import type { AutoholdView } from "@drover/gate/api";
import { useState } from "preact/hooks";
import { confirmed } from "../dialogs.tsx";
import { duration } from "../format.ts";
import { useLoaded } from "../loaded.ts";
import { Moment } from "../moment.tsx";
import { Empty, Table } from "../pieces.tsx";
import { buildHref, changeHref } from "../route.ts";
import { deleted } from "./acting.ts";
import { dateOf, GateTrouble } from "./pieces.tsx";

const PATH = "api/gate/autoholds";
const REFRESH_MS = 5_000;

/** Which failing builds are to be held, and which are. */
export function AutoholdsPage() {
  const loaded = useLoaded<readonly AutoholdView[]>(PATH, REFRESH_MS);
  const list = loaded.value;
  return (
    <>
      <h1 tabIndex={-1}>Autoholds</h1>
      <GateTrouble of={loaded} />
      {list?.length === 0 && (
        <Empty title="Nothing is to be held">
          <p>
            <code>drover gate autohold</code> keeps the workspaces of the next builds of a job that fail, so
            that somebody can look into them.
          </p>
        </Empty>
      )}
      {list !== undefined && list.length > 0 && (
        <Table
          caption="Requests to hold failing builds"
          columns={["Job", "Of", "What for", "Asked by", "#Left", "Held builds", "Acts"]}
        >
          {list.map((one) => (
            <Row key={one.id} of={one} again={loaded.again} />
          ))}
        </Table>
      )}
    </>
  );
}

function Row({ of, again }: { readonly of: AutoholdView; readonly again: () => void }) {
  const [isBusy, setBusy] = useState(false);
  const { id, job, project, change, ref, reason, askedBy, count, holdMs, madeMs, held } = of;
  const remove = async (): Promise<void> => {
    const text = "What is held for it is let go, and what is in those workspaces is lost.";
    if (!(await confirmed(`Delete autohold ${id}?`, text, "Delete"))) return;
    setBusy(true);
    await deleted(`${PATH}/${id}`);
    setBusy(false);
    again();
  };
  return (
    <tr>
      <th scope="row">{job}</th>
      <td>
        {project} {change !== null && <a href={changeHref(change)}>{change}</a>}
        {ref !== null && <code>{ref}</code>}
      </td>
      <td class="gate-message">{reason}</td>
      <td>
        {askedBy}, <Moment at={dateOf(madeMs)} />
      </td>
      <td class="number" title={`each for ${duration(holdMs)}`}>
        {count}
      </td>
      <td>
        {held.map(({ build, execution, executor, untilMs }) => (
          <div key={execution}>
            <a href={buildHref(build)}>{build}</a> on {executor}, ends <Moment at={dateOf(untilMs)} />
          </div>
        ))}
      </td>
      <td class="acts">
        <button
          type="button"
          class="danger"
          aria-label={`Delete autohold ${id}`}
          disabled={isBusy}
          onClick={() => void remove()}
        >
          Delete
        </button>
      </td>
    </tr>
  );
}
