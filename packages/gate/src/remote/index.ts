export { type GateLinkOptions, RemoteError, type WorkerErrorCode } from "./gate-link.ts";
export { DEFAULT_GOVERNORS, type Governors, type MachineState, refusalOf } from "./governors.ts";
export { RemoteExecutor, type RemoteExecutorOptions } from "./remote-executor.ts";
export { RemoteMerger, type RemoteMergerOptions } from "./remote-merger.ts";
