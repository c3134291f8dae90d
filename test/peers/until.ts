import { setTimeout as after } from "node:timers/promises";

/**
 * Waits until `holds` answers with something true, asking again and again.
 * @throws When it does not before the deadline, naming `what` was waited for.
 */
export async function until<T>(
  what: string,
  deadlineMs: number,
  holds: () => T | Promise<T>,
): Promise<NonNullable<T>> {
  const giveUpAt = Date.now() + deadlineMs;
  for (;;) {
    const answer = await holds();
    if (answer) return answer;
    if (Date.now() > giveUpAt) throw new Error(`waited ${deadlineMs} ms in vain until ${what}`);
    await after(5);
  }
}
