import { expect, test } from "vitest";
import { Stage } from "./executor-stage.ts";

const stage = new Stage();
test("smoke", async () => {
  console.log(stage.executor.isolation);
  const { outcome, log } = await stage.run(
    stage.request(
      "id; pwd; ls -la . .. /build /; env; git log --oneline --all; git status; ps aux; cat $DROVER_VARIABLES; cat /proc/mounts; df /tmp; touch /x /dev/x /build/x; echo x > /dev/shm/a && ls /dev/shm; whoami; ls /sys /var /run",
    ),
  );
  console.log(log, JSON.stringify(outcome, null, 1));
  expect(outcome.result).toEqual({ kind: "final", result: "SUCCESS" });
});
