import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { PeerCertificate } from "./connection.ts";

/** What the other end of a socket proved to be; undefined without TLS, without a certificate or without a verified one. */
export function verifiedCertificate(socket: Duplex): PeerCertificate | undefined {
  const { authorized, getPeerX509Certificate } = socket as Partial<TLSSocket>;
  if (authorized !== true || getPeerX509Certificate === undefined) return undefined;
  const certificate = getPeerX509Certificate.call(socket);
  if (certificate === undefined) return undefined;
  const names = alternativeNames(certificate.subjectAltName ?? "");
  if (names.length === 0) {
    const { CN = [] } = certificate.toLegacyObject().subject as { CN?: string | string[] };
    names.push(...(typeof CN === "string" ? [CN] : CN));
  }
  return { subject: certificate.subject.split("\n").join(", "), names };
}

/** Whether the other end showed a certificate that could not be verified. */
export function hasRefusedCertificate(socket: TLSSocket): boolean {
  return !socket.authorized && socket.getPeerX509Certificate() !== undefined;
}

/**
 * Names out of Node's text of the extension, `DNS:a, URI:"b, c"`. What holds a comma or a quote is written there as a JSON
 * string, so that no name can pose as two.
 */
export function alternativeNames(text: string): string[] {
  const names: string[] = [];
  const entry = /(?:^|, )([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?=, |$)/y;
  let read = 0;
  for (let match = entry.exec(text); match !== null; match = entry.exec(text)) {
    read = entry.lastIndex;
    const [, kind, value] = match as unknown as [string, string, string];
    if (kind !== "DNS" && kind !== "URI" && kind !== "email") continue;
    names.push(value.startsWith('"') ? (JSON.parse(value) as string) : value);
  }
  // Of a text that is not wholly understood nothing is trusted.
  return read === text.length ? names : [];
}
