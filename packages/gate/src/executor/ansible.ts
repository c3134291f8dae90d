import { accessSync, constants } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { PLUGINS } from "./ansible-plugins.ts";
import { type AnsibleValue, ansibleYaml, Unsafe } from "./ansible-yaml.ts";
import {
  type CheckedRequest,
  entriesOf,
  type FileEntry,
  isPlaybook,
  type JsonObject,
  type JsonValue,
  type Phase,
} from "./build-request.ts";
import { writeForBuild } from "./build-secrets.ts";
import type { Folders } from "./isolation.ts";
import { ReturnedDataInvalid, takeText } from "./returned-data.ts";
import { WorkspaceImpossible } from "./workspace.ts";

/** Where programs of builds are looked up. */
export const PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** @throws WorkspaceImpossible which says what to install, when there are playbooks and nothing to run them with. */
export function requireAnsible(request: CheckedRequest, program: string): void {
  const playbook = entriesOf(request).find(isPlaybook);
  if (playbook === undefined) return;
  const places = isAbsolute(program)
    ? [program]
    : PROGRAM_PATH.split(":").map((folder) => join(folder, program));
  const isThere = places.some((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (isThere) return;
  throw new WorkspaceImpossible(
    `${playbook.path} is an Ansible playbook, and there is no ${program} where builds run; install Debian's package ansible-core there`,
  );
}

export interface PlaybookTerms {
  readonly request: CheckedRequest;
  readonly folders: Folders;
  /** Of the build, which reads what is written for it. */
  readonly uid: number | null;
  readonly program: string;
  readonly phase: Phase;
  readonly index: number;
  readonly entry: FileEntry;
  readonly playbook: string;
  /** Folders of roles, the nearest first. */
  readonly roles: readonly string[];
  readonly zuul: JsonObject;
  readonly told: JsonObject;
  readonly secrets: JsonObject;
  /** How the build sees a path. */
  readonly inside: (path: string) => string;
  /** As the build sees it. */
  readonly home: string;
}

/**
 * Writes what ansible-playbook is to know of one playbook. It is there for as long as the playbook runs.
 * @returns Its command line.
 */
export async function preparePlaybook(terms: PlaybookTerms): Promise<string[]> {
  const { folders, uid, inside, program, playbook } = terms;
  const folder = folders.given;
  await rm(folder, { recursive: true, force: true });
  // An entry before it may have made it a link.
  await rm(toldFile(folders), { recursive: true, force: true });
  for (const [path, text] of Object.entries(PLUGINS)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const { inventory } = terms.request;
  const files: [string, string][] = [
    ["ansible.cfg", configOf(terms)],
    ["inventory.yaml", ansibleYaml(inventoryOf(terms))],
    ["secrets.yaml", ansibleYaml(new Unsafe(terms.secrets))],
    ["extra-vars.yaml", ansibleYaml(variablesOf(inventory.extraVars, terms))],
    ["told.yaml", ansibleYaml(new Unsafe(toldOf(terms)))],
  ];
  const words = [program];
  for (const [name, text] of files) {
    const path = join(folder, name);
    await writeForBuild(path, text, uid);
    // The last one counts most.
    if (name === "inventory.yaml") words.push("-i", inside(path));
    else if (name !== "ansible.cfg") words.push("-e", `@${inside(path)}`);
  }
  return [...words, inside(playbook)];
}

/** Variables of the environment of ansible-playbook. */
export function playbookEnvironment(
  folders: Folders,
  inside: (path: string) => string,
): Record<string, string> {
  return {
    ANSIBLE_CONFIG: inside(join(folders.given, "ansible.cfg")),
    DROVER_TOLD: inside(toldFile(folders)),
    PYTHONDONTWRITEBYTECODE: "1",
  };
}

function toldFile(folders: Folders): string {
  return join(folders.out, "told");
}

function configOf({ folders, roles, inside, home }: PlaybookTerms): string {
  const plugins = (kind: string) => inside(join(folders.given, kind));
  return `[defaults]
action_plugins = ${plugins("action")}
callback_plugins = ${plugins("callback")}
connection_plugins = ${plugins("connection")}
roles_path = ${roles.map(inside).join(":")}
stdout_callback = drover
local_tmp = ${home}/.ansible/tmp
remote_tmp = ${home}/.ansible/tmp
gathering = smart
fact_caching = jsonfile
fact_caching_connection = ${home}/.ansible/facts
fact_caching_timeout = 0
interpreter_python = auto_silent
internal_poll_interval = 0.01
retry_files_enabled = False
deprecation_warnings = False
localhost_warning = False
inventory_unparsed_warning = False
nocows = True
bin_ansible_callbacks = False
`;
}

/**
 * Variables for a playbook. To a trusted one, which may have secrets and would run whatever a template says, those that others
 * than config-projects have set are text, and how Ansible works is not theirs to say.
 */
function variablesOf(
  vars: JsonObject,
  { entry, request }: Pick<PlaybookTerms, "entry" | "request">,
): Record<string, AnsibleValue> {
  if (!entry.trusted) return vars;
  const untrusted = new Set(request.inventory.untrusted);
  return Object.fromEntries(
    Object.entries(vars).flatMap(([name, value]): [string, AnsibleValue][] => {
      if (!untrusted.has(name)) return [[name, value]];
      return isAnsiblesOwn(name) ? [] : [[name, new Unsafe(value)]];
    }),
  );
}

function isAnsiblesOwn(name: string): boolean {
  return name.startsWith("ansible_");
}

function inventoryOf(terms: PlaybookTerms): AnsibleValue {
  const { entry, request, zuul } = terms;
  const { nodes, groups, vars, returned, hostVars, groupVars } = request.inventory;
  const of = (more: JsonObject | undefined) => variablesOf(more ?? {}, terms);
  const hosts = nodes.map(({ name, label }) => [
    name,
    {
      ansible_connection: "drover",
      ansible_host: "127.0.0.1",
      ansible_python_interpreter: "{{ ansible_playbook_python }}",
      nodepool: { label: new Unsafe(label) },
      ...of(hostVars[name]),
    },
  ]);
  const children = groups.map(({ name, nodes: members }) => [
    name,
    { hosts: Object.fromEntries(members.map((member) => [member, null])), vars: of(groupVars[name]) },
  ]);
  const unsafe = Object.entries(returned)
    .filter(([name]) => !entry.trusted || !isAnsiblesOwn(name))
    .map(([name, value]) => [name, new Unsafe(value)]);
  return {
    all: {
      hosts: Object.fromEntries(hosts),
      children: Object.fromEntries(children),
      vars: {
        ...(Object.fromEntries(unsafe) as Record<string, Unsafe>),
        ...of(vars),
        ...of(groupVars.all),
        zuul: new Unsafe(zuul),
      },
    },
  };
}

function toldOf({ phase, index, entry, request, told }: PlaybookTerms): JsonObject {
  return {
    // Playbooks of Zuul's read it. Builds that share an execution are not at the same attempt, so that each is as the last one.
    ...(phase === "post-run" && request.shared ? { zuul_will_retry: false } : {}),
    ...told,
    zuul_execution_phase: phase === "pre-run" ? "pre" : phase === "post-run" ? "post" : "run",
    zuul_execution_phase_index: String(index),
    zuul_execution_trusted: entry.trusted,
    zuul_execution_canonical_name_and_path: `${entry.project}/${entry.path}`,
  };
}

/** What a playbook has told while it ran. */
export interface Told {
  /** Data that it returned, in the order in which it did. */
  readonly data: readonly JsonObject[];
  readonly secretData: readonly JsonObject[];
  readonly unreachable: readonly string[];
  /** Names of plays for which there were no hosts. */
  readonly withoutHosts: readonly string[];
}

/**
 * Takes what a playbook has told.
 * @throws ReturnedDataInvalid
 */
export async function readTold(folders: Folders): Promise<Told> {
  const told = { data: [], secretData: [], unreachable: [], withoutHosts: [] } as {
    data: JsonObject[];
    secretData: JsonObject[];
    unreachable: string[];
    withoutHosts: string[];
  };
  const text = await takeText(toldFile(folders), "what zuul_return returned");
  for (const line of text?.split("\n") ?? []) {
    if (line.trim() === "") continue;
    let fact: JsonValue;
    try {
      fact = JSON.parse(line) as JsonValue;
    } catch (error) {
      throw new ReturnedDataInvalid(`what zuul_return returned is not JSON: ${(error as Error).message}`);
    }
    if (typeof fact !== "object" || fact === null || Array.isArray(fact)) continue;
    const { data, secret_data: secret, unreachable, no_hosts: withoutHosts } = fact;
    if (isMap(data)) told.data.push(data);
    if (isMap(secret)) told.secretData.push(secret);
    if (typeof unreachable === "string") told.unreachable.push(unreachable);
    if (typeof withoutHosts === "string") told.withoutHosts.push(withoutHosts);
  }
  return told;
}

function isMap(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
