import type { BuildView } from "@drover/gate/api";
import { Empty } from "../pieces.tsx";
import { BuildTable } from "./build-table.tsx";
import { FilterFields, OlderOnes } from "./filter-fields.tsx";
import { useFiltered } from "./filtered.ts";
import { GateTrouble } from "./pieces.tsx";

const RESULTS = [
  "SUCCESS",
  "FAILURE",
  "TIMED_OUT",
  "POST_FAILURE",
  "RETRY_LIMIT",
  "NODE_FAILURE",
  "SKIPPED",
  "CANCELED",
  "ABORTED",
  "DISK_FULL",
  "ERROR",
];
const FIELDS = [
  { name: "project", label: "Project" },
  { name: "job", label: "Job" },
  { name: "pipeline", label: "Pipeline" },
  { name: "result", label: "Result", oneOf: RESULTS },
] as const;
const NAMES = FIELDS.map(({ name }) => name);
const idOf = ({ id }: BuildView): string => id;

/** Builds, newest first. @param query Of the page's address: what is looked for. */
export function BuildsPage({ query }: { readonly query: string }) {
  const builds = useFiltered("builds", NAMES, query, idOf);
  return (
    <>
      <h1 tabIndex={-1}>Builds</h1>
      <FilterFields of={builds} fields={FIELDS} />
      <GateTrouble of={builds.newest} />
      {builds.newest.value !== undefined && builds.rows.length === 0 && (
        <Empty title={builds.isFiltered ? "No build is like that" : "No build has run yet"} />
      )}
      {builds.rows.length > 0 && (
        <>
          <BuildTable builds={builds.rows} caption="Builds, newest first" withSubject />
          <OlderOnes of={builds} />
        </>
      )}
    </>
  );
}
