import type { JobServer, Log } from "@drover/server";

/** How a gate is opened. */
export interface GateOptions {
  /** With `gate.yaml`; database, repositories and what builds leave are kept below it. */
  readonly folder: string;
  /**
   * Job server that carries builds and merges, in this process, with `reserved` and rules as above; or addresses of one
   * elsewhere, with a token of an identity that has the role `gate` there.
   */
  readonly server: JobServer | { readonly servers: string; readonly token: string | undefined };
  /** Builds run here. Default: true; else only executors elsewhere run them. */
  readonly hasExecutor?: boolean;
  /** Merges are made here. Default: true; else only by mergers elsewhere. */
  readonly hasMerger?: boolean;
  readonly log: Log;
  /** Builds at a time. */
  readonly slots: number;
  /** Folders that builds here see besides those of the system, and cannot write. Default: none. */
  readonly readOnly?: readonly string[];
  /** Default: `local`. */
  readonly zone?: string;
  /** Name of what is installed where builds run: results of another one are not reused. Default: none. */
  readonly image?: string;
  /** Base URLs by which the gate is reached. Default: none. */
  readonly urls?: readonly string[];
  /**
   * Reports go to the connections of the tenant file. Default: true; else, as for a trial, they are not looked at, and what
   * pipelines would report to them goes nowhere.
   */
  readonly reportsElsewhere?: boolean;
  /** Operators may push to gated branches. Default: false. */
  readonly directPush?: boolean;
  /** How long builds and their logs are kept, in milliseconds. Default: 30 days. */
  readonly keepMs?: number;
  /** Bytes of logs and artifacts that are kept. Default: 10 GiB. */
  readonly keepBytes?: number;
  /** The state cannot be written any more. */
  readonly onLost?: (error: Error) => void;
  readonly nowMs?: () => number;
}
