import { JobServer, type Log } from "@drover/server";

/*
 * A job server in a process of its own, for the fuzz test: started with `--expose-gc`, told over the IPC channel to
 * collect garbage and report its memory. Arguments: the addresses to listen on.
 */

let problems = 0;
const log: Log = {
  debug() {},
  info() {},
  warn() {},
  error(fields) {
    // Jobs that fuzzed workers took and left ten times are given up, as they should be.
    if (!("code" in fields && String(fields.code).startsWith("DEAD_LETTER"))) problems++;
  },
};

const server = await JobServer.start({ listen: process.argv.slice(2), log, version: "fuzz" });

/** Node's types know only the plain form of `gc`. */
const collect = globalThis.gc as unknown as (how: object) => void;

process.on("message", async () => {
  // The thorough kind also gives pages back to the system; twice, since what finalizers hold goes with the second.
  for (let i = 0; i < 2; i++) {
    collect({ type: "major", execution: "sync", flavor: "last-resort" });
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { state } = server.core;
  process.send?.({
    rssBytes: process.memoryUsage.rss(),
    peers: state.peers.size,
    jobs: state.jobs.size,
    workloadBytes: state.workloadBytes,
    problems,
  });
});
process.send?.({ ports: server.addresses.map(({ port }) => port) });
