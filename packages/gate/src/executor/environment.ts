import { join } from "node:path";
import { PROGRAM_PATH } from "./ansible.ts";
import type { CheckedRequest, JsonObject, Phase } from "./build-request.ts";
import type { Folders, Isolation } from "./isolation.ts";

export interface EnvironmentTerms {
  readonly id: string;
  readonly request: CheckedRequest;
  readonly folders: Folders;
  readonly isolation: Isolation;
  readonly phase: Phase;
  readonly told: JsonObject;
  /** How the build sees a path. */
  readonly inside: (path: string) => string;
}

/** All variables of the environment of an entry: nothing of the executor's own is among them. */
export function environmentOf(terms: EnvironmentTerms): Record<string, string> {
  const { id, request, folders, isolation, phase, told, inside } = terms;
  const { zuul } = request;
  const text = (value: unknown) =>
    typeof value === "string" || typeof value === "number" ? String(value) : "";
  return {
    PATH: PROGRAM_PATH,
    HOME: inside(folders.home),
    TMPDIR: isolation === "bubblewrap" ? "/tmp" : join(folders.tmp, "tmp"),
    USER: "build",
    LANG: "C.UTF-8",
    CI: "true",
    DROVER_EXECUTION: id,
    DROVER_JOB: request.job,
    ...(request.shared ? {} : { DROVER_BUILD: request.build, DROVER_ATTEMPT: String(request.attempt) }),
    DROVER_PHASE: phase,
    DROVER_PROJECT: request.project,
    DROVER_PIPELINE: text(zuul.pipeline),
    DROVER_TENANT: text(zuul.tenant),
    DROVER_BUILDSET: text(zuul.buildset),
    DROVER_BRANCH: text(zuul.branch),
    DROVER_REF: text(zuul.ref),
    DROVER_CHANGE: text(zuul.change),
    DROVER_REVISION: text(zuul.patchset),
    DROVER_WORKSPACE: inside(folders.root),
    DROVER_VARIABLES: inside(folders.variables),
    DROVER_RESULT: inside(join(folders.out, "result.json")),
    DROVER_ARTIFACTS: inside(join(folders.out, "artifacts")),
    ...(phase === "post-run"
      ? {
          DROVER_SUCCESS: String(told.zuul_success),
          ...(request.shared ? {} : { DROVER_WILL_RETRY: String(told.zuul_will_retry) }),
        }
      : {}),
  };
}
