/* What is loaded for several servers, and for lists that are read. */
export { RoutedPool } from "./routed-pool.ts";
export { keepLinks } from "./server-watch.ts";
