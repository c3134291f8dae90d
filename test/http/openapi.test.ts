import { readFile } from "node:fs/promises";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, it } from "vitest";
import { stage } from "./stage.ts";

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, { summary?: string; responses: object }>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

async function describedBy(url: string): Promise<Document> {
  return (await (await fetch(`${url}/openapi.json`)).json()) as Document;
}

it("describes paths that there are, each with a summary", async () => {
  const { url, http } = await stage();
  const { openapi, paths } = await describedBy(url);
  expect(openapi).toBe("3.1.0");
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { summary }]) => ({ path, method, summary })),
  );
  expect(described.length).toBeGreaterThan(10);
  for (const { path, method, summary } of described) {
    const route = { url: path.replace(/\{(\w+)\}/g, ":$1"), method: method.toUpperCase() as "GET" };
    expect([path, method, http.app.hasRoute(route)]).toEqual([path, method, true]);
    expect(summary).toMatch(/^[A-Z]/);
  }
});

it("describes answers as they are", async () => {
  const { url } = await stage();
  const { components } = await describedBy(url);
  const ajv = new Ajv2020({ strict: false });
  const matches = (name: string, value: unknown): void => {
    const check = ajv.compile({ ...components.schemas[name], components });
    expect([name, check(value), check.errors, value]).toEqual([name, true, null, value]);
  };
  const accepted = await fetch(`${url}/functions/f/jobs`, {
    method: "POST",
    body: "w",
    headers: { prefer: "respond-async", "gearman-unique": '"u"' },
  });
  matches("Accepted", await accepted.json());
  matches("Job", await (await fetch(`${url}/functions/f/uniques/~u`)).json());
  matches("Problem", await (await fetch(`${url}/jobs/none`)).json());
  matches("AssignedJob", await (await fetch(`${url}/grab?function=f`, { method: "POST" })).json());
});

it("has every problem on the page of errors, with its status and whether it passes", async () => {
  const { url } = await stage();
  const { components } = await describedBy(url);
  const types = (components.schemas.Problem as { properties: { type: { enum: string[] } } }).properties.type;
  const page = await readFile(new URL("../../docs/ERRORS.md", import.meta.url), "utf8");
  for (const type of types.enum) {
    const { name, status, retryable } = (await (await fetch(new URL(type, url))).json()) as {
      name: string;
      status: number;
      retryable: boolean;
    };
    expect(page).toContain(`\n| \`${name}\` | ${status} | ${retryable ? "yes" : "no"} |`);
  }
});

it("tells what each problem means", async () => {
  const { url } = await stage();
  const problem = (await (await fetch(`${url}/jobs/none`)).json()) as { type: string };
  const meaning = (await (await fetch(new URL(problem.type, url))).json()) as object;
  expect(meaning).toMatchObject({ name: "unknown-job", status: 404, retryable: false });
  expect((await fetch(`${url}/problems/toString`)).status).toBe(404);
});
