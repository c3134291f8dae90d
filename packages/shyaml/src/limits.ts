/** Limits on what is read and shown. What exceeds one of the first five is an error, not a crash. */
export interface Limits {
  /** Size of one input, in bytes. */
  readonly maxInputBytes: number;
  /** Files in one directory tree. */
  readonly maxFiles: number;
  /** Collections inside of one another. */
  readonly maxDepth: number;
  /** Values of one input, each alias counted as what it stands for. */
  readonly maxNodes: number;
  /** Documents of one input. */
  readonly maxDocuments: number;
}

export const DEFAULT_LIMITS: Limits = {
  maxInputBytes: 64 * 1024 * 1024,
  maxFiles: 10_000,
  maxDepth: 500,
  maxNodes: 5_000_000,
  maxDocuments: 100_000,
};
