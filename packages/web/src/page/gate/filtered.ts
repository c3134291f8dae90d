import { useEffect, useState } from "preact/hooks";
import { type Loaded, useLoaded } from "../loaded.ts";
import { load, Refusal } from "../session.ts";

const PART = 50;
const REFRESH_MS = 3000;

/** A list of the gate, newest first, of which a part is looked for, and more is loaded as far back as somebody goes. */
export interface Filtered<T> {
  readonly rows: readonly T[];
  readonly newest: Loaded<readonly T[]>;
  readonly filter: Readonly<Record<string, string>>;
  readonly isFiltered: boolean;
  /** Why older ones could not be had. */
  readonly problem: string;
  /** Undefined where there is none. */
  readonly more: (() => Promise<void>) | undefined;
  readonly change: (name: string, value: string) => void;
}

/**
 * @param name Of the list, in the API and in the page's address.
 * @param query Of the page's address: what is looked for.
 * @param idOf What the list continues behind.
 */
export function useFiltered<T>(
  name: string,
  fields: readonly string[],
  query: string,
  idOf: (row: T) => string,
): Filtered<T> {
  const [filter, setFilter] = useState<Readonly<Record<string, string>>>(() => {
    const asked = new URLSearchParams(query);
    return Object.fromEntries(fields.map((field) => [field, asked.get(field) ?? ""]));
  });
  const wanted = new URLSearchParams(
    fields.flatMap((field) => (filter[field] === "" ? [] : [[field, filter[field]!]])),
  );
  const path = `api/gate/${name}?${wanted}${wanted.size === 0 ? "" : "&"}limit=${PART}`;
  const newest = useLoaded<readonly T[]>(path, REFRESH_MS);
  const [older, setOlder] = useState<readonly T[]>([]);
  const [isLast, setLast] = useState(false);
  const [problem, setProblem] = useState("");
  const address = `#/gate/${name}${wanted.size === 0 ? "" : `?${wanted}`}`;
  useEffect(() => {
    history.replaceState(null, "", address);
    setOlder([]);
    setLast(false);
    setProblem("");
  }, [address]);
  const first = newest.value ?? [];
  // What was newest may be among the older ones by now.
  const seen = new Set(first.map(idOf));
  const rows = [...first, ...older.filter((row) => !seen.has(idOf(row)))];
  const more = async (): Promise<void> => {
    const before = encodeURIComponent(idOf(rows.at(-1)!));
    try {
      const part = await load<readonly T[]>(`${path}&before=${before}`, new AbortController().signal);
      setOlder([...rows, ...part]);
      setLast(part.length < PART);
      setProblem("");
    } catch (error) {
      setProblem(error instanceof Refusal ? error.message : String(error));
    }
  };
  return {
    rows,
    newest,
    filter,
    isFiltered: wanted.size > 0,
    problem,
    more: !isLast && rows.length >= PART ? more : undefined,
    change: (field, value) => setFilter({ ...filter, [field]: value.trim() }),
  };
}
