import type { BuildView } from "@drover/gate/api";
import { useEffect, useState } from "preact/hooks";
import { useLoaded } from "../loaded.ts";
import { Empty } from "../pieces.tsx";
import { load, Refusal } from "../session.ts";
import { BuildTable } from "./build-table.tsx";
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
const FIELDS = ["project", "job", "result"] as const;
type Filter = Readonly<Record<(typeof FIELDS)[number], string>>;

const PART = 50;
const REFRESH_MS = 3000;

/** Builds, newest first. @param query Of the page's address: what is looked for. */
export function BuildsPage({ query }: { readonly query: string }) {
  const [filter, setFilter] = useState<Filter>(() => {
    const asked = new URLSearchParams(query);
    return {
      project: asked.get("project") ?? "",
      job: asked.get("job") ?? "",
      result: asked.get("result") ?? "",
    };
  });
  const wanted = new URLSearchParams(
    FIELDS.flatMap((name) => (filter[name] === "" ? [] : [[name, filter[name]]])),
  );
  const path = `api/gate/builds?${wanted}${wanted.size === 0 ? "" : "&"}limit=${PART}`;
  const newest = useLoaded<readonly BuildView[]>(path, REFRESH_MS);
  const [older, setOlder] = useState<readonly BuildView[]>([]);
  const [isLast, setLast] = useState(false);
  const [problem, setProblem] = useState("");
  const address = `#/gate/builds${wanted.size === 0 ? "" : `?${wanted}`}`;
  useEffect(() => {
    history.replaceState(null, "", address);
    setOlder([]);
    setLast(false);
    setProblem("");
  }, [address]);
  const first = newest.value ?? [];
  // What was newest may be among the older ones by now.
  const seen = new Set(first.map(({ id }) => id));
  const builds = [...first, ...older.filter(({ id }) => !seen.has(id))];
  const more = async (): Promise<void> => {
    const before = encodeURIComponent(builds.at(-1)!.id);
    try {
      const part = await load<readonly BuildView[]>(`${path}&before=${before}`, new AbortController().signal);
      setOlder([...builds, ...part]);
      setLast(part.length < PART);
      setProblem("");
    } catch (error) {
      setProblem(error instanceof Refusal ? error.message : String(error));
    }
  };
  const change = (name: keyof Filter, value: string) => setFilter({ ...filter, [name]: value.trim() });
  return (
    <>
      <h1 tabIndex={-1}>Builds</h1>
      <search class="gate-filter">
        <label class="field">
          Project
          <input value={filter.project} onChange={(event) => change("project", event.currentTarget.value)} />
        </label>
        <label class="field">
          Job
          <input value={filter.job} onChange={(event) => change("job", event.currentTarget.value)} />
        </label>
        <label class="field">
          Result
          <select value={filter.result} onChange={(event) => change("result", event.currentTarget.value)}>
            <option value="">any</option>
            {RESULTS.map((result) => (
              <option key={result} value={result}>
                {result}
              </option>
            ))}
          </select>
        </label>
      </search>
      <GateTrouble of={newest} />
      {newest.value !== undefined && builds.length === 0 && (
        <Empty title={wanted.size === 0 ? "No build has run yet" : "No build is like that"} />
      )}
      {builds.length > 0 && (
        <>
          <BuildTable builds={builds} caption="Builds, newest first" withSubject />
          {problem !== "" && <p class="trouble">{problem}</p>}
          {!isLast && builds.length >= PART && (
            <div class="buttons">
              <button type="button" onClick={() => void more()}>
                Older ones
              </button>
            </div>
          )}
        </>
      )}
    </>
  );
}
