import type { ChangeSummaryView } from "@drover/gate/api";
import { Moment } from "../moment.tsx";
import { Empty, State, Table } from "../pieces.tsx";
import { FilterFields, OlderOnes } from "./filter-fields.tsx";
import { useFiltered } from "./filtered.ts";
import { dateOf, GateTrouble, placeOf, SubjectLink } from "./pieces.tsx";

const FIELDS = [
  { name: "project", label: "Project" },
  { name: "owner", label: "Owner" },
  { name: "topic", label: "Topic" },
  { name: "state", label: "State", oneOf: ["open", "merged", "abandoned"] },
] as const;
const NAMES = FIELDS.map(({ name }) => name);
const idOf = ({ subject }: ChangeSummaryView): string => String(subject.number);

/** Changes, newest first. @param query Of the page's address: what is looked for. */
export function ChangesPage({ query }: { readonly query: string }) {
  const changes = useFiltered("changes", NAMES, query, idOf);
  return (
    <>
      <h1 tabIndex={-1}>Changes</h1>
      <FilterFields of={changes} fields={FIELDS} />
      <GateTrouble of={changes.newest} />
      {changes.newest.value !== undefined && changes.rows.length === 0 && (
        <Empty title={changes.isFiltered ? "No change is like that" : "Nothing has been proposed yet"} />
      )}
      {changes.rows.length > 0 && (
        <>
          <Table
            caption="Changes, newest first"
            columns={["Change", "Title", "Project", "Owner", "State", "Updated"]}
          >
            {changes.rows.map(({ subject, state, isApproved, updatedMs }) => (
              <tr key={subject.number}>
                <th scope="row">
                  <SubjectLink of={subject} />
                </th>
                <td class="text" title={subject.title}>
                  {subject.title}
                </td>
                <td class="text">{placeOf(subject)}</td>
                <td>{subject.owner}</td>
                <td>
                  <State>{state}</State>{" "}
                  {state === "open" && isApproved && <span class="state good">approved</span>}
                </td>
                <td>
                  <Moment at={dateOf(updatedMs)} />
                </td>
              </tr>
            ))}
          </Table>
          <OlderOnes of={changes} />
        </>
      )}
    </>
  );
}
