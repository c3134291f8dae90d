import { runShyaml } from "./cli/program.ts";

// Whoever reads the output may leave early, as `head` does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(process.exitCode ?? 0);
  throw error;
});

process.exitCode = await runShyaml(process.argv.slice(2));
