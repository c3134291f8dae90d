import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ConfigFile,
  ConfigLoader,
  type ConfigSource,
  git,
  gitLine,
  type LoadedLayout,
  Merger,
  parseTenants,
  STARTER_CONFIG_FILES,
} from "@drover/gate";
import { RepositoryConfig } from "../../packages/gate/src/scheduler/config-source.ts";

/*
 * How long a tenant's configuration takes: 50 repositories with 500 jobs, at first and when one file has changed, and the jobs
 * of one item. Each edit is checked: what it says is in the layout, and nothing else is.
 */

const GOAL_MS = 100;

interface Size {
  readonly projects: number;
  readonly jobs: number;
  readonly rounds: number;
}

const FULL: Size = { projects: 50, jobs: 500, rounds: 15 };
const QUICK: Size = { projects: 6, jobs: 60, rounds: 3 };

export interface ConfigFigures {
  readonly size: Size;
  readonly firstMs: number;
  /** Medians. */
  readonly changedMs: number;
  readonly proposedMs: number;
  readonly againMs: number;
  readonly frozenMs: number;
  /** Read from git, and put together. */
  readonly changedInGitMs: number;
  readonly proposedInGitMs: number;
}

const nameOf = (project: number): string => `project-${project}`;

function fileOf({ projects, jobs }: Size, project: number, round: number): string {
  let text = "";
  const names: string[] = [];
  for (let i = 0; i < jobs / projects; i++) {
    const name = `job-${project}-${i}`;
    names.push(name);
    text += `- job:
    name: ${name}
    parent: ${i === 0 ? "base" : `job-${project}-${Math.floor((i - 1) / 2)}`}
    description: Tests part ${i} of project ${project}, round ${round}.
    run: tools/test-${i}
    vars: {part: ${i}, nested: {round: ${round}, list: [1, 2, 3]}}
    irrelevant-files: [^doc/, '^.*\\.rst$']
    required-projects: [project-${(project + 1) % projects}]
`;
  }
  const list = names.map((name) => `        - ${name}\n`).join("");
  return `${text}- project:\n    queue: all\n    check:\n      jobs:\n${list}    gate:\n      jobs:\n${list}`;
}

const filesOf = (text: string): readonly ConfigFile[] => [{ path: ".zuul.yaml", text }];

/** Edits one file after the other, and looks whether each edit is in the layout that it makes. */
class Edits {
  readonly #size: Size;
  readonly #rounds: number[];
  readonly loader: ConfigLoader;

  constructor(size: Size, source: ConfigSource) {
    this.#size = size;
    this.#rounds = Array.from({ length: size.projects }, () => 0);
    const names = this.#rounds.map((_, project) => nameOf(project));
    const { tenants } = parseTenants(
      `- tenant: {name: bench, source: {local: {config-projects: [config], untrusted-projects: [${names}]}}}`,
    );
    this.loader = new ConfigLoader(tenants[0]!, source);
  }

