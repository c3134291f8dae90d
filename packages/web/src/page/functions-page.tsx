import type { OverviewJson } from "@drover/server/api";
import { useEffect, useState } from "preact/hooks";
import { Charts } from "./charts.tsx";
import { count, duration, joinRatio, rate } from "./format.ts";
import { FunctionTable } from "./function-table.tsx";
import { beat, connection, functionCount, functions } from "./live.ts";
import { useLoaded } from "./loaded.ts";
import { Command, Empty, submitCommand, workCommand } from "./pieces.tsx";

const OVERVIEW_MS = 2000;

export function FunctionsPage({ filter }: { readonly filter: string }) {
  beat.value;
  const overview = useLoaded<OverviewJson>("v1/overview", OVERVIEW_MS).value;
  const isEmpty = functionCount.value === 0;
  return (
    <>
      <h1 tabIndex={-1} class="hidden">
        Functions
      </h1>
      {overview !== undefined && <Numbers of={overview} />}
      <Charts />
      {functionCount.value > functions.size && connection.value === "live" && (
        <p class="trouble">
          {count(functions.size)} of {count(functionCount.value)} functions are shown. The search finds the
          others.
        </p>
      )}
      {isEmpty ? <NoFunctions /> : <FunctionTable filter={filter} />}
      <Matches filter={filter} />
    </>
  );
}

function Numbers({ of }: { readonly of: OverviewJson }) {
  const { totals, rates, store } = of;
  return (
    <dl class="numbers">
      <Level name="queued" value={count(of.queued)} />
      <Level name="running" value={count(of.running)} />
      <Level name="delayed" value={count(of.delayed)} />
      <Level name="submitted/s" value={rate(rates.submissions)} />
      <Level name="run/s" value={rate(rates.runs)} />
      <Level name="join ratio" value={joinRatio(totals.submissions, totals.runs)} />
      <Level name="functions" value={count(of.functions)} />
      <Level name="workers" value={count(of.workers)} />
      <Level name="dead letters" value={count(of.deadLetters)} isBad={of.deadLetters > 0} />
      <Level name="up for" value={duration(of.uptimeMs)} />
      <Level
        name={store.failing ? "store fails" : "store"}
        value={store.name.split(":")[0]!}
        isBad={store.failing}
      />
    </dl>
  );
}

function Level({
  name,
  value,
  isBad = false,
}: {
  readonly name: string;
  readonly value: string;
  readonly isBad?: boolean;
}) {
  return (
    <div class={isBad ? "bad" : ""}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function NoFunctions() {
  if (connection.value !== "live") return <p class="quiet">Waiting for the server …</p>;
  return (
    <Empty title="No function is known yet">
      <p>Submit a first job, which waits until a worker comes:</p>
      <Command>{submitCommand("shout")}</Command>
      <p>And start a worker for it:</p>
      <Command>{workCommand("shout")}</Command>
    </Empty>
  );
}

const QUIET_MS = 800;

/** Reads out how many functions match, once the typing is over. */
function Matches({ filter }: { readonly filter: string }) {
  const [text, setText] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => {
      const lower = filter.toLowerCase();
      let found = 0;
      for (const name of functions.keys()) if (name.toLowerCase().includes(lower)) found++;
      setText(filter === "" ? "" : `${found} of ${functions.size} functions match`);
    }, QUIET_MS);
    return () => clearTimeout(timer);
  }, [filter]);
  return (
    <p class="hidden" role="status">
      {text}
    </p>
  );
}
