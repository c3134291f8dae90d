export {
  AUTOHOLD_MIGRATIONS,
  type Autohold,
  AutoholdTable,
  DEFAULT_HOLD_MS,
  type HeldBuild,
  MAX_AUTOHOLDS,
  MAX_HELD_BUILDS,
  MAX_HOLD_MS,
} from "./autohold-table.ts";
export { Autoholds } from "./autoholds.ts";
