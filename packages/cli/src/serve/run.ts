import { fchownSync } from "node:fs";
import { JobServer, type JobServerOptions, openStore, type Store, warmUp } from "@drover/server";
import { formatAddress, type PeerAddress } from "@drover/transport";
import { type ConfigInputs, type ResolvedConfig, resolveConfig } from "../config/resolve.ts";
import { UsageError } from "../errors.ts";
import { deliverSignals, type Signal } from "../signals.ts";
import { VERSION } from "../version.ts";
import { refuseExposure } from "./exposure.ts";
import { giveBackWhenIdle } from "./idle-memory.ts";
import { createLog, type ServerLog } from "./log.ts";
import { FileSink, type LogSink, NoSink, StderrSink } from "./log-sink.ts";
import { openFileLimit } from "./open-files.ts";
import { writePidFile } from "./pid-file.ts";
import { writeReadyFile } from "./ready-file.ts";
import { SystemdNotifier } from "./sd-notify.ts";
import {
  DEFAULT_PORT,
  DEFAULT_WARM_UP_MS,
  functionDefaults,
  graceMs,
  jobServerOptions,
  listenAddresses,
  logLevelOf,
} from "./settings.ts";
import { defaultStore, giveStoreAway } from "./store.ts";
import { SyslogSink } from "./syslog.ts";
import { becomeUser, idsOf, isKnownUser } from "./user.ts";

export interface ServeRequest {
  readonly inputs: ConfigInputs;
  /** Told once the server listens: where, and the name of its store. */
  readonly onReady?: (addresses: readonly PeerAddress[], store: string) => void;
  /** Logs nothing below warnings, unless a level was asked for. */
  readonly quiet?: boolean;
  /** Keeps background jobs in a file of this user's where no store was asked for. */
  readonly keepsJobs?: boolean;
}

/** What `--check-args` checks; everything that can be told without opening anything. */
export async function checkServe(config: ResolvedConfig): Promise<void> {
  const { server } = config;
  if (server.insecure !== true) await refuseExposure(listenAddresses(server));
  if (server.user !== undefined && !isKnownUser(server.user)) {
    throw new UsageError("USER_UNKNOWN", `--user ${JSON.stringify(server.user)}: there is no such user`);
  }
}

/**
 * Runs a job server until a signal or an administrator ends it; then the process has exited.
 * @throws ConfigError, UsageError, TransportError when it cannot start.
 */
export async function serve(request: ServeRequest): Promise<never> {
  const config = resolveConfig(request.inputs);
  await checkServe(config);
  const { server } = config;
  const undo: (() => void)[] = [];
  const sink = openSink(config);
  const level = request.quiet === true && server.logLevel === undefined ? "WARNING" : logLevelOf(server);
  const log = createLog(sink, level, logFormat(config));
  exitOnBugs(log, undo);

  const systemd = SystemdNotifier.start(process.env, (problem) =>
    log.warn({ problem }, "cannot tell systemd how far the server is"),
  );
  let ending: Ending | undefined;
  let started: JobServer | undefined;
  let store: Store | undefined;
  try {
    // Before listening: two servers of one pid file are the likelier mistake, and the clearer message.
    if (server.pidFile !== undefined) undo.push(writePidFile(server.pidFile));
    await warm(server.warmUpMs ?? DEFAULT_WARM_UP_MS, log);
    const fallback = request.keepsJobs === true ? defaultStore(server.port ?? DEFAULT_PORT) : "memory";
    const wanted = server.store ?? fallback;
    if (wanted !== "memory") {
      systemd?.status("taking back what is stored");
      store = await openStore(wanted, server.serverName);
    }
    started = await startServer(config, store, log, {
      onShutdownRequest: (how) =>
        ending?.begin(how === "graceful" ? "drain" : "stop", "an administrator's shutdown"),
      onStoreLost: () => ending?.begin("fail", "the store was lost"),
    });
    if (server.user !== undefined) {
      if (sink instanceof FileSink) giveAway(sink.fd, server.user, log);
      if (store !== undefined) giveStoreAway(store, server.user);
      becomeUser(server.user);
    }
    if (server.readyFile !== undefined) undo.push(writeReadyFile(server.readyFile, started.addresses));
  } catch (error) {
    for (const step of undo.reverse()) step();
    if (started === undefined) await store?.close();
    else await started.stop(0);
    throw error;
  }
  const jobServer = started;
  const { state } = jobServer.core;
  giveBackWhenIdle({ submitted: () => state.counts.submissions, alive: () => state.jobs.size });
  const storeName = store?.name ?? "memory";
  tellStart(config, storeName, jobServer.addresses, log);

  const where = `serves ${jobServer.addresses.map(shownAddress).join(", ")}, store ${storeName}`;
  const end = new Ending(jobServer, log, systemd, graceMs(server), (code) => {
    for (const step of undo.reverse()) step();
    log.info({ code }, "stopped");
    sink.close();
    process.exit(code);
  });
  ending = end;
  request.onReady?.(jobServer.addresses, storeName);
  systemd?.ready(where);
  deliverSignals((signal) => {
    if (signal === "SIGHUP") {
      systemd?.reloading();
      reload(request.inputs, jobServer, sink, log);
      systemd?.ready(where);
    } else end.begin(signal === "SIGUSR1" ? "drain" : "stop", signal);
  });
  return new Promise<never>(() => {});
}

/** The end of a server: at most one graceful drain, at most one stop, then exit. */
class Ending {
  readonly #server: JobServer;
  readonly #log: ServerLog;
  readonly #systemd: SystemdNotifier | undefined;
  readonly #graceMs: number;
  readonly #exit: (code: number) => void;
  #state: "running" | "draining" | "stopping" = "running";

