import { catchSignals } from "./signals.ts";

const args = process.argv.slice(2);
// Before the rest is loaded, which takes a moment in which a signal may come.
const serves = ["up", "executor", "merger"];
if (args[0] === "serve" || args[0] === "up" || (args[0] === "gate" && serves.includes(args[1] ?? "")))
  catchSignals();

// Whoever reads the output may leave early, as `head` does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const { run } = await import("./program.ts");
await run(args);
