import { execFile } from "node:child_process";
import { existsSync, lstatSync } from "node:fs";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { GitError, git, gitLine } from "../git/git.ts";
import { type CheckedRequest, type Entry, isPlaybook, type RepositoryState } from "./build-request.ts";
import type { Folders } from "./isolation.ts";

const run = promisify(execFile);

/** What the request asks for is not there, and will not be the next time. */
export class WorkspaceImpossible extends Error {
  override readonly name = "WorkspaceImpossible";
}

export interface Workspace {
  /** Of each project, below the root. */
  readonly sources: ReadonlyMap<string, { readonly path: string; readonly commit: string }>;
  /** Of each entry that is an executable, below the root. */
  readonly executables: ReadonlyMap<Entry, string>;
  /** Of each entry that is a playbook, folders of roles below the root, the nearest first. */
  readonly roles: ReadonlyMap<Entry, readonly string[]>;
  readonly objectStores: readonly string[];
}

/**
 * Makes what a build works on. Repositories share the objects of the gate's, so that a workspace costs what is checked out.
 * @param sharesObjects Whether builds can read the gate's repositories; else objects are copied:
 *   links would become the build's own.
 * @throws WorkspaceImpossible, GitError
 */
export async function makeWorkspace(
  request: CheckedRequest,
  folders: Folders,
  sharesObjects: boolean,
): Promise<Workspace> {
  await Promise.all([
    mkdir(folders.src, { recursive: true }),
    mkdir(folders.home, { recursive: true }),
    mkdir(folders.executables, { recursive: true }),
    mkdir(join(folders.out, "artifacts"), { recursive: true }),
    mkdir(join(folders.tmp, "tmp"), { recursive: true }),
    mkdir(join(folders.tmp, "shm"), { recursive: true }),
    mkdir(join(folders.apart, "home"), { recursive: true }),
    mkdir(join(folders.apart, "tmp"), { recursive: true }),
    mkdir(join(folders.apart, "shm"), { recursive: true }),
  ]);
  const sources = new Map<string, { path: string; commit: string }>();
  const taken = new Set<string>();
  const mounted = request.repositories.filter((state) => state.mounted);
  for (const { project } of mounted) {
    const path = join(folders.src, folderOf(project, request.workspaceScheme));
    for (const other of taken) {
      if (path === other || path.startsWith(`${other}/`) || other.startsWith(`${path}/`))
        throw new WorkspaceImpossible(`two projects would be in ${path.slice(folders.root.length + 1)}`);
    }
    taken.add(path);
    sources.set(project, { path, commit: "" });
  }
  await Promise.all(
    mounted.map(async (state) => {
      const source = sources.get(state.project)!;
      source.commit = await checkOut(state, source.path, sharesObjects, request.checksOut);
    }),
  );
  const { executables, roles } = await exportExecutables(request, folders);
  const objectStores = mounted.map(({ repository }) => join(repository, "objects"));
  return { sources, executables, roles, objectStores };
}

function folderOf(project: string, scheme: CheckedRequest["workspaceScheme"]): string {
  if (scheme === "golang") return project;
  return scheme === "flat" ? basename(project) : encodeURIComponent(project);
}

