import { signal } from "@preact/signals";

interface Notice {
  readonly text: string;
  readonly isBad: boolean;
}

const notice = signal<Notice | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;
const SHOWN_MS = 6000;

/** Tells once, in words that are read out too. */
export function tell(text: string, isBad = false): void {
  notice.value = { text, isBad };
  clearTimeout(timer);
  timer = setTimeout(() => {
    notice.value = null;
  }, SHOWN_MS);
}

export function Notices() {
  const shown = notice.value;
  return (
    <div class="notices" role="status">
      {shown !== null && <p class={shown.isBad ? "notice bad" : "notice"}>{shown.text}</p>}
    </div>
  );
}
