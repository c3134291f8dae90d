import type { Scenario } from "../script.ts";
import { scenarios as admin } from "./admin.ts";
import { scenarios as join } from "./join.ts";
import { scenarios as malformed } from "./malformed.ts";
import { scenarios as reports } from "./reports.ts";
import { scenarios as requests } from "./requests.ts";
import { scenarios as status } from "./status.ts";
import { scenarios as worker } from "./worker.ts";

export const scenarios: readonly Scenario[] = [
  ...requests,
  ...malformed,
  ...admin,
  ...join,
  ...worker,
  ...reports,
  ...status,
];
