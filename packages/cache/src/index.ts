export {
  type CacheBackend,
  type CacheEntry,
  type Change,
  type GetOptions,
  MAX_BACKEND_KEY_BYTES,
  type Replacement,
} from "./backend.ts";
