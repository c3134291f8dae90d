export {
  type CacheBackend,
  type CacheEntry,
  type Change,
  type GetOptions as BackendGetOptions,
  MAX_BACKEND_KEY_BYTES,
  type Replacement,
} from "./backend.ts";
export {
  Cache,
  type CacheEvent,
  type CacheOptions,
  createCache,
  type FlightReport,
  type Found,
  type GetOptions,
  type InvalidateOptions,
} from "./cache.ts";
export { type Cached, type CachedDefinition, defineCached } from "./cached.ts";
export type { ComputationFigures, ComputationOptions, Compute, Computing } from "./computation.ts";
export { CacheError, type CacheErrorCode, ComputationFailed } from "./errors.ts";
export type { FlightEvent } from "./flight.ts";
export { type CacheMetrics, type Level, prometheusText } from "./metrics.ts";
export { type HandleCachedOptions, handleCached } from "./worker.ts";
