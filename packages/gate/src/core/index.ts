export type { Change, ChangeId, Dependency, RefUpdate, Subject } from "./change.ts";
export type * from "./events.ts";
export type * from "./layout.ts";
