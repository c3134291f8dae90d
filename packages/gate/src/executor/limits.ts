/** What one build may use. Past a limit that build fails, and says why in its log; others do not notice. */
export interface ExecutorLimits {
  /** What its workspace, home and temporary files take on the disk. Zuul's: 250 MB. */
  readonly diskBytes: number;
  /** What it may write as output before its post-run. 64 MiB. */
  readonly maxOutputBytes: number;
  /** What its post-run may write besides. 1 MiB. */
  readonly postOutputBytes: number;
  /** Processes and threads at a time; not held where it runs as the executor's own user without bubblewrap. 1,024. */
  readonly maxProcesses: number;
  readonly maxArtifacts: number;
  readonly maxArtifactBytes: number;
  /** Workspaces of failed builds that are held at a time; what fails beyond that is not held. 100. */
  readonly maxHeld: number;
  /** What they take on the disk together. 10 GiB. */
  readonly maxHeldBytes: number;
}

const MB = 1_000_000;
const MIB = 1024 * 1024;

export const DEFAULT_EXECUTOR_LIMITS: ExecutorLimits = {
  diskBytes: 250 * MB,
  maxOutputBytes: 64 * MIB,
  postOutputBytes: MIB,
  maxProcesses: 1_024,
  maxArtifacts: 1_000,
  maxArtifactBytes: 100 * MIB,
  maxHeld: 100,
  maxHeldBytes: 10 * 1024 * MIB,
};
