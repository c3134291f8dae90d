import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A certificate with its key, as files and as text. */
export interface Issued {
  readonly files: { readonly certificate: string; readonly key: string };
  readonly cert: string;
  readonly key: string;
}

export interface Wanted {
  /** In OpenSSL's form, such as `/O=Acme/CN=printer`. */
  readonly subject: string;
  /** In OpenSSL's form, such as `DNS:localhost,IP:127.0.0.1`. */
  readonly names?: string;
}

/** Makes certificates with openssl, in a folder that goes with it. */
export class CertificateAuthority {
  readonly folder: string;
  readonly root: Issued;
  #issued = 0;

  private constructor(folder: string, root: Issued) {
    this.folder = folder;
    this.root = root;
  }

  static async create(name = "Test Root"): Promise<CertificateAuthority> {
    const folder = await mkdtemp(join(tmpdir(), "drover-certificates-"));
    const root = await make(folder, "root", { subject: `/CN=${name}` }, [
      "-addext",
      "basicConstraints=critical,CA:TRUE",
    ]);
    return new CertificateAuthority(folder, root);
  }

  issue(wanted: Wanted): Promise<Issued> {
    const { certificate, key } = this.root.files;
    return make(this.folder, `issued-${++this.#issued}`, wanted, [
      ...["-CA", certificate, "-CAkey", key],
      ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ]);
  }

  /** Of a server on this machine. */
  issueForLocalhost(): Promise<Issued> {
    return this.issue({ subject: "/CN=localhost", names: "DNS:localhost,IP:127.0.0.1,IP:::1" });
  }

  async dispose(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function make(folder: string, stem: string, wanted: Wanted, more: readonly string[]): Promise<Issued> {
  const files = { certificate: join(folder, `${stem}.crt`), key: join(folder, `${stem}.key`) };
  const { subject, names } = wanted;
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-days", "2", "-subj", subject, "-keyout", files.key, "-out", files.certificate],
    ...(names === undefined ? [] : ["-addext", `subjectAltName=${names}`]),
    ...more,
  ]);
  const [cert, key] = await Promise.all([readFile(files.certificate, "utf8"), readFile(files.key, "utf8")]);
  return { files, cert, key };
}
