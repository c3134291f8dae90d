import type { GateEffect, PastProvider, Subject } from "../core/index.ts";
import type { BuildRequest } from "../executor/index.ts";
import type { BuildRow, BuildTable } from "./build-table.ts";

/** Builds of a change in a pipeline among which those of its newest buildset are looked for. */
const MAX_LOOKED_AT = 500;

/**
 * Jobs that provide something, of what ran last of these subjects in a pipeline, as Zuul looks them up in its database. What
 * never ran there has none.
 */
export function providersOnRecord(
  builds: BuildTable,
  { pipeline, subjects }: Pick<Extract<GateEffect, { kind: "findProviders" }>, "pipeline" | "subjects">,
): PastProvider[] {
  const seen = new Set<number>();
  return subjects.flatMap(({ id, revision }) => {
    const newest = builds
      .list({ subjectId: id, pipeline, limit: MAX_LOOKED_AT })
      .find(({ subject }) => revisionOf(subject) === revision);
    if (newest === undefined || seen.has(newest.buildset)) return [];
    seen.add(newest.buildset);
    const frozen = builds.frozen(newest.buildset);
    if (frozen === undefined) return [];
    const rows = builds.ofBuildset(newest.buildset, frozen);
    return Object.entries(frozen.jobs).flatMap(([name, { name: job, provides = [] }]): PastProvider[] => {
      if (provides.length === 0) return [];
      const row = rows.get(name);
      return [{ job, provides, build: row?.id ?? null, result: row?.result ?? null }];
    });
  });
}

function revisionOf(subject: Subject): number {
  return subject.kind === "change" ? subject.revision : 0;
}

type Json = NonNullable<BuildRequest["vars"]>[string];
type JsonObject = Record<string, Json>;

/** What a build is told of artifacts that jobs of changes ahead provide: the files, and those that they told of themselves. */
export function providedArtifacts(providers: readonly BuildRow[]): Json[] {
  return providers.flatMap(({ job, subject, outcome }) => {
    const { project } = subject;
    const change = subject.kind === "change" ? subject.id.replace(/^.*:/, "") : null;
    const of = {
      project,
      ...(change === null ? {} : { change, patchset: String(revisionOf(subject)) }),
      job,
    };
    const files = (outcome?.artifacts ?? []).map(
      ({ name, sha256 }): JsonObject => (sha256 === undefined ? { ...of, name } : { ...of, name, sha256 }),
    );
    const told = (outcome?.data.artifacts ?? []).map((artifact): JsonObject => ({ ...artifact, ...of }));
    return [...files, ...told];
  });
}
