import { renameSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { isHoldable, type RunResult } from "../core/index.ts";
import { playbookEnvironment, preparePlaybook, readTold, requireAnsible } from "./ansible.ts";
import { collectArtifacts } from "./artifacts.ts";
import type { BuildLog } from "./build-log.ts";
import {
  type Artifact,
  type BuildOutcome,
  type CheckedRequest,
  DEFAULT_TIMEOUT_MS,
  type Entry,
  ExecutorError,
  entriesOf,
  type FileEntry,
  isPlaybook,
  type JsonObject,
  type Phase,
  type ReturnedData,
  type Step,
  type StepEnd,
} from "./build-request.ts";
import { BuildSecrets, withoutSecrets, writeForBuild } from "./build-secrets.ts";
import { bytesIn, type DiskWatch } from "./disk-watch.ts";
import { environmentOf } from "./environment.ts";
import { type ExecutionRecord, type HeldRecord, isDiskFull, writeRecord } from "./execution-record.ts";
import { FailureOutput } from "./failure-output.ts";
import { forgetShell, type HoldTerms, holdWorkspace } from "./held-workspaces.ts";
import { type Folders, foldersIn, type Sandbox } from "./isolation.ts";
import type { ExecutorLimits } from "./limits.ts";
import { textsOf } from "./masking.ts";
import { failedToPrepare } from "./preparing.ts";
import { endTrail, makeCgroup, markOf, type ProcessTrail } from "./processes.ts";
import { mergeReturned, ReturnedDataInvalid, readReturned, takeReturned } from "./returned-data.ts";
import { describeEnd, RunningStep } from "./steps.ts";
import { handOver, linkSources, makeWorkspace, removeFolder, setApart, type Workspace } from "./workspace.ts";

export interface ExecutionTerms extends HoldTerms {
  readonly id: string;
  readonly request: CheckedRequest;
  /** Log, record and artifacts. */
  readonly folder: string;
  /** What the build sees. */
  readonly work: string;
  readonly log: BuildLog;
  readonly sandbox: Sandbox;
  readonly limits: ExecutorLimits;
  readonly ansiblePlaybook: string;
  readonly sealingKey: Uint8Array | null;
  readonly diskWatch: DiskWatch;
  /** Its output says that it fails, though it goes on. */
  readonly onFailing: (detail: string) => void;
  /** It has run, and goes on when the promise resolves. */
  readonly onPaused: (data: ReturnedData) => Promise<void>;
  /** Who keeps it. */
  readonly executor: string;
  readonly signal: AbortSignal;
}

/** One run of a build: its workspace, its phases, what it returned and what it left. */
export class Execution {
  readonly #terms: ExecutionTerms;
  readonly #folders: Folders;
  readonly #startedMs = Date.now();
  readonly #steps: Step[] = [];
  readonly #uid: number | null;
  readonly #cgroup: string | null;
  #trail: ProcessTrail;
  #returned: JsonObject = {};
  #warnings: string[] = [];
  #running: RunningStep | undefined;
  #workspace: Workspace | undefined;
  #held: HeldRecord | null = null;
  /** Until they are opened there are none. */
  #secrets: BuildSecrets | undefined;
  readonly #failureOutput: FailureOutput;
  /** Why it fails, although it goes on. */
  #failing: string | null = null;
  #endPause: (() => void) | undefined;
  /** Why nothing more is started. */
  #stopped: StepEnd | undefined;

  constructor(terms: ExecutionTerms) {
    this.#terms = terms;
    this.#folders = foldersIn(terms.work);
    this.#failureOutput = new FailureOutput(terms.request.failureOutput, (pattern) => this.#fail(pattern));
    this.#uid = terms.sandbox.newUid();
    this.#cgroup = makeCgroup(`drover-${terms.id}`, terms.limits.maxProcesses);
    this.#trail = {
      mark: null,
      uid: this.#uid,
      cgroup: this.#cgroup,
      environment: `DROVER_EXECUTION=${terms.id}`,
    };
    this.#record(null);
  }

  /** @throws ExecutorError `BUILD_CANCELLED`, when nothing is left of it but its log. */
  async run(): Promise<BuildOutcome> {
    const { signal, log, diskWatch, work, id } = this.#terms;
    const onAbort = () => this.#stop({ kind: "cancelled" });
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    let artifacts: Artifact[] = [];
    let result: RunResult;
    let detail: string | null;
    try {
      [result, detail] = await this.#attempt();
      artifacts = await this.#collect();
      await this.#hold(result);
    } finally {
      signal.removeEventListener("abort", onAbort);
      diskWatch.remove(work);
      await endTrail(this.#trail);
      if (this.#held === null)
        await removeFolder(work).catch((error: Error) => this.#say(`the workspace stays: ${error.message}`));
    }
    const isCancelled = this.#stopped?.kind === "cancelled";
    if (isCancelled && this.#held !== null) await this.#letGo();
    this.#say(
      isCancelled ? "cancelled" : `result: ${nameOf(result)}${detail === null ? "" : ` (${detail})`}`,
    );
    this.#record(Date.now(), artifacts);
    if (isCancelled) throw new ExecutorError("BUILD_CANCELLED", `${this.#terms.request.build} was cancelled`);
    const masked = (text: string) => log.masked(text);
    const data = this.#told();
    return {
      execution: id,
      result,
      detail: detail === null ? null : masked(detail),
      startedMs: this.#startedMs,
      endedMs: Date.now(),
      steps: withoutSecrets(this.#steps, masked),
      data: { ...data, warnings: [...data.warnings, ...this.#warnings.map(masked)] },
      artifacts,
      outputBytes: log.bytes,
      ...(this.#held === null
        ? {}
        : { held: { untilMs: this.#held.untilMs, executor: this.#terms.executor } }),
    };
  }

  async #attempt(): Promise<[RunResult, string | null]> {
    let workspace: Workspace;
    try {
      workspace = await this.#prepare();
    } catch (error) {
      return failedToPrepare(error as Error);
    }
    this.#workspace = workspace;
    return await this.#runPhases(workspace);
  }

  /** Keeps the workspace if somebody wishes to look into it. */
  async #hold(result: RunResult): Promise<void> {
    const workspace = this.#workspace;
    if (workspace === undefined || this.#stopped !== undefined || !isHoldable(result, true)) return;
    const held = await holdWorkspace(
      { ...this.#terms, folders: this.#folders, uid: this.#uid, workspace },
      result,
    );
    if (held === null) return;
    if (typeof held === "string") this.#say(`the workspace is not kept: ${held}`);
    else {
      this.#held = held;
      this.#say(`the workspace is kept until ${new Date(held.untilMs).toISOString()}`);
    }
  }

  /** What was cancelled while it was kept is nobody's to look into. */
  async #letGo(): Promise<void> {
    this.#held = null;
    await forgetShell(this.#terms.folder);
    await removeFolder(this.#terms.work);
  }

  async #prepare(): Promise<Workspace> {
    const { request, sandbox, limits, work, diskWatch } = this.#terms;
    requireAnsible(request, this.#terms.ansiblePlaybook);
    this.#secrets = new BuildSecrets(request, this.#terms.sealingKey);
    this.#terms.log.hide(this.#secrets.texts());
    await mkdir(work, { recursive: true, mode: 0o700 });
    const sharesObjects = sandbox.isolation !== "user";
    const workspace = await makeWorkspace(request, this.#folders, sharesObjects);
    if (entriesOf(request).some(isPlaybook)) await linkSources(this.#folders, (path) => this.#inside(path));
    sandbox.writePasswd(this.#folders, this.#uid);
    await handOver(this.#folders, this.#uid);
    if (!sharesObjects) await setApart(this.#folders, this.#uid, false);
    // Copies of the gate's objects are not the build's doing.
    const copied = sharesObjects ? 0 : ((await bytesIn([work])).get(work) ?? 0);
    diskWatch.add(work, copied + limits.diskBytes, () => this.#stop({ kind: "disk full" }));
    return workspace;
  }

  async #runPhases(workspace: Workspace): Promise<[RunResult, string | null]> {
    const { request, limits, log } = this.#terms;
    const deadlineMs = performance.now() + (request.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const timeLeft = () => deadlineMs - performance.now();
    const preTimeLeft = () => Math.min(timeLeft(), request.preTimeoutMs ?? Number.POSITIVE_INFINITY);
    const failed = (end: StepEnd) => end.kind !== "exited" || end.code !== 0;

    let reachedLevel = Number.POSITIVE_INFINITY;
    let broken = await this.#phase(workspace, "pre-run", request.preRun, preTimeLeft, {});
    const preFailed = broken !== undefined;
    if (broken !== undefined) reachedLevel = Math.max(0, broken.entry.level ?? 0);
    else broken = await this.#phase(workspace, "run", request.run, timeLeft, {});
    await this.#lookAtDisk();
    if (broken === undefined && this.#failing === null) await this.#pause();

    const wantsRetry = readReturned(this.#returned).retry;
    const endsPost = () => this.#stopped !== undefined;
    let postBroken: typeof broken;
    const post = request.postRun.filter((entry) => (entry.level ?? 0) <= reachedLevel);
    log.allow(limits.postOutputBytes);
    for (const [index, entry] of post.entries()) {
      if (endsPost()) break;
      const success = broken === undefined && this.#failing === null;
      const isAgain = (preFailed && !isFlood(broken)) || (isUnreachable(broken) && this.#failing === null);
      const willRetry = isAgain && wantsRetry && request.attempt < request.attempts;
      // Which attempt it is, builds that share an execution do not agree on.
      const told: JsonObject = request.shared
        ? { zuul_success: success }
        : { zuul_success: success, zuul_will_retry: willRetry };
      const timeLimit = () => request.postTimeoutMs ?? DEFAULT_TIMEOUT_MS;
      const end = await this.#step(workspace, { phase: "post-run", index, entry }, timeLimit, told);
      if (failed(end)) postBroken ??= { entry, end, index, phase: "post-run" };
    }
    if (post.length > 0) await this.#lookAtDisk();
    return this.#verdict(preFailed, broken, postBroken);
  }

  #verdict(
    preFailed: boolean,
    broken: Broken | undefined,
    postBroken: Broken | undefined,
  ): [RunResult, string | null] {
    const kind = "final" as const;
    if (this.#stopped?.kind === "disk full")
      return [{ kind, result: "DISK_FULL" }, `it may hold ${this.#terms.limits.diskBytes} bytes on the disk`];
    const say = (one: Broken) => `${one.phase} ${one.index + 1} ${describeEnd(one.end)}`;
    if (broken !== undefined && isFlood(broken)) return [{ kind, result: "FAILURE" }, say(broken)];
    const lost = this.#failing === null ? [broken, postBroken].find(isUnreachable) : undefined;
    if (preFailed || lost !== undefined)
      return [{ kind: "retry", again: readReturned(this.#returned).retry }, say(lost ?? broken!)];
    if (broken?.end.kind === "timeout") return [{ kind, result: "TIMED_OUT" }, say(broken)];
    if (postBroken !== undefined) return [{ kind, result: "POST_FAILURE" }, say(postBroken)];
    if (broken !== undefined) return [{ kind, result: "FAILURE" }, say(broken)];
    return this.#failing === null
      ? [{ kind, result: "SUCCESS" }, null]
      : [{ kind, result: "FAILURE" }, this.#failing];
  }

  /** Runs entries in their order, up to the first that does not succeed, which is the answer. */
  async #phase(
    workspace: Workspace,
    phase: Phase,
    entries: readonly Entry[],
    timeLeft: () => number,
    told: JsonObject,
  ): Promise<Broken | undefined> {
    for (const [index, entry] of entries.entries()) {
      const end = await this.#step(workspace, { phase, index, entry }, timeLeft, told);
      if (end.kind !== "exited" || end.code !== 0) return { entry, end, index, phase };
    }
    return undefined;
  }

  async #step(
    workspace: Workspace,
    place: Place,
    timeLeft: () => number,
    told: JsonObject,
  ): Promise<StepEnd> {
    const { phase, index, entry } = place;
    const begunMs = performance.now();
    const command = "argv" in entry ? entry.argv.join(" ") : `${entry.project}/${entry.path}`;
    const title = `${phase} ${index + 1}`;
    this.#say(`${title}: ${command.slice(0, 1_000)}`);
    let end: StepEnd;
    try {
      const zuul = this.#writeVariables(workspace, told);
      try {
        end = this.#stopped ?? (await this.#execute(workspace, place, timeLeft(), told, zuul));
      } finally {
        await removeFolder(this.#folders.given);
      }
      if (isPlaybook(entry)) end = await this.#endPlaybook(end);
      end = await this.#takeReturned(end);
    } catch (error) {
      end = isDiskFull(error)
        ? { kind: "disk full" }
        : { kind: "unusable", detail: (error as Error).message };
    }
    if (end.kind === "disk full") this.#stopped ??= end;
    const durationMs = Math.round(performance.now() - begunMs);
    this.#steps.push({ phase, index, command: command.slice(0, 1_000), end, durationMs });
    this.#say(`${title} ${this.#describe(end)} after ${(durationMs / 1000).toFixed(1)} s`);
    return end;
  }

  #describe(end: StepEnd): string {
    const { maxOutputBytes, diskBytes } = this.#terms.limits;
    if (end.kind === "output limit")
      return `wrote more than ${maxOutputBytes} bytes of output, and was ended`;
    if (end.kind === "disk full") return `was ended: a build may hold ${diskBytes} bytes on the disk`;
    return describeEnd(end);
  }

  async #execute(
    workspace: Workspace,
    place: Place,
    timeoutMs: number,
    told: JsonObject,
    zuul: JsonObject,
  ): Promise<StepEnd> {
    const { id, request, sandbox, log } = this.#terms;
    const { entry } = place;
    const forPlaybook = isPlaybook(entry);
    const given = this.#secrets?.of(entry);
    const isApart = "path" in entry && entry.trusted && (forPlaybook || given !== undefined);
    const secretsFile = join(this.#folders.given, "secrets.json");
    if (given !== undefined && !forPlaybook)
      await writeForBuild(secretsFile, JSON.stringify(given), this.#uid);
    const cwd = forPlaybook ? this.#folders.root : workspace.sources.get(request.project)!.path;
    const argv = forPlaybook
      ? await this.#playbook(workspace, { ...place, entry }, told, zuul)
      : "argv" in entry
        ? entry.argv
        : [this.#inside(workspace.executables.get(entry)!)];
    const terms = {
      folders: this.#folders,
      uid: this.#uid,
      network: request.network,
      objectStores: workspace.objectStores,
      cwd,
      argv,
      isApart,
    };
    const { phase } = place;
    const isClosed = isApart && sandbox.isolation === "user";
    if (isClosed) await setApart(this.#folders, this.#uid, true);
    this.#running = new RunningStep({
      failureOutput: phase === "run" ? this.#failureOutput : null,
      command: sandbox.command(terms),
      env: {
        ...environmentOf({
          ...{ id, request, folders: this.#folders, isolation: sandbox.isolation, phase, told },
          inside: (path) => this.#inside(path),
        }),
        ...(forPlaybook ? playbookEnvironment(this.#folders, (path) => this.#inside(path)) : {}),
        ...(isApart ? this.#apart() : {}),
        ...(given !== undefined && !forPlaybook ? { DROVER_SECRETS: this.#inside(secretsFile) } : {}),
      },
      cwd: sandbox.isolation === "bubblewrap" ? this.#folders.root : cwd,
      cgroup: this.#cgroup,
      timeoutMs,
      log,
      started: (pid) => {
        this.#trail = { ...this.#trail, mark: markOf(pid) };
        this.#record(null);
      },
      cleanUp: () => this.#endProcesses(),
    });
    try {
      return await this.#running.ended;
    } finally {
      this.#running = undefined;
      if (isClosed) await setApart(this.#folders, this.#uid, false);
    }
  }

  #playbook(
    workspace: Workspace,
    place: Place & { readonly entry: FileEntry },
    told: JsonObject,
    zuul: JsonObject,
  ): Promise<string[]> {
    const { request, ansiblePlaybook } = this.#terms;
    const { entry } = place;
    return preparePlaybook({
      ...place,
      request,
      folders: this.#folders,
      uid: this.#uid,
      program: ansiblePlaybook,
      playbook: workspace.executables.get(entry)!,
      roles: workspace.roles.get(entry) ?? [],
      zuul,
      told,
      secrets: this.#secrets?.of(entry) ?? {},
      inside: (path) => this.#inside(path),
      home: entry.trusted ? this.#apart().HOME : this.#inside(this.#folders.home),
    });
  }

  /** Home and temporary files that no other entry can have written. Under bubblewrap they stand where those of others do. */
  #apart(): { HOME: string; TMPDIR: string } {
    const { apart, home } = this.#folders;
    return this.#terms.sandbox.isolation === "bubblewrap"
      ? { HOME: this.#inside(home), TMPDIR: "/tmp" }
      : { HOME: join(apart, "home"), TMPDIR: join(apart, "tmp") };
  }

  async #endPlaybook(end: StepEnd): Promise<StepEnd> {
    try {
      const { data, secretData, unreachable, withoutHosts } = await readTold(this.#folders);
      const secret = secretData.reduce(mergeReturned, {});
      this.#terms.log.hide(textsOf(secret));
      this.#secrets?.keep(secret);
      for (const more of data) this.#returned = mergeReturned(this.#returned, more);
      for (const play of withoutHosts) {
        const node = "a job has those of its nodeset, and localhost besides";
        this.#warnings.push(`the play ${JSON.stringify(play)} matched no host and did nothing: ${node}`);
      }
      const [host] = unreachable;
      return end.kind === "exited" && host !== undefined ? { kind: "unreachable", host } : end;
    } catch (error) {
      return this.#unreadable(end, error);
    }
  }

  /** Under bubblewrap everything has ended with the first process, so that there is nothing to look for. */
  async #endProcesses(): Promise<void> {
    if (this.#terms.sandbox.isolation === "bubblewrap") return;
    const cgroup = this.#cgroup;
    await endTrail({ ...this.#trail, cgroup: null });
    this.#trail = { ...this.#trail, cgroup };
  }

  async #takeReturned(end: StepEnd): Promise<StepEnd> {
    try {
      const more = await takeReturned(join(this.#folders.out, "result.json"));
      if (more !== undefined) this.#returned = mergeReturned(this.#returned, more);
      return end;
    } catch (error) {
      return this.#unreadable(end, error);
    }
  }

  #unreadable(end: StepEnd, error: unknown): StepEnd {
    if (!(error instanceof ReturnedDataInvalid)) throw error;
    const isFirst = end.kind === "exited" && end.code === 0;
    if (!isFirst) this.#say(error.message);
    return isFirst ? { kind: "unusable", detail: `failed: ${error.message}` } : end;
  }

  async #collect(): Promise<Artifact[]> {
    const { folder, limits } = this.#terms;
    const from = join(this.#folders.out, "artifacts");
    try {
      const { kept, problems } = await collectArtifacts(from, join(folder, "artifacts"), limits);
      for (const problem of problems) this.#say(problem);
      this.#warnings.push(...problems);
      return kept;
    } catch (error) {
      const problem = `artifacts were not kept: ${(error as Error).message}`;
      this.#say(problem);
      this.#warnings.push(problem);
      return [];
    }
  }

  async #lookAtDisk(): Promise<void> {
    const { work, limits, sandbox } = this.#terms;
    if (this.#stopped !== undefined || sandbox.isolation === "user") return;
    const bytes = (await bytesIn([work])).get(work) ?? 0;
    if (bytes > limits.diskBytes) this.#stopped ??= { kind: "disk full" };
  }

  /** Stays as it is, if it has asked for that, until somebody lets it go on or ends it. */
  async #pause(): Promise<void> {
    const data = this.#told();
    if (!data.pause || this.#stopped !== undefined) return;
    this.#say("paused until the jobs that depend on it have ended");
    await new Promise<void>((resolve) => {
      this.#endPause = resolve;
      this.#terms.onPaused(data).then(resolve, resolve);
    });
    this.#endPause = undefined;
    if (this.#stopped === undefined) this.#say("goes on");
  }

  /** What was returned, as everybody may see it: what is for files of later jobs alone is sealed. */
  #told(): ReturnedData {
    const data = withoutSecrets(readReturned(this.#returned), (text) => this.#terms.log.masked(text));
    const sealed = this.#secrets?.sealed();
    return sealed === undefined ? data : { ...data, sealed };
  }

  #fail(pattern: string): void {
    this.#failing = `its output matched failure-output ${JSON.stringify(pattern)}`;
    this.#say(this.#failing);
    this.#terms.onFailing(this.#failing);
  }

  #stop(reason: StepEnd): void {
    this.#stopped ??= reason;
    this.#running?.stop(reason);
    this.#endPause?.();
  }

  #inside(path: string): string {
    return this.#terms.sandbox.inside(this.#folders, path);
  }

  /** @returns The variables `zuul.*`. */
  #writeVariables(workspace: Workspace, told: JsonObject): JsonObject {
    const { request } = this.#terms;
    const projects = Object.fromEntries(
      request.repositories.flatMap(({ project, checkout, required, history, branches, mounted }) => {
        if (!mounted) return [];
        const { path, commit } = workspace.sources.get(project)!;
        const names = { name: project, short_name: basename(project), canonical_name: project };
        const src_dir = path.slice(this.#folders.root.length + 1);
        // The commit that it was taken from would tell of its history.
        const shown = history || Object.hasOwn(branches, checkout) ? checkout : commit;
        return [[project, { ...names, src_dir, checkout: shown, commit, required }] as const];
      }),
    );
    const zuul = {
      ...request.zuul,
      job: request.job,
      ...(request.shared
        ? {}
        : { build: request.build, attempts: request.attempt, max_attempts: request.attempts }),
      project: projects[request.project]!,
      projects,
      executor: {
        work_root: this.#inside(this.#folders.root),
        src_root: this.#inside(this.#folders.src),
        log_root: this.#inside(join(this.#folders.out, "artifacts")),
        result_data_file: this.#inside(join(this.#folders.out, "result.json")),
      },
    };
    const variables = { ...request.vars, ...told, zuul };
    // A build that has it open, from the entry before, keeps what it has.
    const path = this.#folders.variables;
    writeFileSync(`${path}.new`, JSON.stringify(variables, null, 2), { mode: 0o644 });
    renameSync(`${path}.new`, path);
    return zuul;
  }

  /** A line of the executor's own. That the log's disk is full must not keep it from ending what it began. */
  #say(text: string): void {
    try {
      this.#terms.log.line(text);
    } catch {
      this.#stopped ??= { kind: "disk full" };
    }
  }

  #record(endedMs: number | null, artifacts: readonly Artifact[] = []): void {
    const { request, folder, work, log } = this.#terms;
    const record: ExecutionRecord = {
      build: request.build,
      job: request.job,
      startedMs: this.#startedMs,
      endedMs,
      bytes: log.bytes + artifacts.reduce((sum, { bytes }) => sum + bytes, 0),
      trail: this.#trail,
      work,
      ...(this.#held === null ? {} : { held: this.#held }),
    };
    writeRecord(folder, record);
  }
}

interface Place {
  readonly phase: Phase;
  readonly index: number;
  readonly entry: Entry;
}

/** An entry that did not succeed. */
interface Broken extends Place {
  readonly end: StepEnd;
}

const isUnreachable = (broken: Broken | undefined): boolean => broken?.end.kind === "unreachable";
const isFlood = (broken: Broken | undefined): boolean => broken?.end.kind === "output limit";

function nameOf(result: RunResult): string {
  return result.kind === "final" ? result.result : result.kind;
}
