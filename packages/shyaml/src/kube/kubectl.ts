import { spawn } from "node:child_process";
import { ShyamlError } from "../errors.ts";

export interface KubectlOptions {
  /** The program. Default `kubectl`. */
  readonly program?: string;
  /** Flags that every call has, as `--context=staging`. */
  readonly flags?: readonly string[];
  /** How long one call may take, in milliseconds. Default 60,000. */
  readonly timeoutMs?: number;
  /** Largest answer, in bytes. Default 64 MiB. */
  readonly maxOutputBytes?: number;
  /** Takes values that nobody may see out of what kubectl says. */
  readonly redact?: (text: string) => string;
}

export const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** Of what kubectl says on its standard error, that much is read. */
const MAX_COMPLAINT_CHARS = 1024 * 1024;

/** Why the cluster or kubectl did not do what it was asked. `everything` would fail any other object as well. */
export type KubectlFailure = "forbidden" | "kind unknown" | "refused" | "everything";

/** kubectl failed. The text holds no value of a Secret. */
export class KubectlError extends ShyamlError {
  readonly failure: KubectlFailure;
  constructor(failure: KubectlFailure, detail: string, options?: ErrorOptions) {
    super("KUBECTL_FAILED", detail, undefined, options);
    this.failure = failure;
  }
}

/** An object's place in a cluster. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** Empty for the one that kubectl chooses. */
  readonly namespace: string;
}

interface Outcome {
  readonly code: number | null;
  readonly output: string;
  readonly complaint: string;
}

/** Runs kubectl, with nothing but `get -o json` and `apply --dry-run=server -o json`. Objects go in by the standard input. */
export class Kubectl {
  readonly #program: string;
  readonly #flags: readonly string[];
  readonly #timeoutMs: number;
  readonly #maxOutputBytes: number;
  readonly #redact: (text: string) => string;
  /** kubectl before 1.21 shows managed fields always, and does not know the flag that asks for them. */
  #asksForManagedFields = true;

  constructor(options: KubectlOptions = {}) {
    this.#program = options.program ?? "kubectl";
    this.#flags = options.flags ?? [];
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#maxOutputBytes = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
    this.#redact = options.redact ?? ((text) => text);
  }

  /**
   * The object as the cluster has it, as JSON; undefined where it has none.
   * @throws KubectlError
   */
  async get(reference: ObjectReference): Promise<string | undefined> {
    const { kind, name } = reference;
    const asks = this.#asksForManagedFields;
    const args = ["get", resourceOf(reference), name, "-o", "json", "--ignore-not-found"];
    if (asks) args.push("--show-managed-fields");
    const outcome = await this.#run([...args, ...namespaceFlag(reference)]);
    if (asks && outcome.code !== 0 && /unknown flag: --show-managed-fields/.test(outcome.complaint)) {
      this.#asksForManagedFields = false;
      return this.get(reference);
    }
    if (outcome.code !== 0) throw this.#failure(`getting ${kind} ${name}`, outcome);
    return outcome.output.trim() === "" ? undefined : outcome.output;
  }

  /**
   * What the cluster would have after the object was applied, as JSON.
   * @throws KubectlError
   */
  async dryRun(reference: ObjectReference, object: string, isServerSide: boolean): Promise<string> {
    // What validation finds is seen better in what the server makes of the object.
    const args = ["apply", "--dry-run=server", "-o", "json", "--validate=false", "-f", "-"];
    if (isServerSide) args.push("--server-side", "--force-conflicts");
    const outcome = await this.#run([...args, ...namespaceFlag(reference)], object);
    const { kind, name } = reference;
    if (outcome.code !== 0) throw this.#failure(`applying ${kind} ${name} as a dry run`, outcome);
    return outcome.output;
  }

