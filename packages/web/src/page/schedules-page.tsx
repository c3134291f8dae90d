import type { Page, ScheduleJson } from "@drover/server/api";
import { useLoaded } from "./loaded.ts";
import { Moment } from "./moment.tsx";
import { Command, Empty, Table, Trouble } from "./pieces.tsx";
import { functionHref } from "./route.ts";

const REFRESH_MS = 10_000;
const EXAMPLE = `schedules:
  - name: nightly report
    cron: "0 4 * * *"
    timeZone: Europe/Berlin
    function: report`;

export function SchedulesPage() {
  const loaded = useLoaded<Page<ScheduleJson>>("v1/schedules", REFRESH_MS);
  const items = loaded.value?.items ?? [];
  return (
    <>
      <h1 tabIndex={-1}>Schedules</h1>
      <Trouble of={loaded} />
      {loaded.value !== undefined && items.length === 0 && (
        <Empty title="No schedules">
          <p>Write them into drover.yaml, and send the server a HUP signal:</p>
          <Command>{EXAMPLE}</Command>
        </Empty>
      )}
      {items.length > 0 && (
        <Table
          caption="Schedules"
          columns={["Name", "When", "Time zone", "Function", "Unique", "Next", "Last"]}
        >
          {items.map((schedule) => (
            <tr key={schedule.name}>
              <th scope="row" class="text">
                {schedule.name}
              </th>
              <td>
                <code>{schedule.cron}</code>
              </td>
              <td>{schedule.timeZone}</td>
              <td class="text">
                <a href={functionHref(schedule.function)}>{schedule.function}</a>
              </td>
              <td class="text">{schedule.unique}</td>
              <td>{schedule.next === null ? "never" : <Moment at={schedule.next} />}</td>
              <td>
                {schedule.last === null ? <span class="quiet">not yet</span> : <Moment at={schedule.last} />}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}
