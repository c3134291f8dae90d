/* What is loaded for several servers, and for lists that are read. */
export { RoutedPool } from "./routed-pool.ts";
export { keepForEach } from "./server-watch.ts";
