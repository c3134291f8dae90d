import { gearbench } from "./gearbench.ts";
import { jobsOf, SCENARIOS, shrunk } from "./scenarios.ts";
import { droverCommand, startServer } from "./servers.ts";

const TIMES = " --seconds 1 --warmup 0.2";

/** Every scenario once, smaller and shorter, against one server: only whether the answers are right. */
export async function check(): Promise<number> {
  let wrong = 0;
  const server = await startServer(droverCommand(), false);
  try {
    for (const scenario of SCENARIOS) {
      const words = shrunk(scenario.words) + (jobsOf(scenario) > 0 ? "" : TIMES);
      const { ok, complaint } = await gearbench(words.split(" "), server, false);
      if (ok) continue;
      wrong++;
      process.stderr.write(`bench: ${scenario.name} (gearbench ${words}) got wrong answers: ${complaint}\n`);
    }
  } finally {
    await server.stop();
  }
  process.stdout.write(`bench: ${SCENARIOS.length - wrong} scenarios right, ${wrong} wrong\n`);
  return wrong;
}
