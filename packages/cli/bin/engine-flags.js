// Flags of V8 that make a better server (bench/README.md), each kept as it is where the user chose another.
const FLAGS = [
  // The server's garbage is small and dies young: a young generation of 4 MiB, which stays in the processor's cache,
  // collects it as quickly as Node's default of 16 and takes far less memory.
  "--max-semi-space-size=4",
  // What is hot here is hot at once, so that waiting for more evidence before compiling it only makes the start slow.
  "--invocation-count-for-maglev=200",
  "--invocation-count-for-turbofan=1000",
];

/** Starts this process anew, with the same number, if it is to be a server: Node reads such flags at its start only. */
export function restartWithEngineFlags() {
  const { argv, env, execArgv, execPath } = process;
  const serves = argv[2] === "serve" || argv[2] === "up" || (argv[2] === "gate" && argv[3] === "up");
  // A parent's channel would be lost. Bun and Windows have no `execve`.
  if (!serves || process.connected || process.versions.bun || process.platform === "win32") return;
  // V8 takes underscores for hyphens.
  const chosen = [...execArgv, env.NODE_OPTIONS ?? ""].join(" ").replaceAll("_", "-");
  const missing = FLAGS.filter((flag) => !chosen.includes(flag.slice(2, flag.indexOf("="))));
  if (missing.length > 0)
    process.execve?.(execPath, [execPath, ...execArgv, ...missing, ...argv.slice(1)], env);
}
