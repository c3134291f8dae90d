import { expect, test } from "vitest";
import { IdleWaiters } from "../src/idle-waiters.ts";

const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;

test("who waited with a limit and need not wait any more leaves no timer that keeps the process alive", async () => {
  const waiters = new IdleWaiters();
  let isIdle = false;
  const before = timers();
  const waiting = waiters.until(() => isIdle, 60_000);
  const meanwhile = timers();
  isIdle = true;
  waiters.look();
  const afterwards = timers();
  await waiting;
  expect([meanwhile - before, afterwards - before]).toEqual([1, 0]);
});