/** A clone as `git clone` would make it, of which git itself need only write the files. @returns The commit. */
async function checkOut(
  state: RepositoryState,
  path: string,
  sharesObjects: boolean,
  withFiles: boolean,
): Promise<string> {
  const { project, repository, branches, before, checkout, history } = state;
  const store = join(repository, "objects");
  if (!existsSync(store)) throw new WorkspaceImpossible(`the repository of ${project} is not there`);
  const tags = history ? await tagsOf(repository) : new Map<string, string>();
  const branch = Object.hasOwn(branches, checkout) ? checkout : undefined;
  const commit =
    (branch === undefined ? tags.get(`refs/tags/${checkout}`) : branches[branch]) ??
    (/^[0-9a-f]{40,64}$/.test(checkout) ? checkout : undefined);
  if (commit === undefined)
    throw new WorkspaceImpossible(`${project} has neither a branch nor a tag ${JSON.stringify(checkout)}`);
  const gitDir = join(path, ".git");
  await mkdir(join(gitDir, "objects", "info"), { recursive: true });
  await Promise.all([
    mkdir(join(gitDir, "objects", "pack")),
    mkdir(join(gitDir, "refs", "heads"), { recursive: true }),
    mkdir(join(gitDir, "info")),
    mkdir(join(gitDir, "hooks")),
  ]);
  const isSha256 = commit.length === 64;
  await Promise.all([
    writeFile(join(gitDir, "HEAD"), `${commit}\n`),
    writeFile(join(gitDir, "config"), configOf(isSha256)),
    sharesObjects
      ? writeFile(join(gitDir, "objects", "info", "alternates"), `${store}\n`)
      : run("cp", ["-r", "--reflink=auto", "--", `${store}/.`, join(gitDir, "objects")]),
  ]);
  const refs = new Map(tags);
  try {
    const head = history ? commit : await commitAlone(gitDir, commit);
    for (const [name, tip] of Object.entries(branches)) {
      refs.set(`refs/heads/${name}`, history ? tip : head);
      if (history) refs.set(`refs/remotes/origin/${name}`, tip);
    }
    for (const [name, tip] of Object.entries(before)) refs.set(`refs/remotes/origin/${name}`, tip);
    await Promise.all([
      writeFile(
        join(gitDir, "packed-refs"),
        `# pack-refs with: sorted \n${[...refs]
          .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
          .map(([name, tip]) => `${tip} ${name}\n`)
          .join("")}`,
      ),
      writeFile(join(gitDir, "HEAD"), branch === undefined ? `${head}\n` : `ref: refs/heads/${branch}\n`),
    ]);
    if (withFiles) await git(["read-tree", "--reset", "-u", head], { gitDir, cwd: path });
    else await git(["cat-file", "-e", `${head}^{tree}`], { gitDir });
    return head;
  } catch (error) {
    if (
      error instanceof GitError &&
      error.code === "GIT_FAILED" &&
      /not a tree|bad object|unpack|not a valid object/i.test(error.stderr)
    )
      throw new WorkspaceImpossible(`${project} does not have the commit ${commit}`);
    throw error;
  }
}

/** Commits of states without a history are of this instant, which every archive format can hold. */
const ALONE_DATE = "946684800 +0000";
const ALONE = {
  GIT_AUTHOR_NAME: "Drover",
  GIT_AUTHOR_EMAIL: "drover@localhost",
  GIT_AUTHOR_DATE: ALONE_DATE,
  GIT_COMMITTER_NAME: "Drover",
  GIT_COMMITTER_EMAIL: "drover@localhost",
  GIT_COMMITTER_DATE: ALONE_DATE,
};

/** A commit of the tree of another one, without parents: equal trees give equal commits. */
function commitAlone(gitDir: string, commit: string): Promise<string> {
  return gitLine(["commit-tree", `${commit}^{tree}`, "-m", "The state under test"], { gitDir, env: ALONE });
}

async function tagsOf(repository: string): Promise<Map<string, string>> {
  const { stdout } = await git(["for-each-ref", "--format=%(objectname) %(refname)", "refs/tags"], {
    gitDir: repository,
  });
  const lines = stdout.toString().split("\n").filter(Boolean);
  return new Map(lines.map((line) => [line.slice(line.indexOf(" ") + 1), line.slice(0, line.indexOf(" "))]));
}

/** The origin leads nowhere: what a job fetches there would be another state than the one that is tested. */
function configOf(isSha256: boolean): string {
  return `[core]
	repositoryformatversion = ${isSha256 ? 1 : 0}
	filemode = true
	bare = false
	logallrefupdates = true
${isSha256 ? "[extensions]\n\tobjectformat = sha256\n" : ""}[remote "origin"]
	url = file:///dev/null
	fetch = +refs/heads/*:refs/remotes/origin/*
[user]
	name = Drover
	email = drover@localhost
[gc]
	auto = 0
`;
}

