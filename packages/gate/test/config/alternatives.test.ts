import { expect, test } from "vitest";
import { BASE, change, load, plainTenant } from "./memory-source.ts";

const NODESETS = `
- nodeset:
    name: three
    nodes: [{name: a, label: big}, {name: b, label: big}, {name: c, label: big}]
- nodeset:
    name: one
    nodes: [{name: [a, b, c], label: small}]
    groups: [{name: web, nodes: [a]}]
- nodeset: {name: any, alternatives: [three, {nodes: [{name: a, label: middle}, {name: b, label: middle}]}, one]}
- nodeset: {name: nested, alternatives: [any]}
- job: {name: unit, command: [make], nodeset: nested}
- project: {check: {jobs: [unit]}}
`;

const loaded = (app: string, more = "") => {
  const repositories = { config: { main: { "zuul.yaml": BASE } }, app: { main: { "zuul.yaml": app } } };
  return load(repositories, plainTenant(repositories, more));
};

test.each([
  [undefined, "three", 3],
  [3, "three", 3],
  [2, null, 2],
  [1, "one", 1],
  // As without alternatives: the build will say that there are not so many.
  [0, "three", 3],
])("with %s nodes at most, the first alternative that fits is %s", async (maxNodes, name, count) => {
  const { layout, told } = await loaded(NODESETS);
  expect(told).toEqual([]);
  const result = layout.freeze("check", {
    ...change("app"),
    ...(maxNodes === undefined ? {} : { maxNodes }),
  });
  if (result.kind !== "graph") throw new Error(JSON.stringify(result));
  const { nodeset, nodes, groups } = result.jobs.get("unit")!;
  expect([nodeset, nodes.length, groups.length]).toEqual([name, count, name === "one" ? 1 : 0]);
  expect(result.graph.jobs[0]!.labels).toHaveLength(count);
});

test.each([
  [
    "- nodeset: {name: n, nodes: [{name: a, label: b}], alternatives: [m]}",
    "nodeset: has alternatives, or nodes and groups, not both",
  ],
  // A playbook that may have secrets has them in templates.
  [
    `- nodeset: {name: n, nodes: [{name: "x{{ lookup('env', 'HOME') }}", label: b}]}`,
    "nodes.0.name.0: a node's or group's name is letters",
  ],
  [
    '- job: {name: j, command: [a], nodeset: {nodes: [{name: a, label: b}], groups: [{name: "{%", nodes: [a]}]}}',
    "groups.0.name: a node's or group's name is letters",
  ],
  ["- nodeset: {name: n, alternatives: []}", "alternatives: there is at least one alternative"],
  [
    "- nodeset: {name: n, alternatives: [n]}\n- job: {name: j, command: [a], nodeset: n}",
    "job j: nodesets lead to each other: n, n",
  ],
  [
    "- nodeset: {name: n, alternatives: [m]}\n- job: {name: j, command: [a], nodeset: n}",
    "job j: nodeset m is not defined",
  ],
  [
    "- job: {name: j, command: [a], nodeset: {alternatives: [{nodes: [{name: a, label: huge}]}]}}",
    "job j: the tenant does not allow the label huge",
  ],
])("%s is told", async (app, message) => {
  const { told } = await loaded(app, "    disallowed-labels: [huge]\n");
  expect(told).toEqual([expect.stringContaining(message)]);
});
