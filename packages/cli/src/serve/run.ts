import { fchownSync } from "node:fs";
import {
  AuthError,
  type HttpServer,
  Identities,
  type IdentityRules,
  JobServer,
  type JobServerOptions,
  openStore,
  type Store,
  warmUp,
} from "@drover/server";
import { formatAddress, ListeningSockets, type PeerAddress, type TlsFiles } from "@drover/transport";
import { type ConfigInputs, type ResolvedConfig, resolveConfig } from "../config/resolve.ts";
import { UsageError } from "../errors.ts";
import { type GateWanted, gateServerOptions, type StartedGate, startGate } from "../gate/serve.ts";
import { deliverSignals, type Signal } from "../signals.ts";
import { VERSION } from "../version.ts";
import { refuseExposure } from "./exposure.ts";
import { checkFleet, type FleetJoining, fleetOf } from "./fleet.ts";
import { Predecessor, Successor } from "./handover.ts";
import { httpAddresses, prepareHttp, startHttp } from "./http.ts";
import { giveBackWhenIdle } from "./idle-memory.ts";
import { createLog, type ServerLog } from "./log.ts";
import { FileSink, type LogSink, NoSink, StderrSink } from "./log-sink.ts";
import { openFileLimit } from "./open-files.ts";
import { writePidFile } from "./pid-file.ts";
import { writeReadyFile } from "./ready-file.ts";
import { SystemdNotifier } from "./sd-notify.ts";
import {
  authWarnings,
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
import { openTlsFiles, secureAddresses, tlsOptions } from "./tls.ts";
import { becomeUser, idsOf, isKnownUser } from "./user.ts";

export interface ServeRequest {
  readonly inputs: ConfigInputs;
  /** Told once the server listens. */
  readonly onReady?: (started: Started) => void;
  /** Logs nothing below warnings, unless a level was asked for. */
  readonly quiet?: boolean;
  /** For a person: keeps background jobs in a file of this user's, and has HTTP on loopback, where nothing else is said. */
  readonly forPerson?: boolean;
  /** The gate that is to be beside it. */
  readonly gate?: GateWanted | undefined;
}

/** A server that listens. */
export interface Started {
  readonly addresses: readonly PeerAddress[];
  /** The name of its store. */
  readonly store: string;
  /** Where it speaks HTTP, as `host:port`. */
  readonly http: readonly string[];
  readonly gate: StartedGate | undefined;
}

/**
 * What `--check-args` checks; everything that can be told without opening anything.
 * @returns exposed addresses to which tokens would come unencrypted.
 */
export async function checkServe(config: ResolvedConfig): Promise<readonly string[]> {
  const { server, identities } = config;
  tlsOptions(config);
  checkFleet(config);
  const secure = secureAddresses(config);
  const addresses = [...listenAddresses(server), ...httpAddresses(config), ...secure];
  const isEncrypted = (address: string) => secure.includes(address);
  const unencrypted =
    server.insecure === true ? [] : await refuseExposure(addresses, { identities, isEncrypted });
  if (server.user !== undefined && !isKnownUser(server.user)) {
    throw new UsageError("USER_UNKNOWN", `--user ${JSON.stringify(server.user)}: there is no such user`);
  }
  return unencrypted;
}

/**
 * Runs a job server until a signal or an administrator ends it; then the process has exited.
 * @throws ConfigError, UsageError, TransportError when it cannot start.
 */
export async function serve(request: ServeRequest): Promise<never> {
  const config = configOf(request);
  const unencrypted = await checkServe(config);
  const { server } = config;
  const undo: (() => void)[] = [];
  const sink = openSink(config);
  const level = request.quiet === true && server.logLevel === undefined ? "WARNING" : logLevelOf(server);
  const log = createLog(sink, level, logFormat(config));
  exitOnBugs(log, undo);

  const predecessor = Predecessor.take(process.env);
  const sockets = predecessor?.sockets ?? new ListeningSockets();
  const systemd = SystemdNotifier.start(process.env, (problem) =>
    log.warn({ problem }, "cannot tell systemd how far the server is"),
  );
  let ending: Ending | undefined;
  let started: JobServer | undefined;
  let http: HttpServer | undefined;
  let store: Store | undefined;
  let identities: Identities | undefined;
  let files: TlsFiles | undefined;
  let gate: StartedGate | undefined;
  let fleet: FleetJoining | undefined;
  try {
    const httpByDefault = request.forPerson === true ? httpOfPort(server.port) : undefined;
    if (predecessor !== undefined) {
      // All that takes time and can be done while the other one serves.
      await warm(server.warmUpMs ?? DEFAULT_WARM_UP_MS, log);
      await prepareHttp(config, httpByDefault);
      await predecessor.released();
    }
    // Before listening: two servers of one pid file are the likelier mistake, and the clearer message.
    if (server.pidFile !== undefined) undo.push(writePidFile(server.pidFile));
    if (predecessor === undefined) await warm(server.warmUpMs ?? DEFAULT_WARM_UP_MS, log);
    const fallback = request.forPerson === true ? defaultStore(server.port ?? DEFAULT_PORT) : "memory";
    const wanted = server.store ?? fallback;
    if (wanted !== "memory") {
      systemd?.status("taking back what is stored");
      store = await openStore(wanted, server.serverName);
    }
    if (config.identities !== undefined) identities = openIdentities(config.identities, log);
    files = await openTlsFiles(config);
    fleet = await fleetOf(server);
    started = await startServer(config, store, log, {
      ...(fleet === undefined ? {} : { onStarting: fleet.onStarting }),
      sockets,
      ...(files === undefined || server.tls === undefined ? {} : { secure: { listen: server.tls, files } }),
      ...(identities === undefined ? {} : { identities }),
      onShutdownRequest: (how) =>
        ending?.begin(how === "graceful" ? "drain" : "stop", "an administrator's shutdown"),
      onStoreLost: () => ending?.begin("fail", "the store was lost"),
      ...(request.gate === undefined && !config.carriesGate ? {} : await gateServerOptions(config.rules)),
    });
    if (request.gate !== undefined) {
      const onLost = () => ending?.begin("fail", "the gate was lost");
      const isProtected = identities !== undefined && !identities.hasAnonymous;
      gate = await startGate(request.gate, started, log, { onLost, readsNeedToken: isProtected });
    }
    http = await startHttp(config, started, log, {
      byDefault: httpByDefault,
      files,
      sockets,
      extensions: gate === undefined ? [] : [gate.http],
    });
    gate?.reachedAt(http?.addresses ?? []);
    if (server.user !== undefined) {
      if (sink instanceof FileSink) giveAway(sink.fd, server.user, log);
      if (store !== undefined) giveStoreAway(store, server.user);
      becomeUser(server.user);
    }
    if (server.readyFile !== undefined) {
      undo.push(writeReadyFile(server.readyFile, started.addresses, http?.addresses ?? []));
    }
  } catch (error) {
    for (const step of undo.reverse()) step();
    fleet?.close();
    await http?.close();
    await gate?.close();
    if (started === undefined) await store?.close();
    else await started.stop(0);
    throw error;
  }
  const jobServer = started;
  const { state } = jobServer.core;
  giveBackWhenIdle({ submitted: () => state.counts.submissions, alive: () => state.jobs.size });
  const storeName = store?.name ?? "memory";
  tellStart(config, storeName, jobServer.addresses, http?.addresses ?? [], log);
  if (unencrypted.length > 0) {
    log.warn(
      { addresses: unencrypted },
      "tokens come to these addresses unencrypted: whoever listens in has them",
    );
  }

  const where = `serves ${jobServer.addresses.map(shownAddress).join(", ")}, store ${storeName}`;
  const ended = { server: jobServer, http, gate, sockets, log, systemd, graceMs: graceMs(server) };
  const tidyUp = () => {
    for (const step of undo.splice(0).reverse()) step();
  };
  const end = new Ending(ended, tidyUp, (code) => {
    tidyUp();
    log.info({ code }, "stopped");
    sink.close();
    process.exit(code);
  });
  ending = end;
  predecessor?.serves();
  request.onReady?.({ addresses: jobServer.addresses, store: storeName, http: http?.addresses ?? [], gate });
  systemd?.ready(where);
  deliverSignals((signal) => {
    if (signal === "SIGHUP") {
      systemd?.reloading();
      const { carriesGate } = config;
      void reload(request, { jobServer, identities, files, carriesGate, sink, log }).then(() =>
        systemd?.ready(where),
      );
    } else if (signal === "SIGUSR2") void end.handOver();
    else end.begin(signal === "SIGUSR1" ? "drain" : "stop", signal);
  });
  return new Promise<never>(() => {});
}

/** A gate with a job server elsewhere has one of its own for its HTTP port alone, which listens nowhere. */
function configOf({ inputs, gate }: ServeRequest): ResolvedConfig {
  const config = resolveConfig(inputs);
  if (gate?.jobServer === undefined) return config;
  const { tls: _, ...server } = config.server;
  return { ...config, server: { ...server, listen: [] } };
}

/** What comes to an end. */
interface Ended {
  readonly server: JobServer;
  readonly http: HttpServer | undefined;
  readonly gate: StartedGate | undefined;
  readonly sockets: ListeningSockets;
  readonly log: ServerLog;
  readonly systemd: SystemdNotifier | undefined;
  readonly graceMs: number;
}

/** The end of a server: at most one graceful drain, at most one stop, then exit. */
class Ending {
  readonly #ended: Ended;
  readonly #tidyUp: () => void;
  readonly #exit: (code: number) => void;
  #state: "running" | "draining" | "handing over" | "stopping" = "running";
  #successor: Promise<Successor> | undefined;

  /** @param tidyUp Takes away what a successor makes for itself. */
  constructor(ended: Ended, tidyUp: () => void, exit: (code: number) => void) {
    this.#ended = ended;
    this.#tidyUp = tidyUp;
    this.#exit = exit;
  }

  /** @param how `fail`: as `stop`, and the exit code is 1. */
  begin(how: "drain" | "stop" | "fail", reason: string | Signal): void {
    const { server, http, gate, log, systemd, graceMs } = this.#ended;
    if (how === "stop" && this.#state === "handing over") {
      log.info({ reason, graceMs }, "stopping, and so does the process that takes over");
      this.#state = "stopping";
      systemd?.stopping(`stops, ${server.core.state.running} jobs run`);
      void this.#successor?.then((successor) => successor.kill());
      return;
    }
    if (how === "drain") {
      if (this.#state !== "running") return;
      this.#state = "draining";
      systemd?.status("drains: no new connections, ends when no job is left");
      log.info({ reason }, "draining: no new connections, ends when no job is left");
      void http?.stopAccepting();
      // Its builds are jobs, too, and are run again by the next process.
      void (gate?.close() ?? Promise.resolve())
        .then(() => server.drain())
        .then(() => {
          if (this.#state === "draining") this.#stop(0);
        });
      return;
    }
    if (this.#state === "stopping" || this.#state === "handing over") {
      log.warn({ reason }, "asked again to stop: stopping at once");
      this.#exit(1);
      return;
    }
    log.info({ reason, graceMs }, "stopping");
    this.#stop(graceMs, how === "fail" ? 1 : 0);
  }

  /** Starts a process that follows this one, and ends when that serves. Goes on when it cannot be started. */
  async handOver(): Promise<void> {
    const { sockets, log, systemd, graceMs } = this.#ended;
    if (this.#state !== "running" || this.#successor !== undefined) return;
    log.info({}, "starting a process that takes over");
    this.#successor = Successor.start(sockets);
    let began = false;
    try {
      const successor = await this.#successor;
      // Meanwhile it was asked to end: then so does the successor, which nobody lets go on.
      if (this.#state !== "running") return;
      log.info({ successor: successor.pid, graceMs }, "handing over");
      this.#state = "handing over";
      began = true;
      systemd?.status(`hands over to process ${successor.pid}`);
      sockets.handOver();
      await this.#close(graceMs);
      this.#tidyUp();
      // Else that could overtake what the successor tells, by another way.
      await systemd?.taken();
      if (this.#state === "handing over") {
        await successor.release();
        // Not before it serves: until then this process is the one whose failure systemd is to answer with a restart.
        systemd?.mainProcess(successor.pid);
        await systemd?.taken();
      }
      this.#exit(0);
    } catch (error) {
      log.error({ problem: (error as Error).message }, "could not hand over");
      this.#successor = undefined;
      if (began) this.#exit(this.#state === "handing over" ? 1 : 0);
    }
  }

  #stop(graceMs: number, code = 0): void {
    const { server, systemd } = this.#ended;
    this.#state = "stopping";
    systemd?.stopping(`stops, ${server.core.state.running} jobs run`);
    void this.#close(graceMs).then(() => this.#exit(code));
  }

  async #close(graceMs: number): Promise<void> {
    const { server, http, gate } = this.#ended;
    void http?.stopAccepting();
    await gate?.close();
    await server.stop(graceMs);
    // Requests that waited have been answered by now.
    await http?.close();
  }
}

function startServer(
  config: ResolvedConfig,
  store: Store | undefined,
  log: ServerLog,
  more: Pick<
    JobServerOptions,
    | "functions"
    | "identities"
    | "onShutdownRequest"
    | "onStarting"
    | "onStoreLost"
    | "reserved"
    | "secure"
    | "sockets"
  >,
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
  return JobServer.start({ ...jobServerOptions(config, files), ...kept, log, ...more });
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
  http: readonly string[],
  log: ServerLog,
): void {
  const { server } = config;
  for (const reason of config.ignored) log.debug({ reason }, "accepted an option that has no effect");
  for (const warning of [...config.warnings, ...authWarnings(config)]) log.warn({}, warning);
  if (server.keepalive !== true && [...config.sources.keys()].some((key) => /^keepalive./.test(key))) {
    log.warn({}, "keepalive settings have no effect without --keepalive");
  }
  const listening = addresses.map(shownAddress);
  const byDefault = addresses.length > 0 && !config.sources.has("listen");
  log.info(
    {
      version: VERSION,
      listening,
      ...(http.length === 0 ? {} : { http }),
      store,
      ...(config.file === undefined ? {} : { config: config.file }),
    },
    byDefault ? "listening on loopback, which is the default; --listen names other addresses" : "listening",
  );
  if (server.insecure === true) {
    log.warn({}, "--insecure: everyone who reaches these addresses may submit, take and cancel jobs");
  }
}

/** HTTP of `drover up`: as far from the port of Gearman as the standard ports are from each other. */
function httpOfPort(port = DEFAULT_PORT): string {
  return port === 0 ? "localhost:0" : `localhost:${Math.min(port + 50, 65_535)}`;
}

export function shownAddress({ transport, address, port }: PeerAddress): string {
  if (transport === "unix") return formatAddress({ transport, path: address });
  return formatAddress({ transport: transport === "tls" ? "tls" : "tcp", host: address, port });
}

/** @throws AuthError, UsageError when the file of tokens cannot be read. */
function openIdentities(rules: IdentityRules, log: ServerLog): Identities {
  try {
    return new Identities(rules, log);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof AuthError) throw error;
    const remedy = code === "ENOENT" ? `: drover token create NAME --file ${rules.tokenFile} makes it` : "";
    throw new UsageError(
      "TOKEN_UNREADABLE",
      `cannot read the file of tokens ${rules.tokenFile} (${code ?? message})${remedy}`,
    );
  }
}

/** SIGHUP: a new log file after a rotation, new settings of functions, other identities. */
/** What a reload is for. */
interface Reloaded {
  readonly jobServer: JobServer;
  readonly identities: Identities | undefined;
  readonly files: TlsFiles | undefined;
  readonly carriesGate: boolean;
  readonly sink: LogSink;
  readonly log: ServerLog;
}

async function reload(
  request: ServeRequest,
  { jobServer, identities, files, carriesGate, sink, log }: Reloaded,
): Promise<void> {
  try {
    sink.reopen();
  } catch (error) {
    log.error({ error }, "cannot open the log file anew, the old one stays");
  }
  try {
    const config = configOf(request);
    await checkServe(config);
    if (config.carriesGate !== carriesGate)
      throw new Error("auth: whether there are roles of a gate is decided at the start of the server");
    if ((config.identities === undefined) !== (identities === undefined)) {
      throw new Error("auth: whether there is authentication at all is decided at the start of the server");
    }
    if (config.identities !== undefined) identities?.reconfigure(config.identities);
    files?.reload();
    const hasGate = request.gate !== undefined || carriesGate;
    const functions = hasGate ? (await gateServerOptions(config.rules)).functions : config.rules;
    jobServer.applySettings(functions, functionDefaults(config.server));
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
