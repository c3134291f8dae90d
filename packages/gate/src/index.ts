export * from "./config/index.ts";
export { GitError, type GitOptions, git, gitLine } from "./git/git.ts";
export { GateDatabase, GateStoreError, type Migration } from "./store/database.ts";
