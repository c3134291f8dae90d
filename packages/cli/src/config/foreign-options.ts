/*
 * gearmand's options that Drover takes without effect, and those that it refuses because it could not do what they
 * ask for.
 */

/** Options without effect, by long name, and why they need none. */
export const IGNORED_OPTIONS: ReadonlyMap<string, { readonly flags: string; readonly why: string }> = new Map(
  [
    ["round-robin", { flags: "-R, --round-robin", why: "functions always take turns" }],
    ["threads", { flags: "-t, --threads <number>", why: "one thread serves all connections" }],
    ["hashtable-buckets", { flags: "--hashtable-buckets <number>", why: "tables grow with what they hold" }],
    ["coredump", { flags: "--coredump", why: "the system's settings decide about core dumps" }],
  ],
);

const STORES =
  "stores of background jobs come with --store in a later version; until then they are kept in memory, " +
  "so leave it out or say --queue-type memory";
const SQLITE =
  "stores of background jobs come with --store in a later version, and with it `drover import gearmand-sqlite`, " +
  "which reads this one; until then leave it out";
const TLS =
  "TLS is not part of this version: listen on loopback or a Unix socket behind a TLS proxy, and leave it out";
const HTTP = "there is no HTTP in this version: leave it out";

/** Options refused by name, and what to do instead. */
export const REFUSED_OPTIONS: ReadonlyMap<string, { readonly flags: string; readonly remedy: string }> =
  new Map([
    ["protocol", { flags: "-r, --protocol <name>", remedy: HTTP }],
    ["http-port", { flags: "--http-port <port>", remedy: HTTP }],
    ["ssl", { flags: "--ssl", remedy: TLS }],
    ...withValue(TLS, "ssl-ca-file", "ssl-certificate", "ssl-key"),
    ...withValue(SQLITE, "libsqlite3-db", "libsqlite3-table"),
    ["store-queue-on-shutdown", { flags: "--store-queue-on-shutdown", remedy: SQLITE }],
    ...withValue(
      STORES,
      "libmemcached-servers",
      "libmemcached-prefix",
      "libpq-conninfo",
      "libpq-table",
      "redis-server",
      "redis-port",
      "redis-password",
      "redis-prefix",
      "mysql-host",
      "mysql-port",
      "mysql-user",
      "mysql-password",
      "mysql-db",
      "mysql-table",
      "libtokyocabinet-file",
    ),
    ["libtokyocabinet-optimize", { flags: "--libtokyocabinet-optimize", remedy: STORES }],
  ]);

function withValue(
  remedy: string,
  ...names: readonly string[]
): [string, { flags: string; remedy: string }][] {
  return names.map((name) => [name, { flags: `--${name} <value>`, remedy }]);
}

/** Why a queue type is refused; undefined for those that are in memory, as all is. */
export function queueTypeProblem(type: string): string | undefined {
  if (type === "builtin" || type === "memory") return undefined;
  return `queue type ${JSON.stringify(type)}: ${type === "libsqlite3" ? SQLITE : STORES}`;
}
