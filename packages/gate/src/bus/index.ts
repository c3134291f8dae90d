export { BuildBus, type BuildEnd, type BuildFollower, RunningBuild } from "./build-bus.ts";
export { BUILD_FUNCTION_SETTINGS, BUILD_FUNCTIONS, type BuildNews, buildFunction } from "./build-messages.ts";
export { type BuildWorkerOptions, buildWorker, MAX_PAUSED_BUILDS } from "./build-worker.ts";
export { MergerClient, mergerWorker } from "./merge-bus.ts";
