import { TlsFiles, type TlsFilesOptions } from "@drover/transport";
import type { ResolvedConfig } from "../config/resolve.ts";
import { UsageError } from "../errors.ts";

/** Addresses on which connections are encrypted. */
export function secureAddresses({ server }: ResolvedConfig): readonly string[] {
  return [...(server.tls ?? []), ...(server.https ?? [])];
}

/**
 * The certificates for them; undefined when there are none such addresses.
 * @throws UsageError `OPTION_INVALID`, TransportError `TLS_FILE_INVALID`
 */
export async function openTlsFiles(config: ResolvedConfig): Promise<TlsFiles | undefined> {
  const options = tlsOptions(config);
  return options === undefined ? undefined : TlsFiles.load(options);
}

/** @throws UsageError `OPTION_INVALID` */
export function tlsOptions(config: ResolvedConfig): TlsFilesOptions | undefined {
  const addresses = secureAddresses(config);
  if (addresses.length === 0) return undefined;
  const { tlsCertificate, tlsKey, tlsClientCa } = config.server;
  const { certificates = [], clientCa = [], ...rest } = config.contents?.config.tls ?? {};
  if ((tlsCertificate === undefined) !== (tlsKey === undefined)) {
    throw new UsageError("OPTION_INVALID", "--tls-certificate and --tls-key go together");
  }
  const all = [
    ...(tlsCertificate === undefined ? [] : [{ certificate: tlsCertificate, key: tlsKey! }]),
    ...certificates,
  ];
  if (all.length === 0) {
    throw new UsageError(
      "OPTION_INVALID",
      `${addresses[0]} is for TLS: name --tls-certificate and --tls-key, or tls.certificates in drover.yaml`,
    );
  }
  const roots = [...(tlsClientCa === undefined ? [] : [tlsClientCa]), ...clientCa];
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return { certificates: all, ...(roots.length === 0 ? {} : { clientCa: roots }), ...given };
}
