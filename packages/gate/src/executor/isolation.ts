import { execFile } from "node:child_process";
import { randomInt } from "node:crypto";
import { existsSync, lstatSync, readlinkSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * What stands between a build and this machine.
 *
 * - `bubblewrap`: it sees a read-only system and its own folders, no process but its own, and no network unless it may.
 * - `user`: it runs as a user that has nothing else. It reads what everybody may read, and has the network.
 * - `none`: it can do whatever the executor can do.
 */
export type Isolation = "bubblewrap" | "user" | "none";

/** Where a build finds its folders under `bubblewrap`. */
const INSIDE = "/build";
/** System folders a build sees, where there are such. */
const SYSTEM = ["/usr", "/etc", "/opt"];
const SYSTEM_LINKS = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/** In this range no system and no container manager hands out users. */
const FIRST_UID = 2_000_000_000;
const UIDS = 100_000_000;
const PROBE_TIMEOUT_MS = 20_000;

/** Folders of one execution, as the executor sees them. */
export interface Folders {
  readonly root: string;
  /** Written by builds. */
  readonly src: string;
  readonly home: string;
  readonly tmp: string;
  readonly out: string;
  /** Read by builds. */
  readonly executables: string;
  readonly variables: string;
  /** What one entry is given, while it runs. */
  readonly given: string;
  /** `home`, `tmp` and `shm` of entries that trust no other. */
  readonly apart: string;
}

export function foldersIn(root: string): Folders {
  return {
    root,
    src: join(root, "src"),
    home: join(root, "home"),
    tmp: join(root, "tmp"),
    out: join(root, "out"),
    executables: join(root, "executables"),
    variables: join(root, "drover.json"),
    given: join(root, "given"),
    apart: join(root, "apart"),
  };
}

export interface SandboxTerms {
  readonly folders: Folders;
  readonly uid: number | null;
  readonly network: boolean;
  /** Read-only, at the same path: where the workspace's objects are. */
  readonly objectStores: readonly string[];
  /** Below `folders.root`. */
  readonly cwd: string;
  readonly argv: readonly string[];
  /** It has a home and temporary files that other entries do not have. Default: false. */
  readonly isApart?: boolean;
}

export interface SandboxOptions {
  /** Folders that builds see besides the system's, read-only. */
  readonly readOnly: readonly string[];
  /** Files and folders that builds do not see, though what they are in is shown. */
  readonly hidden: readonly string[];
  readonly maxProcesses: number;
  readonly maxFileBytes: number;
}

/** Makes command lines that run something inside of what isolates it. */
export class Sandbox {
  readonly isolation: Isolation;
  readonly #options: SandboxOptions;

  private constructor(isolation: Isolation, options: SandboxOptions) {
    this.isolation = isolation;
    this.#options = options;
  }

  /**
   * The best that works here: each kind is tried before it is relied upon.
   * @param atMost The best that is wanted.
   */
  static async find(folder: string, options: SandboxOptions, atMost: Isolation): Promise<Sandbox> {
    const kinds = (["bubblewrap", "user", "none"] as const).filter(
      (_kind, i, all) => i >= all.indexOf(atMost),
    );
    for (const kind of kinds) {
      if (kind === "user" && !isRoot()) continue;
      const sandbox = new Sandbox(kind, options);
      if (kind === "none") return sandbox;
      const terms = {
        folders: foldersIn(folder),
        uid: sandbox.newUid(),
        network: false,
        objectStores: [],
        cwd: "",
        argv: ["true"],
      };
      try {
        const [program, ...words] = sandbox.command(terms, true);
        await run(program!, words, { timeout: PROBE_TIMEOUT_MS });
        return sandbox;
      } catch {
        // The next kind may work.
      }
    }
    throw new Error("bug: running without isolation always works");
  }

  /** A user for one execution, where users can be had. */
  newUid(): number | null {
    return this.isolation !== "none" && isRoot() ? FIRST_UID + randomInt(UIDS) : null;
  }

  /** A path below the execution's root as the build sees it. */
  inside(folders: Folders, path: string): string {
    return this.isolation === "bubblewrap" ? INSIDE + path.slice(folders.root.length) : path;
  }

  /** @param isProbe Whether none of the execution's folders are there. */
  command(terms: SandboxTerms, isProbe = false): string[] {
    const { maxProcesses, maxFileBytes } = this.#options;
    const limits = ["prlimit", "--core=0", `--fsize=${maxFileBytes}`];
    if (this.isolation === "none") return isProbe ? [...terms.argv] : [...limits, "--", ...terms.argv];
    const user =
      terms.uid === null
        ? []
        : [
            ...["setpriv", `--reuid=${terms.uid}`, `--regid=${terms.uid}`, "--clear-groups"],
            ...["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"],
          ];
    const inner = [...limits, `--nproc=${maxProcesses}`, "--", ...user, ...terms.argv];
    return this.isolation === "user" ? inner : [...this.#bubblewrap(terms, isProbe), ...inner];
  }

  #bubblewrap(terms: SandboxTerms, isProbe: boolean): string[] {
    const { folders, network, objectStores, cwd } = terms;
    const words = [
      ...["bwrap", "--die-with-parent", "--new-session"],
      ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"],
      ...(network ? [] : ["--unshare-net"]),
      ...(isRoot() ? [] : ["--unshare-user"]),
    ];
    for (const path of SYSTEM) words.push("--ro-bind-try", path, path);
    for (const path of SYSTEM_LINKS) {
      if (!existsSync(path)) continue;
      if (lstatSync(path).isSymbolicLink()) words.push("--symlink", readlinkSync(path), path);
      else words.push("--ro-bind", path, path);
    }
    words.push("--proc", "/proc", "--dev", "/dev");
    if (network) words.push(...resolverOf());
    if (!isProbe) {
      const { src, out, executables, variables, given } = folders;
      const [home, tmp] =
        terms.isApart === true ? [join(folders.apart, "home"), folders.apart] : [folders.home, folders.tmp];
      words.push(...openFolders(`${INSIDE}/.`), ...openFolders("/var/."));
      for (const path of [src, out]) words.push("--bind", path, this.inside(folders, path));
      words.push("--bind", home, this.inside(folders, folders.home));
      words.push("--ro-bind-try", given, this.inside(folders, given));
      for (const path of [executables, variables]) words.push("--ro-bind", path, this.inside(folders, path));
      words.push("--bind", join(tmp, "tmp"), "/tmp", "--bind", join(tmp, "shm"), "/dev/shm");
      words.push("--symlink", "/tmp", "/var/tmp", "--ro-bind", join(folders.root, "passwd"), "/etc/passwd");
    }
    // After the build's own folders: what is shown may be below its `/tmp`.
    const { readOnly, hidden } = this.#options;
    for (const path of readOnly) words.push(...openFolders(path), "--ro-bind-try", path, path);
    const shown = [...SYSTEM, ...readOnly];
    const closed = ["/dev", "/"];
    for (const path of hidden) {
      const isShown = shown.some((one) => path === one || path.startsWith(`${one}/`));
      if (!isShown || !existsSync(path)) continue;
      if (lstatSync(path).isDirectory()) {
        words.push("--tmpfs", path);
        closed.unshift(path);
      } else words.push("--ro-bind", "/dev/null", path);
    }
    if (!isProbe) {
      // Last, since they may be below one of those.
      for (const store of objectStores) words.push(...openFolders(store), "--ro-bind", store, store);
      words.push("--chdir", this.inside(folders, cwd));
    }
    // What is writable besides would be memory that nobody counts.
    for (const path of closed) words.push("--remount-ro", path);
    words.push("--");
    return words;
  }

  /** Programs look up who they are. */
  writePasswd(folders: Folders, uid: number | null): void {
    const id = uid ?? process.getuid?.() ?? 0;
    const build = `build:x:${id}:${id}:build:${this.inside(folders, folders.home)}:/bin/sh`;
    writeFileSync(
      join(folders.root, "passwd"),
      `root:x:0:0:root:/root:/bin/sh\n${build}\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n`,
      { mode: 0o644 },
    );
  }
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The folders above a path, which bubblewrap would make for itself alone. */
function openFolders(path: string): string[] {
  const words: string[] = [];
  for (let end = path.indexOf("/", 1); end > 0; end = path.indexOf("/", end + 1))
    words.push("--perms", "0755", "--dir", path.slice(0, end));
  return words;
}

/** Where names are looked up may be told outside of what is shown. */
function resolverOf(): string[] {
  try {
    const path = realpathSync("/etc/resolv.conf");
    return path.startsWith("/etc/") ? [] : ["--ro-bind", path, path];
  } catch {
    return [];
  }
}
