import { resolve } from "node:path";
import type { ItemView, JobView, SubjectView } from "@drover/gate/api";
import { Viewer } from "./browser.ts";
import { build, change, ended, item, job, pipeline, queue, running, status, subject } from "./gate-queues.ts";
import { GateStage } from "./gate-stage.ts";

/* Draws the pictures of the gate's pages for the README: `npm run pictures`. It needs Chromium. */

const FOLDER = resolve(import.meta.dirname, "../../../docs/pictures");
const MIN = 60_000;

const SUBJECTS: readonly (readonly [number, string, string, string, number?])[] = [
  [412, "api", "Refuse orders without a delivery address", "mara"],
  [415, "web", "Show the delivery address at the checkout", "jonas"],
  [409, "api", "Round totals half to even", "priya", 3],
  [418, "ledger", "Book refunds in the currency of the order", "tomas", 2],
  [420, "web", "Basket: keep the quantity when a size changes", "jonas"],
  [421, "api", "Delete carts after thirty days", "mara"],
  [423, "ledger", "Close the day at midnight of the shop, not of the server", "ines"],
  [424, "web", "Upgrade the date picker", "kofi", 4],
  [426, "api", "Answer 409 when an order was changed meanwhile", "priya"],
  [427, "web", "Search: forgive a missing accent", "ines"],
];

function of(number: number): SubjectView {
  const [, project, title, owner, revision = 1] = SUBJECTS.find(([own]) => own === number)!;
  return subject(number, { project, title, owner, revision });
}

const UNIT_MS = 3 * MIN;
const TOGETHER_MS = 9 * MIN;

/** Jobs of a change, so long after they began. */
function jobs(forMs: number, fails = false): JobView[] {
  const lint = forMs > 40_000 ? ended("lint", "SUCCESS", 40_000) : running("lint", forMs, 40_000);
  const unit = forMs > UNIT_MS ? ended("unit", "SUCCESS", UNIT_MS) : running("unit", forMs, UNIT_MS);
  const checkout = fails
    ? ended("checkout", "FAILURE", 2 * MIN)
    : forMs > 7 * MIN
      ? ended("checkout", "SUCCESS", 7 * MIN)
      : running("checkout", forMs, 7 * MIN);
  const sizes = running("sizes", Math.min(forMs, 2 * MIN), null, { voting: false });
  return [lint, unit, checkout, running("together", forMs, TOGETHER_MS), sizes];
}

function placed(number: number, ahead: number | null, more: Partial<ItemView>): ItemView {
  return item(number, ahead, { subject: of(number), enqueuedMs: Date.now() - 10 * MIN, ...more });
}

const reset = (count: number) => ({
  resets: count,
  reasons: [
    "its builds were begun anew on 415, since checkout failed for 409, which was ahead",
    "waits until 412 and 415 have been merged",
  ],
});

const gate = queue(
  "shop",
  [
    placed(412, null, { jobs: jobs(7.6 * MIN), remainingMs: 1.4 * MIN }),
    placed(415, 412, { jobs: jobs(7 * MIN), remainingMs: 2.1 * MIN }),
    placed(409, 415, {
      jobs: jobs(5 * MIN, true),
      failing: true,
      reasons: [
        "checkout failed, which is voting",
        "is reported once 412 and 415, which it was tested with, are merged",
      ],
      remainingMs: 4 * MIN,
    }),
    placed(418, 415, { jobs: jobs(2.4 * MIN), remainingMs: 6.6 * MIN, ...reset(1) }),
    placed(420, 418, { jobs: jobs(2.2 * MIN), remainingMs: 6.8 * MIN, ...reset(1) }),
    placed(421, 420, {
      failing: true,
      reasons: ["does not merge: cart.ts conflicts with 420"],
      buildset: null,
    }),
    placed(423, 420, { jobs: jobs(30_000), remainingMs: 8.5 * MIN, ...reset(2) }),
    placed(424, 423, { active: false, reasons: ["outside of the window of 7"] }),
    placed(426, 424, { active: false, reasons: ["outside of the window of 7"] }),
  ],
  { window: 7 },
);

const STATUS = status(
  [
    pipeline(
      "check",
      [
        queue("web", [
          placed(427, null, {
            id: 9427,
            jobs: [ended("lint", "SUCCESS", 38_000), running("unit", 95_000, UNIT_MS)],
            remainingMs: 85_000,
          }),
        ]),
        queue("ledger", [
          placed(418, null, { id: 9418, live: false }),
          item(430, 9418, {
            subject: subject(430, { project: "ledger", title: "Report refunds by month", owner: "tomas" }),
            jobs: [
              job("lint", { state: "queued", estimatedMs: 40_000 }),
              job("unit", { dependencies: ["lint"] }),
            ],
          }),
        ]),
      ],
      { manager: "independent", description: "Tests each revision as it is pushed" },
    ),
    pipeline("gate", [gate], {
      description: "Merges what was approved, tested with all that is ahead of it",
      waiting: [
        {
          subject: subject(431, { project: "web", title: "Show refunds in the account", owner: "jonas" }),
          pipeline: "gate",
          reason: "needs 430 of ledger, which is not approved",
        },
      ],
    }),
    pipeline("deploy", [], { manager: "independent", description: "Brings merged branches to the shop" }),
  ],
  { slots: { total: 24, used: 19 } },
);

