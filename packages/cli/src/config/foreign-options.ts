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
    [
      "store-queue-on-shutdown",
      { flags: "--store-queue-on-shutdown", why: "a store always has every background job" },
    ],
    ["coredump", { flags: "--coredump", why: "the system's settings decide about core dumps" }],
  ],
);

const STORES =
  "leave it out; --store sqlite:FILE or --store postgres://USER@HOST/DATABASE keeps background jobs, and without it they " +
  "are in memory";
const TABLE =
  "leave it out: Drover has tables of its own, and `drover import gearmand-sqlite` reads gearmand's";
const TLS =
  "leave it out: --tls ADDRESS listens with TLS, with --tls-certificate, --tls-key and, for clients' certificates, --tls-client-ca";
const HTTP = "leave it out: --http [HOST:]PORT speaks HTTP";

/** Options refused by name, and what to do instead. */
export const REFUSED_OPTIONS: ReadonlyMap<string, { readonly flags: string; readonly remedy: string }> =
  new Map([
    ["protocol", { flags: "-r, --protocol <name>", remedy: HTTP }],
    ["http-port", { flags: "--http-port <port>", remedy: HTTP }],
    ["ssl", { flags: "--ssl", remedy: TLS }],
    ...withValue(TLS, "ssl-ca-file", "ssl-certificate", "ssl-key"),
    ...withValue(TABLE, "libsqlite3-table", "libpq-table"),
    ...withValue(
      STORES,
      "libmemcached-servers",
      "libmemcached-prefix",
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

/** What gearmand's queue types say where their jobs are, by long name. */
export const QUEUE_OPTIONS: ReadonlyMap<string, { readonly flags: string }> = new Map([
  ["libsqlite3-db", { flags: "--libsqlite3-db <file>" }],
  ["libpq-conninfo", { flags: "--libpq-conninfo <text>" }],
]);

/**
 * The store that a queue type of gearmand's stands for.
 * @param option Value of one of `QUEUE_OPTIONS`.
 * @returns what `--store` would be, or what is wrong.
 */
export function storeOfQueueType(
  type: string,
  option: (name: string) => string | undefined,
): { readonly store: string } | { readonly problem: string } {
  const database = option("libsqlite3-db");
  const conninfo = option("libpq-conninfo");
  switch (type.toLowerCase()) {
    case "builtin":
    case "memory":
      return { store: "memory" };
    case "libsqlite3":
      return database === undefined
        ? {
            problem: `queue type ${JSON.stringify(type)} needs --libsqlite3-db FILE, or say --store sqlite:FILE`,
          }
        : { store: `sqlite:${database}` };
    case "postgres":
      return conninfo === undefined
        ? {
            problem: `queue type ${JSON.stringify(type)} needs --libpq-conninfo, or say --store postgres://…`,
          }
        : { store: urlOfConninfo(conninfo) };
    default:
      return { problem: `queue type ${JSON.stringify(type)}: ${STORES}` };
  }
}

/** libpq's `host=db user=me dbname=jobs` as a URL. */
function urlOfConninfo(text: string): string {
  if (/^postgres(ql)?:/.test(text)) return text;
  const values = new Map<string, string>();
  for (const [, name, quoted, plain] of text.matchAll(/(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))/g)) {
    values.set(name!, quoted?.replace(/\\(.)/g, "$1") ?? plain!);
  }
  const part = (name: string) => encodeURIComponent(values.get(name) ?? "");
  const user = values.has("user")
    ? `${part("user")}${values.has("password") ? `:${part("password")}` : ""}@`
    : "";
  const port = values.has("port") ? `:${part("port")}` : "";
  return `postgres://${user}${values.get("host") ?? values.get("hostaddr") ?? "localhost"}${port}/${part("dbname")}`;
}
