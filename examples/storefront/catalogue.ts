import { defineCached } from "drover/cache";
import pg from "pg";

/** Numbered from 1. */
export const PRODUCTS = 20;
const ORDERS = 50_000;
const LINES_PER_ORDER = 3;

/** What else was bought by those who bought a product, best first. */
export interface Advice {
  readonly product: number;
  readonly boughtWith: readonly { readonly product: number; readonly orders: number }[];
}

/** Known to the shop, which asks, and to the worker, which computes. */
export const advice = defineCached<number, number, Advice, Advice>({
  name: "storefront.advice",
  key: String,
  freshMs: 10_000,
});

/** Where everything is; handed to each process in its environment. */
export interface Places {
  readonly servers: readonly string[];
  readonly memcached: string;
  /** Folder of PostgreSQL's socket. */
  readonly database: string;
}

export function placesFromEnvironment(): Places {
  return JSON.parse(process.env.STOREFRONT_PLACES!);
}

/** Connects when it is first asked. */
export function openDatabase({ database }: Pick<Places, "database">, connections: number): pg.Pool {
  const pool = new pg.Pool({
    host: database,
    user: "drover",
    database: "postgres",
    max: connections,
    idleTimeoutMillis: 1_000,
  });
  // A connection that breaks while nobody uses it; the next query opens another.
  pool.on("error", () => {});
  return pool;
}

/** Fills an empty database with orders that are the same each time, and with a counter. */
export async function fillDatabase(pool: pg.Pool): Promise<void> {
  await pool.query(`
    create sequence computations;
    create unlogged table order_lines as
      select bought.number as order_id, 1 + abs(hashint4(bought.number * ${LINES_PER_ORDER} + line) % ${PRODUCTS}) as product
      from generate_series(1, ${ORDERS}) as bought(number), generate_series(1, ${LINES_PER_ORDER}) as line;
    analyze order_lines`);
}

/** Computes the answer without counting. There is no index, so each time all orders are read. */
export async function queryAdvice(pool: pg.Pool, product: number): Promise<Advice> {
  const { rows } = await pool.query(
    `select other.product, count(distinct other.order_id)::int as orders
     from order_lines mine join order_lines other using (order_id)
     where mine.product = $1 and other.product <> $1
     group by other.product order by orders desc, other.product limit 5`,
    [product],
  );
  return { product, boughtWith: rows };
}

/** As `queryAdvice`, counted by the database, so that no computation is forgotten with the process that wanted it. */
export async function computeAdvice(pool: pg.Pool, product: number): Promise<Advice> {
  await pool.query("select nextval('computations')");
  return queryAdvice(pool, product);
}

export async function countComputations(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query(
    "select case when is_called then last_value else 0 end::int as count from computations",
  );
  return rows[0].count;
}
