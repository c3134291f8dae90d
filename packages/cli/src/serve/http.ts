import type { HttpServer, HttpServerOptions, JobServer } from "@drover/server";
import type { HttpExtension } from "@drover/server/http";
import type { ListeningSockets, TlsFiles } from "@drover/transport";
import type { ResolvedConfig } from "../config/resolve.ts";
import type { ServerLog } from "./log.ts";

interface HttpPlaces {
  /** Where it listens when nothing is said; nowhere when undefined. */
  readonly byDefault?: string | undefined;
  /** Certificates, for where it listens with TLS. */
  readonly files?: TlsFiles | undefined;
  readonly sockets: ListeningSockets;
  readonly extensions?: readonly HttpExtension[];
}

const PUSH_TIMEOUT_MS = 600_000;

/**
 * Starts HTTP beside a job server where it is asked for.
 * @throws TransportError
 */
export async function startHttp(
  config: ResolvedConfig,
  server: JobServer,
  log: ServerLog,
  { byDefault, files, sockets, extensions = [] }: HttpPlaces,
): Promise<HttpServer | undefined> {
  const listen = httpAddresses(config, byDefault);
  const { https = [] } = config.server;
  if (listen.length === 0 && https.length === 0) return undefined;
  const secure = files === undefined || https.length === 0 ? {} : { secure: { listen: https, files } };
  // Those who do without HTTP start without loading it.
  const [{ HttpServer }, { DASHBOARD_FOLDER: dashboard }] = await load();
  const options = httpOptions(config);
  // A push may take longer to arrive than any job.
  const limits =
    extensions.length === 0 ? options.limits : { requestTimeoutMs: PUSH_TIMEOUT_MS, ...options.limits };
  return HttpServer.start({
    ...options,
    ...(limits === undefined ? {} : { limits }),
    ...secure,
    server,
    log,
    listen,
    sockets,
    dashboard,
    extensions,
  });
}

/** Loads what `startHttp` will need. */
export async function prepareHttp(config: ResolvedConfig, byDefault: string | undefined): Promise<void> {
  if (httpAddresses(config, byDefault).length > 0 || (config.server.https ?? []).length > 0) await load();
}

function load() {
  return Promise.all([import("@drover/server/http"), import("@drover/web")]);
}

export function httpAddresses({ server }: ResolvedConfig, byDefault?: string): readonly string[] {
  return server.http ?? (byDefault === undefined ? [] : [byDefault]);
}

function httpOptions({ contents }: ResolvedConfig): Partial<HttpServerOptions> {
  const { hosts, origins, maxBodyBytes, ...limits } = contents?.config.http ?? {};
  return {
    ...(hosts === undefined ? {} : { hosts }),
    ...(origins === undefined ? {} : { origins }),
    ...(maxBodyBytes === undefined ? {} : { maxBodyBytes }),
    limits: Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined)),
  };
}
