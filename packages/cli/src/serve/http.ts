import type { HttpServer, HttpServerOptions, JobServer } from "@drover/server";
import type { TlsFiles } from "@drover/transport";
import type { ResolvedConfig } from "../config/resolve.ts";
import type { ServerLog } from "./log.ts";

/**
 * Starts HTTP beside a job server where it is asked for.
 * @param byDefault Where it listens when nothing is said; nowhere when undefined.
 * @param files Certificates, for where it listens with TLS.
 * @throws TransportError
 */
export async function startHttp(
  config: ResolvedConfig,
  server: JobServer,
  log: ServerLog,
  { byDefault, files }: { readonly byDefault?: string | undefined; readonly files?: TlsFiles | undefined },
): Promise<HttpServer | undefined> {
  const listen = httpAddresses(config, byDefault);
  const { https = [] } = config.server;
  if (listen.length === 0 && https.length === 0) return undefined;
  const secure = files === undefined || https.length === 0 ? {} : { secure: { listen: https, files } };
  // Those who do without HTTP start without loading it.
  const [{ HttpServer }, { DASHBOARD_FOLDER: dashboard }] = await Promise.all([
    import("@drover/server/http"),
    import("@drover/web"),
  ]);
  return HttpServer.start({ ...httpOptions(config), ...secure, server, log, listen, dashboard });
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
