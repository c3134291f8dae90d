// The server's garbage is small and dies young: a young generation of 4 MiB, which stays in the processor's cache,
// collects it as quickly as Node's default of 16 and takes far less memory (bench/README.md). Node reads this flag at
// its start only.
const FLAG = "--max-semi-space-size=4";

/** Starts this process anew, with the same number, if it is to be a server and Node's heap was left as it is. */
export function restartWithHeapFlags() {
  const { argv, env, execArgv, execPath } = process;
  const serves = argv[2] === "serve" || argv[2] === "up";
  const chosen = [...execArgv, env.NODE_OPTIONS ?? ""].some((flags) => /semi.space.size/.test(flags));
  // A parent's channel would be lost. Bun and Windows have no `execve`.
  if (!serves || chosen || process.connected || process.versions.bun || process.platform === "win32") return;
  process.execve?.(execPath, [execPath, ...execArgv, FLAG, ...argv.slice(1)], env);
}
