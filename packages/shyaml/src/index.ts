export { shyamlCommands } from "./cli/program.ts";
export { decodeText, type LoadOptions, loadDocuments } from "./document/load.ts";
export {
  type DataNode,
  type Entry,
  type Item,
  type ListNode,
  type LoadedFile,
  type MapNode,
  placeOf,
  type ScalarNode,
  type ScalarType,
  type Source,
  stringAt,
  valueAt,
  type YamlDocument,
} from "./document/node.ts";
export { type Place, ShyamlError, type ShyamlErrorCode } from "./errors.ts";
export { DEFAULT_LIMITS, type Limits } from "./limits.ts";
