/*
 * The options of `drover serve`, by their names in drover.yaml. Each is a flag, and except for one an environment
 * variable; names and defaults are gearmand's wherever gearmand has them.
 */

export interface ServerOption {
  /** Name below `server` in drover.yaml. */
  readonly key: string;
  /** As the argument parser wants it. */
  readonly flags: string;
  readonly help: string;
  readonly group: "Network" | "Jobs" | "Process" | "Log" | "Limits";
}

export const SERVER_OPTIONS: readonly ServerOption[] = [
  {
    key: "listen",
    flags: "-L, --listen <address>",
    help: "host, host:port, [v6]:port or unix:/path; may be given several times (default: localhost)",
    group: "Network",
  },
  {
    key: "port",
    flags: "-p, --port <number>",
    help: "port of addresses without one; 0 picks a free one (default: 4730)",
    group: "Network",
  },
  {
    key: "http",
    flags: "--http <address>",
    help: "HTTP and WebSocket on a port of loopback, host:port or [v6]:port; may be given several times (default: none)",
    group: "Network",
  },
  {
    key: "tls",
    flags: "--tls <address>",
    help: "Gearman over TLS on host:port or [v6]:port; may be given several times (default: none)",
    group: "Network",
  },
  {
    key: "https",
    flags: "--https <address>",
    help: "HTTP and WebSocket over TLS; may be given several times (default: none)",
    group: "Network",
  },
  {
    key: "tlsCertificate",
    flags: "--tls-certificate <file>",
    help: "certificate for --tls and --https, with those between it and its root, as PEM; read again at SIGHUP",
    group: "Network",
  },
  {
    key: "tlsKey",
    flags: "--tls-key <file>",
    help: "its private key, as PEM",
    group: "Network",
  },
  {
    key: "tlsClientCa",
    flags: "--tls-client-ca <file>",
    help: "demand certificates of clients that these roots vouch for, as PEM",
    group: "Network",
  },
  {
    key: "insecure",
    flags: "--insecure",
    help: "allow addresses that other machines reach: everyone there may submit and read jobs",
    group: "Network",
  },
  {
    key: "backlog",
    flags: "-b, --backlog <number>",
    help: "connections that may wait to be accepted (default: 511)",
    group: "Network",
  },
  {
    key: "maxConnections",
    flags: "--max-connections <number>",
    help: "connections at one time (default: 100,000, or what the file descriptors allow)",
    group: "Network",
  },
  {
    key: "maxConnectionsPerAddress",
    flags: "--max-connections-per-address <number>",
    help: "connections at one time from one IP address; 0 = no limit (default: 0)",
    group: "Network",
  },
  {
    key: "fileDescriptors",
    flags: "-f, --file-descriptors <number>",
    help: "file descriptors to use (default: all that the system allows)",
    group: "Network",
  },
  {
    key: "keepalive",
    flags: "--keepalive",
    help: "TCP keepalive: find peers that vanished without a word",
    group: "Network",
  },
  {
    key: "keepaliveIdle",
    flags: "--keepalive-idle <seconds>",
    help: "silence before the first probe; -1 = the system's own value",
    group: "Network",
  },
  {
    key: "keepaliveInterval",
    flags: "--keepalive-interval <seconds>",
    help: "between probes; -1 = the system's own value",
    group: "Network",
  },
  {
    key: "keepaliveCount",
    flags: "--keepalive-count <number>",
    help: "unanswered probes until a connection counts as lost; -1 = the system's own value",
    group: "Network",
  },
  {
    key: "jobRetries",
    flags: "-j, --job-retries <number>",
    help: "times a job is started before it is given up when its workers get lost; 0 and -1 = no limit (default: 10)",
    group: "Jobs",
  },
  {
    key: "workerWakeup",
    flags: "-w, --worker-wakeup <number>",
    help: "wake at least this many workers for a job; 0 = as many as there are jobs (default: 0)",
    group: "Jobs",
  },
  {
    key: "exceptions",
    flags: "--exceptions",
    help: "send exceptions to every client, asked for or not",
    group: "Jobs",
  },
  {
    key: "jobHandlePrefix",
    flags: "--job-handle-prefix <text>",
    help: "stands before the colon of job handles (default: H:HOSTNAME)",
    group: "Jobs",
  },
  {
    key: "timeoutUnit",
    flags: "--timeout-unit <unit>",
    help: "unit of workers' timeouts: ms, s, or auto = seconds below 1,000, else ms (default: auto)",
    group: "Jobs",
  },
  {
    key: "grace",
    flags: "--grace <seconds>",
    help: "time for running jobs at SIGTERM (default: 5)",
    group: "Jobs",
  },
  {
    key: "store",
    flags: "--store <where>",
    help: "where background jobs are kept: memory, sqlite:FILE or postgres://USER@HOST/DATABASE (default: memory)",
    group: "Jobs",
  },
  {
    key: "serverName",
    flags: "--server-name <name>",
    help: "tells servers of one host or one database apart: whose jobs are whose, and the end of handles' prefix",
    group: "Jobs",
  },
  {
    key: "peers",
    flags: "--peer <name=address>",
    help: "a server of the same fleet, to which submissions go that it owns; may be given several times, the same list everywhere",
    group: "Jobs",
  },
  {
    key: "peerTokenFile",
    flags: "--peer-token-file <file>",
    help: "file with the token that this server shows to the others of its fleet",
    group: "Jobs",
  },
  {
    key: "allowShutdown",
    flags: "--allow-shutdown",
    help: "obey the admin command `shutdown`",
    group: "Jobs",
  },
  {
    key: "warmUpMs",
    flags: "--warm-up-ms <ms>",
    help: "before listening, run jobs of its own for so long, so that the first ones find it at full speed; 0 = none (default: 400)",
    group: "Process",
  },
  {
    key: "busyPollUs",
    flags: "--busy-poll-us <microseconds>",
    help: "after something arrived, look for more for so long before sleeping; 0 = sleep at once (default: 30)",
    group: "Process",
  },
  {
    key: "pidFile",
    flags: "-P, --pid-file <file>",
    help: "write the process id here",
    group: "Process",
  },
  {
    key: "readyFile",
    flags: "--ready-file <file>",
    help: "once listening, write process id and addresses here as JSON",
    group: "Process",
  },
  {
    key: "user",
    flags: "-u, --user <name>",
    help: "become this user once listening",
    group: "Process",
  },
  {
    key: "logFile",
    flags: "-l, --log-file <file>",
    help: "log to this file, `stderr` or `none` (default: stderr)",
    group: "Log",
  },
  {
    key: "logLevel",
    flags: "--verbose <level>",
    help: "FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG (default: INFO)",
    group: "Log",
  },
  {
    key: "logFormat",
    flags: "--log-format <format>",
    help: "json, text, or auto = text on a terminal (default: auto)",
    group: "Log",
  },
  {
    key: "syslog",
    flags: "--syslog",
    help: "log to the system's log, by the program `logger`",
    group: "Log",
  },
  limit("maxPacketBytes", "largest packet (default: 64MiB)"),
  limit("maxUniqueBytes", "longest unique (default: 1024)"),
  limit("maxJobs", "jobs held at one time (default: 5,000,000, or what the heap allows)", "number"),
  limit("maxFunctions", "functions known at one time (default: 1,000,000)", "number"),
  limit("maxWorkloadBytes", "workloads held at one time (default: 4GiB)"),
  limit("replayLimitBytes", "reports kept for late joiners, per job; 0 = no replay (default: 1MiB)"),
  limit("replayTotalBytes", "reports kept for late joiners in all (default: 256MiB)"),
  limit("backlogBytes", "unsent bytes at which a slow reader is closed (default: 16MiB)"),
  limit("unfinishedMs", "a packet unfinished for this long closes its connection (default: 30000)", "ms"),
  limit("maxForwarded", "submissions at other servers of the fleet at one time (default: 100,000)", "number"),
  limit("maxReroutes", "times one of them goes elsewhere because a server was lost (default: 10)", "number"),
];

function limit(key: string, help: string, unit = "size"): ServerOption {
  const name = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return { key: `limits.${key}`, flags: `--${name} <${unit}>`, help, group: "Limits" };
}

/** Name of the flag's value where the argument parser puts it. */
export function attributeOf(option: ServerOption): string {
  return longName(option).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** `job-retries` of `-j, --job-retries <number>`. */
export function longName(option: ServerOption): string {
  return /--([a-z-]+)/.exec(option.flags)![1]!;
}

export function takesValue(option: ServerOption): boolean {
  return option.flags.includes("<");
}

export function environmentName(option: ServerOption): string {
  const name = option.key === "logLevel" ? "log-level" : longName(option);
  return `DROVER_${name.toUpperCase().replaceAll("-", "_")}`;
}
