import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "@drover/server";
import { STARTER_CONFIG_FILES, starterProjectFile, starterTenantFile } from "./config/index.ts";
import { LocalForge } from "./forge/index.ts";
import { DATABASE_FILE, GATE_FILE, GATE_MIGRATIONS, GateError, REPOSITORIES } from "./gate.ts";
import { commitFiles } from "./git/commit-files.ts";
import { gitVersion } from "./git/version.ts";
import { GateDatabase } from "./store/database.ts";

export interface InitOptions {
  readonly log: Log;
  /** Default: `main`. */
  readonly tenant?: string;
  /** The first user, an operator. */
  readonly user: string;
  /** Default: `config`. */
  readonly configProject?: string;
  /** Whether users may approve their own changes. Default: false. */
  readonly selfApproval?: boolean;
  /** A project with one job to begin with. Default: `sample`; `null`: none. */
  readonly sample?: string | null;
}

export interface InitResult {
  readonly configProject: string;
  readonly sample: string | null;
  /** Of the user, known at this moment only. */
  readonly token: string;
}

const SAMPLE_JOB = "greets";

/** What the sample has: a program, a test of it, and the job that runs the test. */
const SAMPLE_FILES = [
  { path: "README.md", text: "# Sample\n\nPush a change to refs/for/main, and see it tested.\n" },
  { path: "greet.sh", text: 'echo "Hello, $1."\n' },
  { path: "test.sh", text: 'test "$(sh greet.sh gate)" = "Hello, gate."\n' },
  { path: "zuul.yaml", text: starterProjectFile(SAMPLE_JOB, ["sh", "test.sh"]) },
] as const;

/**
 * Makes the folder of a gate: a tenant, a config-project with pipelines, a sample project, and a user.
 * @throws GateError `GATE_FOLDER_INVALID` when there is something in the folder; GitError, GateStoreError
 */
export async function initGate(folder: string, options: InitOptions): Promise<InitResult> {
  const {
    log,
    tenant = "main",
    user,
    configProject = "config",
    sample = "sample",
    selfApproval = false,
  } = options;
  await gitVersion();
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    const isGate = existsSync(join(folder, GATE_FILE));
    throw new GateError("GATE_FOLDER_INVALID", `${folder} ${isGate ? "is a gate already" : "is not empty"}`);
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new GateDatabase(join(folder, DATABASE_FILE), GATE_MIGRATIONS);
  try {
    // Nothing is gated yet, so that nothing is told.
    const forge = await LocalForge.open({
      database,
      folder: join(folder, REPOSITORIES),
      log,
      onEvents: () => {},
    });
    try {
      await forge.createProject(configProject);
      await commitFiles(
        forge.gitDir(configProject),
        "main",
        STARTER_CONFIG_FILES,
        "Pipelines and the base job",
      );
      if (sample !== null) {
        await forge.createProject(sample);
        await commitFiles(forge.gitDir(sample), "main", SAMPLE_FILES, "A sample");
      }
      forge.users.add(user, "operator");
      const { text } = forge.users.createToken(user, { note: "made with the gate" });
      // Last: a folder without it is no gate.
      writeFileSync(
        join(folder, GATE_FILE),
        starterTenantFile(tenant, configProject, sample === null ? [] : [sample], selfApproval),
      );
      return { configProject, sample, token: text };
    } finally {
      await forge.close();
    }
  } finally {
    database.close();
  }
}
