import type { StatusView } from "@drover/gate/api";
import { useMemo, useRef, useState } from "preact/hooks";
import { count } from "../format.ts";
import { Empty } from "../pieces.tsx";
import { ItemPanel, WaitingPanel } from "./item-panel.tsx";
import { useStatus } from "./live-status.ts";
import { GateTrouble } from "./pieces.tsx";
import { type Row, rowsOf } from "./rows.ts";
import { Tree } from "./tree.tsx";

export function StatusPage({ filter }: { readonly filter: string }) {
  const loaded = useStatus();
  const status = loaded.value;
  return (
    <>
      <h1 tabIndex={-1} class="hidden">
        Gate
      </h1>
      {status === undefined ? <GateTrouble of={loaded} /> : <Status of={status} filter={filter} />}
    </>
  );
}

function Status({ of: status, filter }: { readonly of: StatusView; readonly filter: string }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const rows = useMemo(() => rowsOf(status, filter, closed), [status, filter, closed]);
  // What was chosen is told of also after it left.
  const kept = useRef<Row | undefined>(undefined);
  const found = rows.find(({ key }) => key === chosen);
  if (found !== undefined || kept.current?.key !== chosen) kept.current = found;
  const toggle = (pipeline: string): void => {
    const next = new Set(closed);
    if (!next.delete(pipeline)) next.add(pipeline);
    setClosed(next);
  };
  return (
    <>
      {status.isPaused && (
        <p class="trouble" role="alert">
          The gate is paused: no build starts and nothing is merged. Pushes are accepted.
        </p>
      )}
      {status.frozenBranches.map(({ project, branch, reason, by }) => (
        <p class="trouble" key={`${project} ${branch}`}>
          Nothing is merged into {branch} of {project}: {by} has frozen it
          {reason === "" ? "" : `, ${reason}`}.
        </p>
      ))}
      {status.pipelines
        .filter(({ isDisabled }) => isDisabled)
        .map(({ name }) => (
          <p class="trouble" key={name}>
            Pipeline {name} failed too often in a row: until configuration is read again it reports elsewhere,
            or to nobody.
          </p>
        ))}
      {status.configProblems !== null && status.configProblems > 0 && (
        <p class="trouble">
          <a href="#/gate/config">
            {status.configProblems} {status.configProblems === 1 ? "problem" : "problems"} in the
            configuration
          </a>
        </p>
      )}
      <Numbers of={status} />
      <div class="gate-status">
        {rows.length === 0 ? (
          <Empty title={filter === "" ? "There are no pipelines" : "Nothing in the queues goes by that"} />
        ) : (
          <Tree rows={rows} atMs={status.atMs} chosen={chosen} onChoose={setChosen} onToggle={toggle} />
        )}
        <section class="gate-panel" aria-label="The chosen item">
          <Panel
            of={kept.current}
            atMs={status.atMs}
            hasLeft={found === undefined && !isStillThere(status, kept.current)}
          />
        </section>
      </div>
    </>
  );
}

function isStillThere({ pipelines }: StatusView, row: Row | undefined): boolean {
  if (row?.kind !== "item") return true;
  return pipelines.some(({ queues }) =>
    queues.some(({ items }) => items.some(({ id }) => id === row.item.id)),
  );
}

function Panel({
  of: row,
  atMs,
  hasLeft,
}: {
  readonly of: Row | undefined;
  readonly atMs: number;
  readonly hasLeft: boolean;
}) {
  if (row?.kind === "item")
    return <ItemPanel item={row.item} pipeline={row.pipeline} atMs={atMs} hasLeft={hasLeft} />;
  if (row?.kind === "waiting") return <WaitingPanel of={row.waiting} />;
  return (
    <>
      <h2>How to read it</h2>
      <ul class="gate-legend">
        <li>Each line stands on the one that its line comes from: it is tested with that one merged.</li>
        <li>
          <span class="state bad">failing</span> is out of the way: those behind it stand on what is before
          it.
        </li>
        <li>
          <span class="state">outside</span> waits until the window reaches it.
        </li>
        <li>
          <span class="state">not live</span> is merged beneath another, and neither tested nor reported.
        </li>
      </ul>
      <p class="quiet">
        Choose an item to see its jobs and why it is where it is. Arrow keys move, Enter opens the change.
      </p>
    </>
  );
}

function Numbers({ of: { pipelines, slots } }: { readonly of: StatusView }) {
  let [items, running, failing, waiting] = [0, 0, 0, 0];
  for (const pipeline of pipelines) {
    waiting += pipeline.waiting.length;
    for (const queue of pipeline.queues) {
      for (const item of queue.items) {
        if (item.live) items++;
        if (item.failing) failing++;
        for (const { state } of item.jobs) if (state === "running") running++;
      }
    }
  }
  return (
    <dl class="numbers">
      <div>
        <dt>in queues</dt>
        <dd>{count(items)}</dd>
      </div>
      <div>
        <dt>failing</dt>
        <dd class={failing > 0 ? "bad" : ""}>{count(failing)}</dd>
      </div>
      <div>
        <dt>waiting elsewhere</dt>
        <dd>{count(waiting)}</dd>
      </div>
      <div>
        <dt>builds running</dt>
        <dd>{count(running)}</dd>
      </div>
      <div>
        <dt>slots used</dt>
        <dd>
          {slots.used} of {slots.total}{" "}
          <meter min={0} max={Math.max(1, slots.total)} value={slots.used} aria-label="Slots used" />
        </dd>
      </div>
    </dl>
  );
}
