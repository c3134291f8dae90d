import { ensure } from "../violation.ts";

/** What the result of a build can depend on, as the world has it. */
export interface BuildInputs {
  readonly project: string;
  readonly job: string;
  readonly command: string;
  /** Of its own project and of those that it requires. */
  readonly trees: Readonly<Record<string, string>>;
  /** By the jobs before it. */
  readonly returned: Readonly<Record<string, unknown>>;
  readonly artifacts: readonly string[];
}

/** A build as it begins. */
export interface BegunBuild {
  readonly build: number;
  readonly inputs: BuildInputs;
  /** `null`: it is run for itself. */
  readonly key: string | null;
  /** Whether anybody else may have what it runs: its job says so, has no secrets, and is not there for what it does. */
  readonly mayShare: boolean;
}

interface Run {
  readonly inputs: string;
  /** Builds that want it. */
  readonly builds: Set<number>;
  result: string | null;
  data: string;
}

/** Says whether builds share what they may share, and nothing else, by what the world knows of them. */
export class ReuseJudge {
  readonly #inputs = new Map<number, string>();
  readonly #keyOf = new Map<string, string>();
  readonly #inputsOf = new Map<string, string>();
  readonly #runs = new Map<string, Run>();
  readonly #running = new Map<string, string>();
  readonly #wanted = new Set<number>();

  begins({ build, inputs, key, mayShare }: BegunBuild): void {
    const told = JSON.stringify(inputs);
    this.#inputs.set(build, told);
    this.#wanted.add(build);
    ensure((key !== null) === mayShare, "reuse", () => {
      return mayShare ? `build ${build} is run for itself` : `build ${build} is not for others to have`;
    });
    if (key === null) return;
    const [knownKey, knownInputs] = [this.#keyOf.get(told) ?? key, this.#inputsOf.get(key) ?? told];
    ensure(knownKey === key, "key", () => `equal inputs have two keys: ${told}`);
    ensure(knownInputs === told, "key", () => `one key is of two inputs:\n${knownInputs}\n${told}`);
    this.#keyOf.set(told, key);
    this.#inputsOf.set(key, told);
  }

  /** Something is really run, for a build at first. */
  runs(execution: string, build: number): void {
    const inputs = this.#inputs.get(build)!;
    const other = this.#running.get(inputs);
    ensure(other === undefined, "twice", () => `${execution} does what ${other} does: ${inputs}`);
    this.#running.set(inputs, execution);
    this.#runs.set(execution, { inputs, builds: new Set(), result: null, data: "" });
  }

  joins(execution: string, build: number): void {
    this.#runs.get(execution)!.builds.add(build);
  }

  ran(execution: string, result: string, data: string): void {
    const run = this.#runs.get(execution)!;
    run.result = result;
    run.data = data;
    this.#running.delete(run.inputs);
  }

  /** Nobody wants it any more, or the process that ran it has ended. */
  aborted(execution: string, isCrash: boolean): void {
    const run = this.#runs.get(execution)!;
    const wanted = [...run.builds].filter((build) => this.#wanted.has(build));
    ensure(
      isCrash || wanted.length === 0,
      "abort",
      () => `${execution} is ended, which builds ${wanted} wait for`,
    );
    this.#running.delete(run.inputs);
  }

  /** Nobody waits for it, until somebody asks again. */
  detached(execution: string): void {
    this.#runs.get(execution)!.builds.clear();
  }

  /** A build is not wanted any more. */
  withdrawn(build: number): void {
    this.#wanted.delete(build);
  }

  /** A build is told to have ended as an execution has. */
  told(build: number, execution: string, result: string, data: string, isReused: boolean): void {
    const run = this.#runs.get(execution);
    ensure(run !== undefined, "reuse", () => `build ${build} has the result of nothing that was run`);
    const inputs = this.#inputs.get(build);
    ensure(
      run.inputs === inputs,
      "reuse",
      () => `build ${build} has what was run on other inputs:\n${run.inputs}\n${inputs}`,
    );
    const isSame = run.result === result && run.data === data;
    ensure(
      isSame,
      "reuse",
      () => `build ${build} is ${result} ${data}, and ${execution} was ${run.result} ${run.data}`,
    );
    ensure(
      !isReused || result === "SUCCESS",
      "failure",
      () => `build ${build} is given an old result, which is ${result}`,
    );
    this.#wanted.delete(build);
  }
}