  text(project: number): string {
    return fileOf(this.#size, project, this.#rounds[project]!);
  }

  edit(project: number, round: number): string {
    this.#rounds[project] = round;
    return this.text(project);
  }

  /** @param but A project whose edit is proposed only, and its round. */
  check(
    { layout, problems }: LoadedLayout,
    but?: { readonly project: number; readonly round: number },
  ): void {
    if (problems.length > 0)
      throw new Error(`the bench's own configuration is wrong: ${problems[0]!.message}`);
    const { jobs, projects } = this.#size;
    for (const [project, merged] of this.#rounds.entries()) {
      const round = but?.project === project ? but.round : merged;
      for (let i = 0; i < jobs / projects; i++) {
        const found = layout.parts.jobs
          .get(`job-${project}-${i}`)
          ?.map(({ attributes }) => attributes.description);
        const wanted = `Tests part ${i} of project ${project}, round ${round}.`;
        if (found?.length !== 1 || found[0] !== wanted)
          throw new Error(`of job-${project}-${i} the layout says ${found}, not ${wanted}`);
      }
    }
  }
}

async function measure(size: Size): Promise<ConfigFigures> {
  const { projects, rounds } = size;
  const edits: Edits = new Edits(size, {
    branches: async () => ["main"],
    files: async (name) =>
      name === "config" ? STARTER_CONFIG_FILES : filesOf(edits.text(Number(name.slice("project-".length)))),
  });
  const { loader } = edits;
  const began = performance.now();
  edits.check(await loader.load());
  const firstMs = performance.now() - began;
  const times: Record<"changed" | "proposed" | "again" | "frozen", number[]> = {
    changed: [],
    proposed: [],
    again: [],
    frozen: [],
  };
  const timed = async <T>(into: keyof typeof times, act: () => T | Promise<T>): Promise<T> => {
    const from = performance.now();
    const made = await act();
    times[into].push(performance.now() - from);
    return made;
  };
  for (let round = 1; round <= rounds; round++) {
    const project = round % projects;
    edits.edit(project, round);
    edits.check(await timed("changed", () => loader.load([nameOf(project)])));
    const next = { project, round: round + rounds };
    const change = { project: nameOf(project), branch: "main" };
    const propose = () => loader.propose([{ ...change, files: filesOf(fileOf(size, project, next.round)) }]);
    const proposed = await timed("proposed", propose);
    edits.check(proposed, next);
    if ((await timed("again", propose)) !== proposed) throw new Error("the same layout was made twice");
    const frozen = await timed("frozen", () =>
      proposed.layout.freeze("gate", { ...change, files: ["src/a.ts", "doc/b.rst"] }),
    );
    if (frozen.kind === "problems" || ![...frozen.jobs.keys()].includes(`job-${project}-0`))
      throw new Error("its jobs were not frozen");
  }
  const inGit = await measureInGit(size);
  return {
    size,
    firstMs,
    changedMs: median(times.changed),
    proposedMs: median(times.proposed),
    againMs: median(times.again),
    frozenMs: median(times.frozen),
    ...inGit,
  };
}

/** The same edits as commits of bare repositories. */
async function measureInGit(size: Size): Promise<Pick<ConfigFigures, "changedInGitMs" | "proposedInGitMs">> {
  const folder = mkdtempSync(join(tmpdir(), "drover-bench-config-"));
  const gitDir = (name: string): string => join(folder, `${name}.git`);
  const merger = new Merger({ repositoryOf: gitDir });
  const tip = async (name: string) => gitLine(["rev-parse", "refs/heads/main"], { gitDir: gitDir(name) });
  const source = new RepositoryConfig(
    { gitDir, branches: async (name: string) => new Map([["main", await tip(name)]]) },
    merger,
  );
  try {
    const edits = new Edits(size, source);
    const make = async (name: string, files: readonly ConfigFile[]): Promise<void> => {
      await git(["init", "--quiet", "--bare", "--initial-branch=main", gitDir(name)]);
      await commit(gitDir(name), "main", files);
    };
    await make("config", STARTER_CONFIG_FILES);
    for (let project = 0; project < size.projects; project++)
      await make(nameOf(project), filesOf(edits.text(project)));
    const { loader } = edits;
    edits.check(await loader.load());
    const [changed, proposed]: [number[], number[]] = [[], []];
    for (let round = 1; round <= size.rounds; round++) {
      const project = round % size.projects;
      const name = nameOf(project);
      const text = edits.edit(project, round);
      await commit(gitDir(name), "main", filesOf(text));
      const before = performance.now();
      const loaded = await loader.load([name]);
      changed.push(performance.now() - before);
      edits.check(loaded);
      const next = { project, round: round + size.rounds };
      const head = await commit(gitDir(name), "proposed", filesOf(fileOf(size, project, next.round)));
      const from = performance.now();
      const files = await source.filesAt(name, head, []);
      const made = loader.propose([{ project: name, branch: "main", files }]);
      proposed.push(performance.now() - from);
      edits.check(made, next);
    }
    return { changedInGitMs: median(changed), proposedInGitMs: median(proposed) };
  } finally {
    await merger.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Makes these files the whole of a branch. @returns The commit. */
async function commit(gitDir: string, branch: string, files: readonly ConfigFile[]): Promise<string> {
  const data = (text: string): string => `data ${Buffer.byteLength(text)}\n${text}`;
  const lines = [
    "reset refs/heads/BRANCH",
    "commit refs/heads/BRANCH",
    "committer Bench <bench@localhost> 1700000000 +0000",
  ];
  const written = files.map(({ path, text }) => `M 100644 inline ${path}\n${data(text)}`);
  const input = [...lines, data("Files"), ...written].join("\n").replaceAll("BRANCH", branch);
  await git(["fast-import", "--quiet", "--force"], { gitDir, input });
  return gitLine(["rev-parse", `refs/heads/${branch}`], { gitDir });
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

/** Only whether all edits come out right. @returns How many do not. */
export async function checkGateConfig(): Promise<number> {
  try {
    await measure(QUICK);
    process.stdout.write("bench: configuration of a gate: edits come out right\n");
    return 0;
  } catch (error) {
    process.stderr.write(`bench: configuration of a gate: ${(error as Error).message}\n`);
    return 1;
  }
}

export async function benchGateConfig(): Promise<void> {
  process.stdout.write(`${showGateConfig(await measure(FULL))}\n`);
}

/** In a few lines, for people. */
export function showGateConfig(figures: ConfigFigures): string {
  const { projects, jobs } = figures.size;
  const line = (what: string, ms: number, goalMs?: number): string => {
    const goal = goalMs === undefined ? "" : `   goal ${goalMs} ms: ${ms <= goalMs ? "reached" : "MISSED"}`;
    return `  ${what.padEnd(52)} ${ms.toFixed(1)} ms${goal}`;
  };
  return [
    `The configuration of ${projects} repositories with ${jobs} jobs:`,
    line("all of it, at first", figures.firstMs),
    line("one file changed, merged", figures.changedMs, GOAL_MS),
    line("the same, read from git", figures.changedInGitMs, GOAL_MS),
    line("one file changed, proposed", figures.proposedMs, GOAL_MS),
    line("the same, read from git", figures.proposedInGitMs, GOAL_MS),
    line("the same proposal again", figures.againMs),
    line("the jobs of an item frozen", figures.frozenMs),
  ].join("\n");
}

if (import.meta.main) await benchGateConfig();
