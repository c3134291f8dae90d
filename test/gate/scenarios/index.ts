import { AFTER_MERGES } from "./after-merges.ts";
import { CONFIGURATION } from "./configuration.ts";
import { CYCLES } from "./cycles.ts";
import { DEPENDENCIES } from "./dependencies.ts";
import { DEPENDENT } from "./dependent.ts";
import { EXAMPLES } from "./examples.ts";
import { HOLDING } from "./holding.ts";
import { LIFECYCLE } from "./lifecycle.ts";
import { OPERATING } from "./operating.ts";
import { PROVIDING } from "./providing.ts";
import { REPORTING } from "./reporting.ts";
import { RESOURCES } from "./resources.ts";
import type { Scenario } from "./world.ts";

export type {
  ChangeSetup,
  FurtherPipeline,
  JobSetup,
  ProjectSetup,
  Scenario,
  ScenarioWorld,
  Setup,
} from "./world.ts";

export const SCENARIOS: readonly Scenario[] = [
  ...EXAMPLES,
  ...DEPENDENT,
  ...DEPENDENCIES,
  ...CYCLES,
  ...LIFECYCLE,
  ...CONFIGURATION,
  ...OPERATING,
  ...AFTER_MERGES,
  ...REPORTING,
  ...RESOURCES,
  ...PROVIDING,
  ...HOLDING,
];
