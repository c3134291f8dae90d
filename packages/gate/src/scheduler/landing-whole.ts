import { pause } from "@drover/client";
import { ForgeError } from "../forge/index.ts";

/** How long to wait before what was decided and could not be done is tried again. */
const AGAIN_MS = 5_000;

interface Landed {
  /** Why nothing has merged; `null`: all of it has. */
  readonly refused: string | null;
}

/**
 * Asks for a landing until what was decided is done: it may not be given up while some of it has merged.
 * @param land Asks for it, by the same key each time.
 * @param unfinished Told once, when it is not done at once.
 * @param signal Ends the asking; whoever comes next asks again.
 * @returns `undefined` when that has ended it
 * @throws what `land` does besides ForgeError `LANDING_UNFINISHED`
 */
export async function landWhole(
  land: () => Promise<Landed>,
  unfinished: (error: ForgeError) => void,
  signal: AbortSignal,
  againMs = AGAIN_MS,
): Promise<Landed | undefined> {
  for (let isAgain = false; !signal.aborted; isAgain = true) {
    try {
      return await land();
    } catch (error) {
      if (!(error instanceof ForgeError) || error.code !== "LANDING_UNFINISHED") throw error;
      if (!isAgain) unfinished(error);
    }
    await pause(againMs, signal);
  }
  return undefined;
}
