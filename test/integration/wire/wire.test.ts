import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, expect, test } from "vitest";
import { describeWith } from "../../peers/needs.ts";
import { serverUnderTest } from "../../peers/servers.ts";
import { covers, isListed, readDifferences } from "./differences.ts";
import { scenarios } from "./scenarios/index.ts";
import type { Patience } from "./script.ts";
import { Stage } from "./stage.ts";
import { difference } from "./transcript.ts";

const document = readFileSync(resolve(import.meta.dirname, "../../../docs/PROTOCOL.md"), "utf8");
const listed = readDifferences(document);

const brisk: Patience = { graceMs: 60, stallMs: 250 };
const patient: Patience = { graceMs: 1_500, stallMs: 4_000 };

test("scenario ids are unique", () => {
  const ids = scenarios.map((scenario) => scenario.id);
  expect(ids).toEqual([...new Set(ids)]);
});

test("every listed difference names a scenario", () => {
  const patterns = listed.flatMap((row) => row.ids);
  const idle = patterns.filter((pattern) => !scenarios.some((scenario) => covers(pattern, scenario.id)));
  expect(idle).toEqual([]);
});

describeWith(
  ["gearmand"],
  "on the wire, drover answers as gearmand 1.1.20 or as docs/PROTOCOL.md says",
  () => {
    const stock = new Stage("gearmand");
    const ours = new Stage(serverUnderTest);
    afterAll(() => Promise.all([stock.close(), ours.close()]));

    for (const scenario of scenarios) {
      test(scenario.id, async () => {
        // A second gearmand in drover's place shows that a scenario is steady; it has no differences to list.
        const mayDiffer = serverUnderTest === "drover" && isListed(listed, scenario.id);
        const play = async (patience: Patience) => {
          const [theirs, mine] = await Promise.all([
            stock.play(scenario, patience),
            ours.play(scenario, patience),
          ]);
          const differs = theirs.lines.join("\n") !== mine.lines.join("\n");
          return { theirs, mine, isExpected: differs === mayDiffer };
        };
        let played = await play(brisk);
        // Where the outcome hung on waiting, a slow machine gets more time, so that no clock fails a test.
        if (!played.isExpected && (played.theirs.usedPatience || played.mine.usedPatience)) {
          played = await play(patient);
        }
        const { theirs, mine } = played;
        if (process.env.DROVER_TEST_PRINT) {
          process.stdout.write(`\n${scenario.id}\n${difference(theirs.lines, mine.lines)}\n`);
        }
        expect(theirs.isEmpty, "gearmand said nothing, so nothing was compared").toBe(false);
        if (mayDiffer) {
          expect(mine.lines, "docs/PROTOCOL.md lists a difference where there is none").not.toEqual(
            theirs.lines,
          );
        } else if (!played.isExpected) {
          expect.fail(
            `not listed in docs/PROTOCOL.md (- gearmand, + drover):\n${difference(theirs.lines, mine.lines)}`,
          );
        }
      });
    }
  },
);
