/** What the forge takes at most. */
export interface ForgeLimits {
  /** A commit's message. Default: 64 KiB. */
  readonly maxMessageBytes: number;
  /** Changes that one push makes or revises. Default: 50. */
  readonly maxChangesPerPush: number;
  /** Commits of one ref of a push that its branch does not have. Default: 1,000. */
  readonly maxCommitsPerPush: number;
  /** Files that differ between a ref of a push and its branch. Default: 50,000. */
  readonly maxFilesPerPush: number;
  /** What a push sends, packed. Default: 256 MiB. */
  readonly maxPackBytes: number;
  /** Refs of one push. Default: 1,000. */
  readonly maxRefsPerPush: number;
  /** A ref's name. Default: 200. */
  readonly maxRefBytes: number;
  /** Pushes that wait for others of their project. Default: 100. */
  readonly maxWaitingPushes: number;
  /** `Depends-On` lines of a change. Default: 100. */
  readonly maxDependencies: number;
  /** Revisions of a change. Default: 1,000. */
  readonly maxRevisions: number;
  /** Changes that are open at a time, of all projects. Default: 10,000. */
  readonly maxOpenChanges: number;
  /** Default: 64 KiB. */
  readonly maxCommentBytes: number;
  /** Default: 10,000. */
  readonly maxCommentsPerChange: number;
  /** What is shown of a diff. Default: 1 MiB. */
  readonly maxDiffBytes: number;
}

export const DEFAULT_FORGE_LIMITS: ForgeLimits = {
  maxMessageBytes: 64 * 1024,
  maxChangesPerPush: 50,
  maxCommitsPerPush: 1_000,
  maxFilesPerPush: 50_000,
  maxPackBytes: 256 * 1024 * 1024,
  maxRefsPerPush: 1_000,
  maxRefBytes: 200,
  maxWaitingPushes: 100,
  maxDependencies: 100,
  maxRevisions: 1_000,
  maxOpenChanges: 10_000,
  maxCommentBytes: 64 * 1024,
  maxCommentsPerChange: 10_000,
  maxDiffBytes: 1024 * 1024,
};
