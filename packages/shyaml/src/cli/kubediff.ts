import { Command, InvalidArgumentError, Option } from "commander";
import { type Subject, subjectsOf } from "../diff/documents.ts";
import { loadDocuments } from "../document/load.ts";
import { ShyamlError } from "../errors.ts";
import { ignoreNotes, ignoring, readIgnoreRules } from "../kube/ignore.ts";
import { DEFAULT_CONCURRENCY, type KubeDiff, type KubeMode, kubeDiff } from "../kube/kube-diff.ts";
import { DEFAULT_TIMEOUT_MS, Kubectl } from "../kube/kubectl.ts";
import { Secrets } from "../kube/redact.ts";
import { readSchemas } from "./diff.ts";
import { readInput } from "./input.ts";
import { EXIT, reportText } from "./output.ts";
import { addReportFlags, FORMATS, readSettings } from "./settings.ts";

interface KubeFlags {
  readonly server?: boolean;
  readonly live?: boolean;
  readonly lastApplied?: boolean;
  readonly threeWay?: boolean;
  readonly subset?: boolean;
  readonly serverSide?: boolean;
  readonly concurrency: number;
  readonly timeout: number;
  readonly kubectl: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly cluster?: string;
  readonly user?: string;
  readonly as?: string;
  readonly kubectlFlag?: readonly string[];
}

/** `shyaml kubediff [FILE…]` */
export function kubediffCommand(): Command {
  const command = addReportFlags(
    new Command("kubediff")
      .description(
        "Compare Kubernetes manifests with the cluster: what would change if they were applied. Runs kubectl, and changes nothing.",
      )
      .argument("[file...]", "files and directories; - or none is the standard input")
      .addOption(
        new Option("--server", "compare with what the cluster would make of them, by a dry run").conflicts([
          "live",
          "lastApplied",
        ]),
      )
      .addOption(
        new Option("--live", "compare with what the cluster has; needs no right to write").conflicts([
          "lastApplied",
        ]),
      )
      .option("--last-applied", "compare with what kubectl remembers as applied last")
      .option("--three-way", "say of each difference who made it: you, the cluster, both, or a default")
      .option("--subset", "with --live: only what the manifests say counts")
      .option("--server-side", "dry runs are of server-side apply")
      .option("--concurrency <n>", "kubectls that run at a time", positive, DEFAULT_CONCURRENCY)
      .option("--timeout <seconds>", "of one kubectl", positive, DEFAULT_TIMEOUT_MS / 1_000)
      .option("--kubectl <program>", "the kubectl to run", "kubectl")
      .option("--context <name>", "as kubectl has it")
      .option("-n, --namespace <name>", "for manifests that name none")
      .option("--kubeconfig <file>", "as kubectl has it")
      .option("--cluster <name>", "as kubectl has it")
      .option("--user <name>", "as kubectl has it")
      .option("--as <user>", "as kubectl has it")
      .option(
        "--kubectl-flag <flag>",
        "any other flag for kubectl; may be repeated",
        (flag: string, known: string[] = []) => [...known, flag],
      ),
    FORMATS.filter((format) => format !== "json-patch"),
  );
  return command.action(async (args: string[], flags: KubeFlags) => {
    const settings = readSettings(flags);
    if (settings.output === "json-patch")
      throw new ShyamlError("SETTING_INVALID", "json-patch is of diff alone");
    const rules = settings.ignore === undefined ? [] : readIgnoreRules(settings.ignore);
    const subjects = (args.length === 0 ? ["-"] : args).flatMap((argument): Subject[] => {
      const { files, isDirectory } = readInput(argument, settings.limits);
      return files.flatMap(({ name, path, text }) => {
        // As kubectl reads it: yes is true, and 0644 is octal.
        const { documents } = loadDocuments(text, { name, yaml11: true, limits: settings.limits });
        return subjectsOf(documents, isDirectory ? path : "");
      });
    });
    if (subjects.length === 0) {
      const from = args.length === 0 ? "stdin" : args.map((arg) => (arg === "-" ? "stdin" : arg)).join(", ");
      throw new ShyamlError("OBJECT_INVALID", `there is no object in ${from}`);
    }
    const secrets = new Secrets();
    const kubectl = new Kubectl({
      program: flags.kubectl,
      flags: kubectlFlags(flags),
      timeoutMs: flags.timeout * 1_000,
      redact: (text) => secrets.redact(text),
    });
    const mode = modeOf(flags);
    const { identifiers, ignoreOrder } = settings;
    const found = await kubeDiff(subjects, kubectl, secrets, {
      ...flags,
      ...(mode === undefined ? {} : { mode }),
      identifiers,
      ignoreOrder,
      schemas: readSchemas(settings),
    });
    const { report, counts } = ignoring(found.report, rules);
    const { used, unused } = ignoreNotes(rules, counts);
    const notes = [modeNote(found), ...report.notes, ...used];
    process.stdout.write(reportText({ ...report, notes }, settings));
    // The report of no differences is empty on a terminal, and how it was made is to be seen all the same.
    if (settings.output === "terminal" && report.documents.length === 0)
      say(notes.map((note) => `note: ${note}`));
    say(unused);
    say(found.problems.map((problem) => `shyaml: ${problem}`));
    if (found.problems.length > 0) process.exitCode = EXIT.trouble;
    else process.exitCode = report.documents.length === 0 || settings.exitZero ? EXIT.same : EXIT.differs;
  });
}

function positive(value: string): number {
  if (!/^[1-9][0-9]{0,5}$/.test(value))
    throw new InvalidArgumentError("It has to be a whole number above 0.");
  return Number(value);
}

function modeOf({ server, live, lastApplied }: KubeFlags): KubeMode | undefined {
  if (server === true) return "server";
  if (live === true) return "live";
  return lastApplied === true ? "last-applied" : undefined;
}

function kubectlFlags({ context, kubeconfig, cluster, user, as, kubectlFlag = [] }: KubeFlags): string[] {
  const named = Object.entries({ context, kubeconfig, cluster, user, as });
  return [
    ...named.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`])),
    ...kubectlFlag,
  ];
}

function modeNote({ modes }: KubeDiff): string {
  const objects = (count: number) => `${count} ${count === 1 ? "object" : "objects"}`;
  const parts = [
    modes.server > 0 && `${objects(modes.server)} compared with what a dry run on the server gives`,
    modes.live > 0 && `${objects(modes.live)} compared with what the cluster has`,
    modes["last-applied"] > 0 && `${objects(modes["last-applied"])} compared with what was applied last`,
    modes.new > 0 && `${objects(modes.new)} not in the cluster`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? "no object was compared" : parts.join(", ");
}

function say(lines: readonly string[]): void {
  process.stderr.write(lines.map((line) => `${line}\n`).join(""));
}
