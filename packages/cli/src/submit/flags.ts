import type { ToolFlags } from "../tool-flags.ts";

export interface SubmitFlags extends ToolFlags {
  readonly background?: boolean;
  readonly unique?: string;
  readonly high?: boolean;
  readonly low?: boolean;
  readonly prefix?: boolean;
  readonly silentInput?: boolean;
  readonly deadline?: string;
  readonly at?: string;
  readonly progress?: boolean;
  readonly json?: boolean;
  readonly concurrency?: string;
  readonly count?: string;
}
