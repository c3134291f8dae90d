import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["packages/*/test/**/*.test.ts", "test/**/*.test.ts", "bench/*.test.ts"],
    exclude: ["**/node_modules/**", "test/fixtures/**"],
    globalSetup: ["./test/peers/setup.ts"],
    // Most tests wait for other processes.
    maxWorkers: "100%",
    reporters: ["default", "./test/reporter.ts"],
    // Deadlines only: real peers on a busy machine of two cores may be slow, and nothing waits for them to pass.
    // They are longer than those inside of tests, which say what was waited for.
    testTimeout: 90_000,
    hookTimeout: 90_000,
  },
});
