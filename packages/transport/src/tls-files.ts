import { constants, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type tls from "node:tls";
import { hasRefusedCertificate } from "./certificate.ts";
import { TransportError } from "./errors.ts";

/** A certificate and its private key, as PEM files. */
export interface CertificateFiles {
  /** The certificate, followed by those between it and its root. */
  readonly certificate: string;
  readonly key: string;
}

export interface TlsFilesOptions {
  /**
   * At least one. A client that names a host gets the first that is for it; one that names none, or a stranger, gets the
   * first of all.
   */
  readonly certificates: readonly CertificateFiles[];
  /** PEM files with the roots that clients' certificates are verified against. */
  readonly clientCa?: readonly string[];
  /**
   * Whether clients show a certificate. One that cannot be verified is refused, `optional` or not. Default: `none`, or
   * `required` with a `clientCa`.
   */
  readonly clientCertificates?: "none" | "optional" | "required";
  /** Default: `TLSv1.2`. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
  /** How long a client may take until the connection is encrypted. Default: 10,000. */
  readonly handshakeTimeoutMs?: number;
}

/** Larger files are somebody's mistake. */
export const MAX_TLS_FILE_BYTES = 1_048_576;

interface Loaded {
  readonly certificate: X509Certificate;
  readonly context: tls.SecureContext;
  readonly options: tls.SecureContextOptions;
}

/**
 * Certificates of a server, read anew when they were renewed. For any server of Node's over TLS:
 * `createServer({ ...files.serverOptions })`, then `files.follow(server)`.
 */
export class TlsFiles {
  readonly #tls: typeof tls;
  readonly #options: TlsFilesOptions;
  readonly #servers = new Set<tls.Server>();
  #loaded: readonly Loaded[];

  private constructor(library: typeof tls, options: TlsFilesOptions) {
    this.#tls = library;
    this.#options = options;
    this.#loaded = this.#load();
  }

  /** @throws TransportError `TLS_FILE_INVALID` with the name of the file */
  static async load(options: TlsFilesOptions): Promise<TlsFiles> {
    const { default: library } = await import("node:tls");
    return new TlsFiles(library, options);
  }

  /** What `tls`, `https` and `http2` take to make a server. */
  get serverOptions(): tls.TlsOptions {
    return {
      ...this.#loaded[0]!.options,
      requestCert: this.#clientCertificates !== "none",
      rejectUnauthorized: this.#clientCertificates === "required",
      handshakeTimeout: this.#options.handshakeTimeoutMs ?? 10_000,
      SNICallback: (name, answer) => answer(null, this.#contextFor(name)),
    };
  }

  /** When the first of the certificates in use expires, in milliseconds since 1970. */
  get expiresAtMs(): number {
    return Math.min(...this.#loaded.map(({ certificate }) => certificate.validToDate.getTime()));
  }

  /** Lets a server made with `serverOptions` take part in each `reload`, until it closes. */
  follow(server: tls.Server): void {
    this.#servers.add(server);
    server.once("close", () => this.#servers.delete(server));
    if (this.#clientCertificates !== "optional") return;
    server.prependListener("secureConnection", (socket: tls.TLSSocket) => {
      if (hasRefusedCertificate(socket)) socket.destroy();
    });
  }

  /**
   * Reads all files again. New connections get what they hold; established ones go on.
   * @throws TransportError `TLS_FILE_INVALID` with the name of the file; everything stays as it was then
   */
  reload(): void {
    this.#loaded = this.#load();
    for (const server of this.#servers) server.setSecureContext(this.#loaded[0]!.options);
  }

  get #clientCertificates(): "none" | "optional" | "required" {
    const { clientCa, clientCertificates } = this.#options;
    return clientCertificates ?? (clientCa === undefined ? "none" : "required");
  }

  #contextFor(name: string): tls.SecureContext {
    const found = this.#loaded.find(({ certificate }) => certificate.checkHost(name) !== undefined);
    return (found ?? this.#loaded[0]!).context;
  }

  #load(): Loaded[] {
    const { certificates, clientCa = [], minVersion = "TLSv1.2" } = this.#options;
    if (certificates.length === 0) throw invalid("certificates", "there has to be one");
    if (this.#clientCertificates !== "none" && clientCa.length === 0) {
      throw invalid("clientCa", "there has to be one to verify clients' certificates against");
    }
    const ca = clientCa.map((path) => {
      const text = read(path);
      certificateIn(text, path);
      return text;
    });
    return certificates.map(({ certificate: path, key: keyPath }) => {
      const cert = read(path);
      const key = read(keyPath);
      const certificate = certificateIn(cert, path);
      const options: tls.SecureContextOptions = { cert, key, minVersion };
      if (this.#clientCertificates !== "none") {
        options.ca = ca;
        // A session taken up again is not verified again, whatever became of the roots in the meantime.
        options.secureOptions = constants.SSL_OP_NO_TICKET;
      }
      try {
        return { certificate, options, context: this.#tls.createSecureContext(options) };
      } catch (error) {
        throw invalid(keyPath, `is no key that fits the certificate ${path} (${reason(error)})`, error);
      }
    });
  }
}

function read(path: string): string {
  try {
    const file = statSync(path);
    if (!file.isFile()) throw new Error("it is no file");
    if (file.size > MAX_TLS_FILE_BYTES) throw new Error(`it is larger than ${MAX_TLS_FILE_BYTES} bytes`);
    return readFileSync(path, "utf8");
  } catch (error) {
    throw invalid(path, `cannot be read (${reason(error)})`, error);
  }
}

/** The first certificate of a PEM file. */
function certificateIn(text: string, path: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw invalid(path, `holds no certificate as PEM (${reason(error)})`, error);
  }
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}

function invalid(what: string, why: string, cause?: unknown): TransportError {
  return new TransportError(
    "TLS_FILE_INVALID",
    `${what}: ${why}`,
    cause === undefined ? undefined : { cause },
  );
}
