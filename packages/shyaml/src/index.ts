export { separated, shyamlCommands } from "./cli/program.ts";
export type { Change, ChangeKind, Side } from "./diff/change.ts";
export {
  type ComparedFile,
  type CompareOptions,
  compareFiles,
  countsOf,
  type DiffReport,
  type DocumentDiff,
} from "./diff/compare.ts";
export type { KubeIdentity, Subject } from "./diff/documents.ts";
export { applyPatch, type PatchOperation, patchOf } from "./diff/patch.ts";
export { type DocumentPatch, patchesOf } from "./diff/patches.ts";
export { type Path, pathText, pointerOf, type Segment } from "./diff/path.ts";
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
export { type IgnoreRule, ignoreNotes, ignoring, readIgnoreRules } from "./kube/ignore.ts";
export { type KubeDiff, type KubeDiffOptions, type KubeMode, kubeDiff } from "./kube/kube-diff.ts";
export { Kubectl, KubectlError, type KubectlOptions } from "./kube/kubectl.ts";
export { Secrets } from "./kube/redact.ts";
export { Schemas } from "./kube/schema.ts";
export type { ListType, Shape } from "./kube/shape.ts";
export { DEFAULT_LIMITS, type Limits } from "./limits.ts";
export { type Annotation, annotationsOf, azureText, githubText, gitlabText } from "./render/annotations.ts";
export { build, plainValue } from "./render/build.ts";
export { type JsonTextOptions, jsonForm, jsonText } from "./render/json-text.ts";
export { MIN_MARKDOWN_CHARS, markdownText } from "./render/markdown.ts";
export { patchesJson, REPORT_VERSION, reportJson } from "./render/report-json.ts";
export { REPORT_SCHEMA } from "./render/report-schema.ts";
export { maskReport } from "./render/secrets.ts";
export { type TerminalOptions, terminalText } from "./render/terminal.ts";
export { sameData } from "./sort/same-data.ts";
export { type Sorted, type SortNote, type SortOptions, sortKeys } from "./sort/sort-keys.ts";
