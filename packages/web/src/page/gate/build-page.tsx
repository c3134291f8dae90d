import type { BuildView, SharedView } from "@drover/gate/api";
import type { ComponentChildren } from "preact";
import { nowMs } from "../live.ts";
import { useLoaded } from "../loaded.ts";
import { Moment } from "../moment.tsx";
import { Empty, Facts } from "../pieces.tsx";
import { buildHref, buildsetHref, changeHref } from "../route.ts";
import { ConsoleView } from "./console.tsx";
import { dateOf, GateTrouble, placeOf, Result, SubjectLink, spentOf } from "./pieces.tsx";

const REFRESH_MS = 2000;

export function BuildPage({ id }: { readonly id: string }) {
  const loaded = useLoaded<BuildView>(`api/gate/builds/${encodeURIComponent(id)}`, REFRESH_MS);
  const build = loaded.value;
  return (
    <>
      <div class="title">
        <h1 tabIndex={-1}>Build {id}</h1>
        {build !== undefined && (
          <>
            <span>{build.job}</span>
            <Result of={build.result} voting={build.voting} />
          </>
        )}
      </div>
      {loaded.refusal?.status === 404 ? (
        <Empty title="No such build is known">
          <p>Old builds are forgotten; the builds of a change stand on its page.</p>
        </Empty>
      ) : (
        <GateTrouble of={loaded} />
      )}
      {build !== undefined && (
        <>
          <Summary of={build} />
          {build.detail != null && <p class="gate-detail">{build.detail}</p>}
          <div class="columns">
            <Chain of={build} />
            <Artifacts of={build} />
          </div>
          <ConsoleView build={id} logBytes={build.logBytes ?? 0} />
        </>
      )}
    </>
  );
}

function Summary({ of: build }: { readonly of: BuildView }) {
  const { subject, pipeline, attempt, voting, startedMs, endedMs, buildset, shared } = build;
  const sharing = shared == null ? [] : [sharingFact(shared)];
  return (
    <Facts
      of={[
        ...sharing,
        [
          "Of",
          <>
            <SubjectLink of={subject} /> {subject.title}
          </>,
        ],
        ["Project", placeOf(subject)],
        ["Pipeline", pipeline],
        [
          "Buildset",
          <>
            {buildset}, <a href={buildsetHref(buildset)}>when it ran</a>
          </>,
        ],
        ["Attempt", String(attempt)],
        ["Voting", voting ? "yes" : "no"],
        ["Started", startedMs === null ? "not yet" : <Moment at={dateOf(startedMs)} />],
        [endedMs === null ? "Running for" : "Took", spentOf(startedMs, endedMs, nowMs.value)],
      ]}
    />
  );
}

/** Whose execution it is. */
function sharingFact({ how, build }: SharedView): [string, ComponentChildren] {
  const whose = <a href={buildHref(build)}>build {build}</a>;
  return [how === "reused" ? "Result of" : "One with", <>{whose}, which is of equal content</>];
}

function Chain({ of: { chain } }: { readonly of: BuildView }) {
  return (
    <section class="part">
      <h2>What was tested</h2>
      {chain.length === 0 ? (
        <p class="quiet">The branch as it was.</p>
      ) : (
        <ol class="gate-chain" aria-label="Changes that were merged, in their order">
          {chain.map(({ project, number, revision }) => (
            <li key={`${project} ${number}`}>
              {number === null ? (
                project
              ) : (
                <>
                  <a class="handle" href={changeHref(number)}>
                    {number},{revision}
                  </a>{" "}
                  {project}
                </>
              )}
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function Artifacts({ of: { artifacts } }: { readonly of: BuildView }) {
  return (
    <section class="part">
      <h2>Artifacts</h2>
      {artifacts.length === 0 ? (
        <p class="quiet">None.</p>
      ) : (
        <ul class="plain" aria-label="Artifacts">
          {artifacts.map(({ name, url }) => (
            <li key={`${name} ${url}`}>
              {isOfTheWeb(url) ? (
                <a href={url} target="_blank" rel="noreferrer">
                  {name}
                </a>
              ) : (
                <>
                  {name} <span class="quiet">{url}</span>
                </>
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** A build names its artifacts: an address may be a script. */
function isOfTheWeb(url: string): boolean {
  try {
    return /^https?:$/.test(new URL(url, location.href).protocol);
  } catch {
    return false;
  }
}