  constructor(
    server: JobServer,
    log: ServerLog,
    systemd: SystemdNotifier | undefined,
    graceMs: number,
    exit: (code: number) => void,
  ) {
    this.#server = server;
    this.#log = log;
    this.#systemd = systemd;
    this.#graceMs = graceMs;
    this.#exit = exit;
  }

  /** @param how `fail`: as `stop`, and the exit code is 1. */
  begin(how: "drain" | "stop" | "fail", reason: string | Signal): void {
    if (how === "drain") {
      if (this.#state !== "running") return;
      this.#state = "draining";
      this.#systemd?.status("drains: no new connections, ends when no job is left");
      this.#log.info({ reason }, "draining: no new connections, ends when no job is left");
      void this.#server.drain().then(() => {
        if (this.#state === "draining") this.#stop(0);
      });
      return;
    }
    if (this.#state === "stopping") {
      this.#log.warn({ reason }, "asked again to stop: stopping at once");
      this.#exit(1);
      return;
    }
    this.#log.info({ reason, graceMs: this.#graceMs }, "stopping");
    this.#stop(this.#graceMs, how === "fail" ? 1 : 0);
  }

  #stop(graceMs: number, code = 0): void {
    this.#state = "stopping";
    this.#systemd?.stopping(`stops, ${this.#server.core.state.running} jobs run`);
    void this.#server.stop(graceMs).then(() => this.#exit(code));
  }
}

function startServer(
  config: ResolvedConfig,
  store: Store | undefined,
  log: ServerLog,
  callbacks: Pick<JobServerOptions, "onShutdownRequest" | "onStoreLost">,
): Promise<JobServer> {
  const files = openFileLimit();
  const wanted = config.server.fileDescriptors;
  if (wanted !== undefined && files !== undefined && wanted > files) {
    log.warn(
      { wanted, allowed: files },
      "fewer file descriptors are allowed than asked for: raise the limit with ulimit -n or LimitNOFILE",
    );
  }
  const kept = store === undefined ? {} : { store };
  return JobServer.start({ ...jobServerOptions(config, files), ...kept, log, ...callbacks });
}

/** A server that cannot warm up is only slow at first. */
async function warm(forMs: number, log: ServerLog): Promise<void> {
  if (forMs === 0) return;
  try {
    await warmUp(forMs);
  } catch (error) {
    log.warn({ error }, "could not warm up: the first jobs will be slower");
  }
}

function tellStart(
  config: ResolvedConfig,
  store: string,
  addresses: readonly PeerAddress[],
  log: ServerLog,
): void {
  const { server } = config;
  for (const reason of config.ignored) log.debug({ reason }, "accepted an option that has no effect");
  for (const warning of config.warnings) log.warn({}, warning);
  if (server.keepalive !== true && [...config.sources.keys()].some((key) => /^keepalive./.test(key))) {
    log.warn({}, "keepalive settings have no effect without --keepalive");
  }
  const listening = addresses.map(shownAddress);
  const byDefault = !config.sources.has("listen");
  log.info(
    { version: VERSION, listening, store, ...(config.file === undefined ? {} : { config: config.file }) },
    byDefault ? "listening on loopback, which is the default; --listen names other addresses" : "listening",
  );
  if (server.insecure === true) {
    log.warn({}, "--insecure: everyone who reaches these addresses may submit, take and cancel jobs");
  }
}

export function shownAddress({ transport, address, port }: PeerAddress): string {
  return formatAddress(
    transport === "unix" ? { transport, path: address } : { transport: "tcp", host: address, port },
  );
}

/** SIGHUP: a new log file after a rotation, and new settings of functions. */
function reload(inputs: ConfigInputs, jobServer: JobServer, sink: LogSink, log: ServerLog): void {
  try {
    sink.reopen();
  } catch (error) {
    log.error({ error }, "cannot open the log file anew, the old one stays");
  }
  try {
    const config = resolveConfig(inputs);
    jobServer.applySettings(config.rules, functionDefaults(config.server));
    jobServer.applySchedules(config.schedules);
    const { rules, schedules } = config;
    log.info(
      { rules: rules.length, schedules: schedules.length },
      "reloaded the settings of functions and schedules",
    );
  } catch (error) {
    log.error({ problem: (error as Error).message }, "the configuration is not valid, the old one stays");
  }
}

function openSink({ server }: ResolvedConfig): LogSink {
  if (server.syslog === true) return new SyslogSink();
  const path = server.logFile ?? "stderr";
  if (path === "stderr") return new StderrSink();
  if (path === "none") return new NoSink();
  try {
    return new FileSink(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError("FILE_NOT_WRITABLE", `cannot write the log file ${path} (${code ?? message})`);
  }
}

function logFormat({ server }: ResolvedConfig): "json" | "text" {
  if (server.logFormat === "json" || server.logFormat === "text") return server.logFormat;
  if (server.syslog === true) return "text";
  return (server.logFile ?? "stderr") === "stderr" && process.stderr.isTTY ? "text" : "json";
}

/** The log was opened before the change of user, and is to be opened again after it. */
function giveAway(fd: number, user: string, log: ServerLog): void {
  try {
    const { uid, gid } = idsOf(user);
    fchownSync(fd, uid, gid);
  } catch (error) {
    log.warn({ error }, "cannot hand the log file over to the new user");
  }
}

function exitOnBugs(log: ServerLog, undo: (() => void)[]): void {
  const die = (error: unknown) => {
    log.fatal({ error }, "a bug: this must not happen, whatever a peer sends");
    for (const step of undo.reverse()) step();
    process.exit(1);
  };
  process.on("uncaughtException", die);
  process.on("unhandledRejection", die);
}