const DIFF = `diff --git a/src/refunds.ts b/src/refunds.ts
--- a/src/refunds.ts
+++ b/src/refunds.ts
@@ -14,9 +14,10 @@ export function bookRefund(order: Order, amount: Amount): Entry {
   const paid = paymentsOf(order);
   if (sum(paid) < amount.value) throw new RefundTooLarge(order.id, amount);
-  const entry = { order: order.id, value: -amount.value, currency: HOUSE_CURRENCY };
+  const entry = { order: order.id, value: -amount.value, currency: order.currency };
   ledger.add(entry);
-  return entry;
+  notify(order.customer, entry);
+  return entry;
 }
`;

const CONSOLE = [
  "\u001b[1mPreparing\u001b[0m api at 3f0c1e5, web at 9a71b02, ledger at 5d2e880",
  "$ npm ci",
  "added 412 packages in 6s",
  "$ npm test -- --project checkout",
  "",
  " \u001b[32m✓\u001b[0m basket/basket.test.ts (41 tests) 812ms",
  " \u001b[32m✓\u001b[0m address/address.test.ts (18 tests) 240ms",
  " \u001b[31m❯\u001b[0m totals/totals.test.ts (23 tests | \u001b[31m2 failed\u001b[0m) 655ms",
  "   \u001b[31m× a basket of 0.125 rounds to 0.12\u001b[0m",
  "     expected 0.13 to be 0.12",
  "   \u001b[31m× rounding is the same at checkout and in the ledger\u001b[0m",
  "     expected 10.13 to be 10.12",
  " \u001b[32m✓\u001b[0m payment/payment.test.ts (57 tests) 1402ms",
  "",
  "\u001b[1mTests\u001b[0m  \u001b[31m2 failed\u001b[0m | \u001b[32m137 passed\u001b[0m (139)",
];

await using viewer = await Viewer.open();
await using stage = await GateStage.open(viewer.folder, STATUS);

const own = { ...of(418), commit: "2d2e880c41b97a5506f3e2a9b71c08d4e6f0a177" };
stage.changes.set(
  418,
  change(418, {
    subject: own,
    message: `${own.title}\n\nA refund was booked in the currency of the house, at the rate of the day.\n\nDepends-On: gate:api/412\n`,
    isApproved: true,
    approvals: [{ user: "ines", revision: 2, atMs: Date.now() - 9 * MIN, keptFrom: null }],
    needs: [{ source: "gate:api/412", change: 412, problem: null }],
    revisions: [1, 2].map((revision) => ({
      revision,
      commit: `${revision}d2e880c41b97a5506f3e2a9b71c08d4e6f0a1`.padEnd(40, "7"),
      atMs: Date.now() - (40 - 12 * revision) * MIN,
    })),
    fetchCommand: "git fetch http://localhost:4780/git/ledger refs/changes/418/2",
  }),
);
stage.diffs.set("418,2", DIFF);
stage.explanations.set(418, {
  subject: own,
  now: ["waits until 412 and 415 have been merged"],
  jobs: [],
  decisions: [
    { atMs: Date.now() - 9 * MIN, pipeline: "gate", text: "waits: 412, which it needs, is not in the queue" },
    { atMs: Date.now() - 8 * MIN, pipeline: "gate", text: "enqueued behind 409" },
    {
      atMs: Date.now() - 2.4 * MIN,
      pipeline: "gate",
      text: "reset: checkout failed for 409, now stands on 415",
    },
  ],
});
stage.builds = [
  build("b-1733", {
    job: "checkout",
    subject: of(409),
    result: "FAILURE",
    chain: [
      { project: "api", number: 412, revision: 1 },
      { project: "web", number: 415, revision: 1 },
      { project: "api", number: 409, revision: 3 },
    ],
    startedMs: Date.now() - 5 * MIN,
    endedMs: Date.now() - 3 * MIN,
    artifacts: [{ name: "junit.xml", url: "https://artifacts.example/b-1733/junit.xml" }],
  }),
];
stage.print("b-1733", `${CONSOLE.join("\n")}\n`);
stage.endConsole("b-1733");

async function draw(
  name: string,
  address: string,
  scheme: "light" | "dark",
  isReady: string,
  height = 800,
): Promise<void> {
  await using tab = await viewer.look(`${stage.url}/${address}`, scheme);
  await tab.page.setViewportSize({ width: 1280, height });
  await tab.page.getByText(isReady).first().waitFor();
  if (address === "#/gate")
    await tab.page
      .getByRole("treeitem", { name: /^418,2/ })
      .last()
      .click();
  await tab.page.mouse.move(0, 0);
  await tab.page.getByText("Live", { exact: true }).waitFor();
  await tab.page.screenshot({ path: resolve(FOLDER, `${name}.png`) });
  console.log(`docs/pictures/${name}.png`);
}

await draw("gate-status", "#/gate", "light", "window of 7");
await draw("gate-status-dark", "#/gate", "dark", "window of 7");
await draw("gate-change", "#/gate/changes/418", "light", "notify(order.customer", 1150);
await draw("gate-build", "#/gate/builds/b-1733", "light", "137 passed");
