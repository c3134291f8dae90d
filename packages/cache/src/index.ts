export {
  type CacheBackend,
  type CacheEntry,
  type Change,
  type GetOptions as BackendGetOptions,
  MAX_BACKEND_KEY_BYTES,
  type Replacement,
} from "./backend.ts";
export { BackendError, type BackendErrorCode } from "./backend-errors.ts";
export {
  Cache,
  type CacheEvent,
  type CacheOptions,
  createCache,
  type FlightReport,
  type Found,
  type GetOptions,
  type InvalidateOptions,
  type Lookup,
} from "./cache.ts";
export { type Cached, type CachedDefinition, defineCached } from "./cached.ts";
export type { ComputationFigures, ComputationOptions, Compute, Computing } from "./computation.ts";
export { CacheError, type CacheErrorCode, ComputationFailed } from "./errors.ts";
export type { FlightEvent } from "./flight.ts";
export { memcachedBackend } from "./memcached/backend.ts";
export {
  type Cas,
  type CountOptions,
  type DeleteItemOptions,
  type GetItemOptions,
  type Item,
  type KeyOptions,
  MemcachedClient,
  type MemcachedClientOptions,
  type MemcachedServer,
  type SetItemOptions,
  type Written,
} from "./memcached/client.ts";
export { type MemoryBackendOptions, memoryBackend } from "./memory-backend.ts";
export { type CacheMetrics, joinRatio, type Level, prometheusText } from "./metrics.ts";
export {
  type IoredisClient,
  type NodeRedisClient,
  type RedisBackendOptions,
  redisBackend,
} from "./redis-backend.ts";
export { type HandleCachedOptions, handleCached } from "./worker.ts";
