import type { Filtered } from "./filtered.ts";

/** Where somebody says what is looked for: a text, or one of several. */
export function FilterFields({
  of,
  fields,
}: {
  readonly of: Pick<Filtered<unknown>, "filter" | "change">;
  readonly fields: readonly {
    readonly name: string;
    readonly label: string;
    readonly oneOf?: readonly string[];
  }[];
}) {
  return (
    <search class="gate-filter">
      {fields.map(({ name, label, oneOf }) => (
        <label class="field" key={name} for={`filter-${name}`}>
          {label}
          {oneOf === undefined ? (
            <input
              id={`filter-${name}`}
              value={of.filter[name] ?? ""}
              onChange={(event) => of.change(name, event.currentTarget.value)}
            />
          ) : (
            <select
              id={`filter-${name}`}
              value={of.filter[name] ?? ""}
              onChange={(event) => of.change(name, event.currentTarget.value)}
            >
              <option value="">any</option>
              {oneOf.map((value) => (
                <option key={value} value={value}>
                  {value}
                </option>
              ))}
            </select>
          )}
        </label>
      ))}
    </search>
  );
}

export function OlderOnes({
  of: { problem, more },
}: {
  readonly of: Pick<Filtered<unknown>, "problem" | "more">;
}) {
  return (
    <>
      {problem !== "" && <p class="trouble">{problem}</p>}
      {more !== undefined && (
        <div class="buttons">
          <button type="button" onClick={() => void more()}>
            Older ones
          </button>
        </div>
      )}
    </>
  );
}