  #run(args: readonly string[], input = ""): Promise<Outcome> {
    const program = this.#program;
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const child = spawn(program, [...args, ...this.#flags], {
      env: { ...process.env, LC_ALL: "C" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const fail = (detail: string, cause?: unknown) => {
      child.kill("SIGKILL");
      reject(new KubectlError("everything", detail, { cause }));
    };
    const timer = setTimeout(
      () => fail(`${program} gave no answer in ${this.#timeoutMs / 1_000} s`),
      this.#timeoutMs,
    );
    const output: Buffer[] = [];
    let bytes = 0;
    let complaint = "";
    child.stdout.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > this.#maxOutputBytes)
        fail(`${program} answered with more than ${this.#maxOutputBytes} bytes`);
      else output.push(chunk);
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      if (complaint.length < MAX_COMPLAINT_CHARS) complaint += chunk;
    });
    // It may end without reading what it is given.
    child.stdin.on("error", () => {}).end(input);
    child.on("error", (error: NodeJS.ErrnoException) => {
      const isMissing = error.code === "ENOENT";
      fail(
        isMissing
          ? `there is no program ${program}: install kubectl, or name it by --kubectl`
          : `${program} could not be run: ${error.message}`,
        error,
      );
    });
    child.on("close", (code, signal) => {
      if (signal !== null) fail(`${program} was ended by ${signal}`);
      resolve({ code, output: Buffer.concat(output).toString(), complaint });
    });
    return promise.finally(() => clearTimeout(timer));
  }

  #failure(what: string, { complaint, code }: Outcome): KubectlError {
    const [failure, reason] = reasonOf(complaint);
    const said = this.#redact(essence(complaint)).trim() || `it ended with ${code} and said nothing`;
    return new KubectlError(failure, `${what}: ${reason === "" ? "" : `${reason}: `}${said}`);
  }
}

/** `Deployment.v1.apps`: the kind of that very group and version, whatever others are called. */
function resourceOf({ apiVersion, kind }: ObjectReference): string {
  const [version, group = ""] = apiVersion.split("/").reverse();
  return `${kind}.${version}.${group}`;
}

function namespaceFlag({ namespace }: ObjectReference): string[] {
  return namespace === "" ? [] : [`--namespace=${namespace}`];
}

const REASONS: readonly (readonly [RegExp, KubectlFailure, string])[] = [
  [/\(Forbidden\)/, "forbidden", "it is forbidden"],
  [
    /\(Unauthorized\)|must be logged in|provide credentials/i,
    "everything",
    "the cluster does not know who asks",
  ],
  [/doesn't have a resource type|no matches for kind/, "kind unknown", "the cluster does not know the kind"],
  [
    /no configuration has been provided|invalid configuration|[Ee]rror loading config|Error in configuration|error: stat |context .*does not exist/,
    "everything",
    "the configuration of kubectl does not do",
  ],
  [/unknown (?:shorthand )?flag/, "everything", "kubectl does not know a flag"],
  [
    /Unable to connect|connection to the server|connection refused|no such host|dial tcp|i\/o timeout|deadline exceeded|TLS handshake/i,
    "everything",
    "the cluster was not reached",
  ],
  [/\(Timeout\)|timed out/, "refused", "the cluster took too long"],
];

function reasonOf(complaint: string): readonly [KubectlFailure, string] {
  const found = REASONS.find(([pattern]) => pattern.test(complaint));
  return found === undefined ? ["refused", ""] : [found[1], found[2]];
}

/**
 * What kubectl says without its warnings, and without the object and the patch that it quotes, in which values are escaped
 * in ways that nobody would find again.
 */
function essence(complaint: string): string {
  const lines = complaint
    .split("\n")
    .filter((line) => line !== "" && !/^(?:Warning:|[IWEF]\d{4} )/.test(line));
  const text = lines.join("\n");
  const quoted = /error when (?:applying patch|creating|retrieving|replacing)/.exec(text);
  const end = text.lastIndexOf('"STDIN": ');
  if (quoted === null || end < 0) return text;
  return text.slice(0, quoted.index) + text.slice(end + '"STDIN": '.length);
}
