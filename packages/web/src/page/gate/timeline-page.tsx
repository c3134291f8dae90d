import type { BuildView } from "@drover/gate/api";
import { duration } from "../format.ts";
import { nowMs } from "../live.ts";
import { useLoaded } from "../loaded.ts";
import { Moment } from "../moment.tsx";
import { Empty } from "../pieces.tsx";
import { buildHref } from "../route.ts";
import { dateOf, GateTrouble, Result, SubjectLink, spentOf } from "./pieces.tsx";
import { lookOfResult } from "./progress.ts";

const REFRESH_MS = 2000;
const MAX_BUILDS = 500;

/** When each build of a buildset ran. */
export function TimelinePage({ buildset }: { readonly buildset: string }) {
  const path = `api/gate/builds?buildset=${encodeURIComponent(buildset)}&limit=${MAX_BUILDS}`;
  const loaded = useLoaded<readonly BuildView[]>(path, REFRESH_MS);
  const builds = (loaded.value ?? []).filter(({ startedMs }) => startedMs !== null).toReversed();
  const [first] = builds;
  return (
    <>
      <div class="title">
        <h1 tabIndex={-1}>Buildset {buildset}</h1>
        {first !== undefined && (
          <span class="gate-subject">
            <SubjectLink of={first.subject} /> {first.subject.title}, in {first.pipeline}
          </span>
        )}
      </div>
      <GateTrouble of={loaded} />
      {loaded.value !== undefined && first === undefined && <Empty title="Nothing of it has run" />}
      {first !== undefined && <Timeline of={builds} />}
    </>
  );
}

function Timeline({ of }: { readonly of: readonly BuildView[] }) {
  const now = nowMs.value;
  const beganMs = Math.min(...of.map(({ startedMs }) => startedMs!));
  const endedMs = Math.max(...of.map((build) => build.endedMs ?? now));
  const wholeMs = Math.max(1, endedMs - beganMs);
  const part = (ms: number): string => `${Math.max(0, Math.min(100, (ms / wholeMs) * 100))}%`;
  return (
    <>
      <p class="quiet">
        {duration(wholeMs)} in all, since <Moment at={dateOf(beganMs)} />
      </p>
      <ol class="gate-timeline" aria-label="Builds in the order in which they began">
        {of.map(({ id, job, attempt, result, voting, startedMs, endedMs: end }) => (
          <li key={id}>
            <span class="gate-timeline-name">
              <a href={buildHref(id)}>{job}</a>
              {attempt > 1 && <span class="quiet"> attempt {attempt}</span>}
            </span>
            <span class={`gate-bar gate-timeline-line ${lookOfResult(result, voting)}`}>
              <i
                style={{
                  marginInlineStart: part(startedMs! - beganMs),
                  width: part((end ?? now) - startedMs!),
                }}
              />
            </span>
            <span class="gate-timeline-end">
              <Result of={result} voting={voting} /> {spentOf(startedMs, end, now)}
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}
