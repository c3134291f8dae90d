import { catchSignals } from "./signals.ts";

const args = process.argv.slice(2);
// Before the rest is loaded, which takes a moment in which a signal may come.
if (args[0] === "serve" || args[0] === "up") catchSignals();

const { run } = await import("./program.ts");
await run(args);
