/**
 * What configuration in repositories may cost. Whoever can push writes it, so what is larger is refused, with its file named,
 * before it is worked on.
 */
export const CONFIG_LIMITS = {
  /** Of one file, in UTF-16 code units. */
  maxFileLength: 512 * 1024,
  /** Of one branch of a project. */
  maxFiles: 500,
  /** Of all files of one branch, in UTF-16 code units. */
  maxBranchLength: 2 * 1024 * 1024,
  /** Of one project. */
  maxBranches: 1000,
  /** Maps and lists within each other. */
  maxDepth: 50,
  /** Values of one file, those that aliases repeat counted each time. */
  maxNodes: 200_000,
  /** Of one file; the rest is counted only. */
  maxProblems: 50,
  /** Of one regular expression. */
  maxRegexLength: 500,
  /** Sum of the counts in `{n}` of one regular expression, since each repeats what stands before it. */
  maxRegexRepeats: 200,
  /** Different regular expressions of one file. */
  maxRegexes: 1000,
  /** Ancestors of a job. */
  maxAncestors: 50,
  /** Jobs of one item. */
  maxJobs: 1000,
  /** Of one pipeline. */
  maxTimers: 100,
  /** A day. */
  maxJitterSec: 86_400,
  /** Of names of jobs, pipelines, projects and so on. */
  maxNameLength: 255,
  /** Of files that stay parsed, merged or proposed, in UTF-16 code units of their texts. */
  maxKeptLength: 64 * 1024 * 1024,
  /** Layouts that changes would make and that are kept. */
  maxKeptLayouts: 100,
} as const;
