import { performance } from "node:perf_hooks";
import { ConfigLoader, parseTenants, STARTER_CONFIG_FILES } from "@drover/gate";

/*
 * How long a tenant's configuration takes: 50 projects with 500 jobs, at first and when one file has changed, and the jobs of
 * one item. `node bench/gate/config.ts [PROJECTS] [JOBS]` prints it.
 */

const PROJECTS = Number(process.argv[2] ?? 50);
const JOBS = Number(process.argv[3] ?? 500);
const ROUNDS = 15;

function fileOf(project: number, round: number): string {
  let text = "";
  const names: string[] = [];
  for (let i = 0; i < JOBS / PROJECTS; i++) {
    const name = `job-${project}-${i}`;
    names.push(name);
    text += `- job:
    name: ${name}
    parent: ${i === 0 ? "base" : `job-${project}-${Math.floor((i - 1) / 2)}`}
    description: Tests part ${i} of project ${project}, round ${round}.
    run: tools/test-${i}
    vars: {part: ${i}, nested: {round: ${round}, list: [1, 2, 3]}}
    irrelevant-files: [^doc/, '^.*\\.rst$']
    required-projects: [project-${(project + 1) % PROJECTS}]
`;
  }
  const list = names.map((name) => `        - ${name}\n`).join("");
  return `${text}- project:\n    queue: all\n    check:\n      jobs:\n${list}    gate:\n      jobs:\n${list}`;
}

const texts = Array.from({ length: PROJECTS }, (_, project) => fileOf(project, 0));
const names = texts.map((_, project) => `project-${project}`);
const { tenants } = parseTenants(
  `- tenant: {name: bench, source: {local: {config-projects: [config], untrusted-projects: [${names}]}}}`,
);
const loader = new ConfigLoader(tenants[0]!, {
  branches: async () => ["main"],
  files: async (project) =>
    project === "config"
      ? STARTER_CONFIG_FILES
      : [{ path: ".zuul.yaml", text: texts[Number(project.slice("project-".length))]! }],
});

const median = (times: readonly number[]): string =>
  `${times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!.toFixed(1)} ms`;

const start = performance.now();
const { layout, problems } = await loader.load();
console.log(`${PROJECTS} projects, ${JOBS} jobs, ${problems.length} problems`);
console.log(`first load               ${(performance.now() - start).toFixed(1)} ms`);

const changed: number[] = [];
const proposed: number[] = [];
const frozen: number[] = [];
for (let round = 1; round <= ROUNDS; round++) {
  const project = round % PROJECTS;
  texts[project] = fileOf(project, round);
  const before = performance.now();
  await loader.load([`project-${project}`]);
  const loaded = performance.now();
  const files = [{ path: ".zuul.yaml", text: fileOf(project, round + ROUNDS) }];
  loader.validateChange({ project: `project-${project}`, branch: "main", files });
  const validated = performance.now();
  layout.freeze("gate", { project: `project-${project}`, branch: "main", files: ["src/a.ts", "doc/b.rst"] });
  changed.push(loaded - before);
  proposed.push(validated - loaded);
  frozen.push(performance.now() - validated);
}
console.log(`one file changed         ${median(changed)}`);
console.log(`one change validated     ${median(proposed)}`);
console.log(`jobs of an item frozen   ${median(frozen)}`);
