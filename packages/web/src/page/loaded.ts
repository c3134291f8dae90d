import { useEffect, useState } from "preact/hooks";
import { load, Refusal, session } from "./session.ts";

/** What a path answers, as it was last. */
export interface Loaded<T> {
  /** Undefined until the first answer. */
  readonly value: T | undefined;
  /** Why the last request failed. */
  readonly refusal: Refusal | undefined;
  /** Asks now. */
  readonly again: () => void;
}

/**
 * Asks for `path`, and again and again while the page is looked at.
 * @param everyMs Between an answer and the next request; 0 = once.
 */
export function useLoaded<T>(path: string, everyMs: number): Loaded<T> {
  const [state, setState] = useState<{ path: string; value?: T; refusal?: Refusal }>({ path });
  const [turn, setTurn] = useState(0);
  const tokens = session.value;
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      try {
        const value = await load<T>(path, abort.signal);
        if (!abort.signal.aborted) setState({ path, value });
      } catch (error) {
        if (abort.signal.aborted) return;
        const refusal = error instanceof Refusal ? error : new Refusal(0, String(error));
        setState((before) => (before.path === path ? { ...before, refusal } : { path, refusal }));
      }
      if (everyMs > 0 && !abort.signal.aborted) timer = setTimeout(askWhenSeen, everyMs);
    };
    const askWhenSeen = (): void => {
      if (document.hidden) document.addEventListener("visibilitychange", () => void ask(), { once: true });
      else void ask();
    };
    void ask();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs, turn, tokens]);
  const isOfPath = state.path === path;
  return {
    value: isOfPath ? state.value : undefined,
    refusal: isOfPath ? state.refusal : undefined,
    again: () => setTurn((before) => before + 1),
  };
}