/** Writes the trees that entries and roles come from, each once, where builds cannot change them. */
async function exportExecutables(
  request: CheckedRequest,
  folders: Folders,
): Promise<Pick<Workspace, "executables" | "roles">> {
  const trees = new Map<string, string>();
  const executables = new Map<Entry, string>();
  const roles = new Map<Entry, readonly string[]>();
  const treeOf = async (project: string, commit: string): Promise<string> => {
    const { repository } = request.repositories.find((one) => one.project === project)!;
    const key = `${commit} ${project}`;
    let tree = trees.get(key);
    if (tree === undefined) {
      tree = join(folders.executables, String(trees.size));
      trees.set(key, tree);
      await exportTree(project, repository, commit, tree);
    }
    return tree;
  };
  for (const entry of [...request.preRun, ...request.run, ...request.postRun]) {
    if (!("project" in entry)) continue;
    const { project, commit, path } = entry;
    const file = join(await treeOf(project, commit), path);
    const facts = lstatSync(file, { throwIfNoEntry: false });
    const isFit = facts?.isFile() === true && (isPlaybook(entry) || (facts.mode & 0o111) !== 0);
    if (!isFit) {
      const wanted = isPlaybook(entry) ? "is no file" : "is no executable file";
      const what = facts === undefined ? "is not there" : wanted;
      throw new WorkspaceImpossible(`${path} of ${project} at ${commit.slice(0, 12)} ${what}`);
    }
    executables.set(entry, file);
    const found: string[] = [];
    for (const role of isPlaybook(entry) ? entry.roles : []) {
      const at = await rolesIn(await treeOf(role.project, role.commit), role.name, folders);
      if (at !== undefined) found.push(at);
      else if (!role.implicit)
        throw new WorkspaceImpossible(
          `${role.project} at ${role.commit.slice(0, 12)} has no roles: neither a folder roles, nor tasks of one`,
        );
    }
    roles.set(entry, [...new Set(found)]);
  }
  return { executables, roles };
}

/**
 * Where Ansible is to look for the roles of a repository: its `roles`, or, when it is one role, a folder in which it has that
 * role's name.
 */
async function rolesIn(tree: string, name: string, folders: Folders): Promise<string | undefined> {
  const isFolder = (path: string) =>
    lstatSync(join(tree, path), { throwIfNoEntry: false })?.isDirectory() === true;
  if (isFolder("tasks")) {
    const alone = join(folders.executables, `role-${basename(tree)}-${encodeURIComponent(name)}`);
    const link = join(alone, name);
    await mkdir(dirname(link), { recursive: true });
    if (!existsSync(link)) await symlink(relative(dirname(link), tree), link);
    return alone;
  }
  return isFolder("roles") ? join(tree, "roles") : undefined;
}

async function exportTree(project: string, repository: string, commit: string, into: string): Promise<void> {
  await mkdir(into);
  // The index of its own is not the build's to see.
  const env = { GIT_INDEX_FILE: `${into}.index` };
  try {
    await git(["--work-tree=.", "read-tree", "--reset", "-u", commit], {
      gitDir: repository,
      cwd: into,
      env,
    });
  } catch (error) {
    if (error instanceof GitError && error.code === "GIT_FAILED")
      throw new WorkspaceImpossible(`${project} does not have the commit ${commit}`);
    throw error;
  }
}

/** A node of Zuul's has the sources below its home, where playbooks look for them. */
export async function linkSources(folders: Folders, inside: (path: string) => string): Promise<void> {
  for (const home of [folders.home, join(folders.apart, "home")])
    await symlink(inside(folders.src), join(home, "src"));
}

/** Gives to a build what is its own. */
export async function handOver(folders: Folders, uid: number | null): Promise<void> {
  if (uid === null) return;
  await chmod(folders.root, 0o755);
  const own = [folders.src, folders.home, folders.tmp, folders.out, folders.apart];
  await run("chown", ["-R", "-h", `${uid}:${uid}`, "--", ...own]);
}

/** Closes what is apart to all entries, or opens it to the one that runs: without bubblewrap they are one user. */
export async function setApart(folders: Folders, uid: number | null, isOpen: boolean): Promise<void> {
  if (uid === null) return;
  const owner = isOpen ? uid : process.getuid!();
  await run("chown", ["-h", `${owner}:${owner}`, "--", folders.apart]);
  await chmod(folders.apart, 0o700);
}

/** Removes a folder, whatever a build has made of it: deep, closed or large. */
export async function removeFolder(path: string): Promise<void> {
  if (!existsSync(path)) return;
  await run("rm", ["-rf", "--one-file-system", "--", path]).catch(async () => {
    await run("chmod", ["-R", "u+rwX", "--", path]).catch(() => {});
    await run("rm", ["-rf", "--one-file-system", "--", path]);
  });
}
