import { execFile } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";

/** A Debian package that tests use, and the question whether its content is here, however it came here. */
export type Package = { name: string; isPresent: () => Promise<boolean> };

/** Servers live in sbin, which is not on every user's PATH. */
const programFolders = [...(process.env.PATH ?? "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"];

export function findProgram(name: string): string | undefined {
  for (const folder of programFolders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

const hasPrograms =
  (...names: string[]) =>
  async () =>
    names.every((name) => findProgram(name) !== undefined);

const hasHeader = (name: string) => async () =>
  ["/usr/include", "/usr/local/include"].some((folder) => existsSync(join(folder, name)));

const succeeds =
  (program: string, ...args: string[]) =>
  () =>
    new Promise<boolean>((answer) => {
      execFile(program, args, { timeout: 20_000 }, (error) => answer(error === null));
    });

/** Debian keeps PostgreSQL's programs in a folder of each version. */
const hasDebianPostgres = async () =>
  findProgram("initdb") !== undefined || existsSync("/usr/lib/postgresql");

/** Others than Debian bring kubectl too; before 1.20 it has not all that is needed. */
const hasKubectl = () =>
  new Promise<boolean>((answer) => {
    execFile("kubectl", ["version", "--client", "-o", "json"], { timeout: 20_000 }, (error, out) => {
      const [, major, minor] = /"gitVersion": "v(\d+)\.(\d+)/.exec(out) ?? [];
      answer(error === null && (Number(major) > 1 || Number(minor) >= 20));
    });
  });

/** Packages that not every Debian has, or that bring much: installed in a call of their own, which may fail alone. */
export const installedAlone: readonly string[] = ["kubernetes-client"];

export const packages: readonly Package[] = [
  { name: "gearman-job-server", isPresent: hasPrograms("gearmand") },
  { name: "gearman-tools", isPresent: hasPrograms("gearman", "gearadmin") },
  { name: "libgearman-dev", isPresent: hasHeader("libgearman/gearman.h") },
  { name: "libmemcached-dev", isPresent: hasHeader("libmemcached/memcached.h") },
  { name: "gcc", isPresent: hasPrograms("gcc") },
  { name: "libc6-dev", isPresent: hasHeader("stdio.h") },
  { name: "make", isPresent: hasPrograms("make") },
  { name: "openssl", isPresent: hasPrograms("openssl") },
  { name: "perl", isPresent: hasPrograms("perl") },
  { name: "kubernetes-client", isPresent: hasKubectl },
  {
    name: "libgearman-client-perl",
    isPresent: succeeds("perl", "-MGearman::Client", "-MGearman::Worker", "-e", "1"),
  },
  { name: "postgresql", isPresent: hasDebianPostgres },
  { name: "memcached", isPresent: hasPrograms("memcached") },
  { name: "redis-server", isPresent: hasPrograms("redis-server") },
  { name: "php-cli", isPresent: hasPrograms("php") },
  { name: "bubblewrap", isPresent: hasPrograms("bwrap") },
  { name: "ansible-core", isPresent: hasPrograms("ansible-playbook") },
  { name: "chromium", isPresent: hasPrograms("chromium") },
  { name: "prometheus", isPresent: hasPrograms("prometheus", "promtool") },
  { name: "php-gearman", isPresent: succeeds("php", "-r", "exit(extension_loaded('gearman') ? 0 : 1);") },
];

/** The peers by the names that tests ask for, each with the packages it is made of. */
export const peers = {
  gearmand: ["gearman-job-server"],
  openssl: ["openssl"],
  postgresql: ["postgresql"],
  "gearman-tools": ["gearman-tools"],
  "c-compiler": ["gcc", "libc6-dev", "make"],
  libgearman: ["libgearman-dev", "gcc", "libc6-dev", "make"],
  libmemcached: ["libmemcached-dev", "gcc", "libc6-dev", "make"],
  "perl-gearman": ["perl", "libgearman-client-perl"],
  memcached: ["memcached"],
  redis: ["redis-server"],
  bubblewrap: ["bubblewrap"],
  ansible: ["ansible-core"],
  chromium: ["chromium"],
  prometheus: ["prometheus"],
  kubectl: ["kubernetes-client"],
  "php-gearman": ["php-cli", "php-gearman"],
} as const satisfies Record<string, readonly string[]>;

export type PeerName = keyof typeof peers;

/** The names of those packages whose content is not here. */
export async function findMissing(all: readonly Package[]): Promise<string[]> {
  const present = await Promise.all(all.map((one) => one.isPresent()));
  return all.filter((_one, at) => !present[at]).map((one) => one.name);
}
