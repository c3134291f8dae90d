import { Command, Option } from "commander";
import { addServerOptions, collect, serveInputs } from "../serve/flags.ts";
import { addServerAddress } from "../server-address.ts";
import { addGatePlace } from "./place.ts";

const EXAMPLES = `
Examples:
  drover gate init my-gate && drover gate up my-gate
  git push origin HEAD:refs/for/main                     proposes a change
  drover gate status -w                                  what is tested, on top of what
  drover gate approve 12                                 it is merged when it has passed
  drover gate explain 12                                 why it is where it is

Exit codes: 0 done, 1 refused or failed, 2 wrong options.`;

/** `drover gate`: tests changes on top of everything approved before them, and merges exactly what passed. */
export function gateCommand(): Command {
  const gate = new Command("gate")
    .summary("test changes as the future that they will make, and merge what passed")
    .description(
      "A gate for many repositories: each approved change is tested on top of all those approved before it, and merged " +
        "exactly as it was tested.",
    )
    .addHelpText("after", EXAMPLES);
  addLocal(gate);
  addReads(gate);
  addReviews(gate);
  addOperations(gate);
  return gate;
}

function addLocal(gate: Command): void {
  gate
    .command("init")
    .description("Makes the folder of a gate: pipelines, a sample project, and a token for you.")
    .argument("<dir>", "a folder that is empty or is not there")
    .option("--tenant <name>", "name of the tenant", "main")
    .option("--user <name>", "your name there (default: that of this machine)")
    .option("--no-sample", "without the sample project")
    .option("--self-approval", "whoever proposes a change may approve it, too")
    .option(
      "--from <backup>",
      "the gate of a backup, with its projects, users and tokens, in place of a new one",
    )
    .option("--json", "as JSON")
    .action(async (dir, flags) => (await import("./local.ts")).init(dir, flags));
  const up = gate
    .command("up")
    .description(
      "Runs the gate of a folder, with a job server, an executor and the dashboard. Ctrl-C stops it.",
    )
    .argument("<dir>", "as init has made it")
    .option("--slots <number>", "builds at a time (default: one for each processor)")
    .option("--no-executor", "run no builds here: executors elsewhere do (drover gate executor)")
    .option("--no-merger", "make no merges here: mergers elsewhere do (drover gate merger)")
    .option("--job-server <address>", "job server elsewhere, which carries builds and merges")
    .option("--job-token-file <file>", "file with a token of it, of an identity with the role gate")
    .option("--direct-push", "operators may push to gated branches")
    .option(
      "--image <name>",
      "what is installed for builds, in any words: results of another one are not reused (default: the system's release)",
    )
    .option(
      "--url <url>",
      "address by which people reach it, in links and Depends-On; may be given several times (default: where it listens)",
      collect,
    )
    .option("--keep <duration>", "how long builds, logs and artifacts are kept", "30d")
    .option("--keep-bytes <size>", "how much logs and artifacts may take; the oldest go first", "10GiB")
    .option("--config <file>", "drover.yaml (default: DROVER_CONFIG, else ./drover.yaml where there is one)");
  addServerOptions(up);
  up.action(async (dir, flags) => (await import("./local.ts")).gateUp(dir, serveInputs(flags), flags));
  addWorkers(gate);
  gate
    .command("backup")
    .description("Copies a gate to a folder, while it goes on; logs and artifacts are not in it.")
    .argument("<dir>", "folder of a gate")
    .argument("<to>", "a folder that is empty or is not there; it is there only when it is whole")
    .option("--json", "as JSON")
    .action(async (dir, to, { json }) => (await import("./local.ts")).backup(dir, to, json === true));
  reads(
    gate,
    "replay",
    "Replays the log of events by this program, and compares with the states that were written down: exit code 1 when they differ.",
  )
    .argument(
      "[dir]",
      "folder of a gate, or a copy (default: the gate that runs, and its state is compared as well)",
    )
    .action(async (dir, flags) => (await import("./history.ts")).replay(dir, flags));
  gate
    .command("try")
    .description(
      "Tells what a gate would test of what is committed in clones here, and why, without a gate; --run runs it.",
    )
    .argument(
      "[clones...]",
      "clones in the order in which they are merged, the last is tried; NAME=DIR of a project called otherwise (default: .)",
    )
    .option("--branch <name>", "for which branch (default: the one that the clone follows)")
    .option("--pipeline <name>", "in which pipeline (default: the first for a new change)")
    .option("--run", "run the jobs here; exit code 1 when they do not pass")
    .option("--slots <number>", "builds at a time (default: one for each processor)")
    .option("--json", "as JSON")
    .action(async (clones, flags) => (await import("./try.ts")).tryClones(clones, flags));
  const config = gate.command("config").description("Looks for what is wrong in a configuration.");
  config
    .command("check")
    .description("Checks the configuration of a gate's folder, or of a work tree, without a gate that runs.")
    .argument("<dir>", "folder of a gate, or a work tree with zuul.yaml")
    .option("--json", "as JSON")
    .action(async (dir, { json }) => (await import("./local.ts")).checkConfig(dir, json === true));
  reads(config, "problems", "Lists what is wrong in the merged configuration of a gate that runs.").action(
    async (flags) => (await import("./run.ts")).configProblems(flags),
  );
}

/** Parts of a gate that are processes of their own. */
function addWorkers(gate: Command): void {
  const elsewhere = (name: string, description: string): Command => {
    const command = gate
      .command(name)
      .description(description)
      .argument("<dir>", "folder for what it needs, made when it is not there")
      .option("--gate <url>", "HTTP address of the gate (default: DROVER_GATE, else http://localhost:4780)")
      .option(
        "--gate-token-file <file>",
        "file with a worker's token of the gate (default: DROVER_GATE_TOKEN)",
      )
      .option("--name <name>", "tells it from others (default: this machine's name)");
    addServerAddress(command);
    return command;
  };
  elsewhere(
    "executor",
    "Runs builds for a gate, on this machine. TERM and INT let them end; a second one ends them.",
  )
    .option("--slots <number>", "builds at a time (default: one for each processor)")
    .option(
      "--secrets-key <file>",
      "copy of the gate's keys/sealing.key (default: builds with secrets cannot begin)",
    )
    .option("--max-load <number>", "take none while the load of a processor is above this; 0: always", "2.5")
    .option("--min-memory <percent>", "take none while less of the memory is free; 0: always", "5")
    .option("--min-disk <size>", "take none while the disk has less room; 0: always", "1GiB")
    .option("--max-starting <number>", "builds of a processor that start at a time; 0: any number", "2")
    .action(async (dir, flags) => (await import("./workers.ts")).runExecutor(dir, flags));
  elsewhere(
    "merger",
    "Makes merges for a gate, on this machine. TERM and INT let it finish what it has begun.",
  )
    .option("--slots <number>", "merges at a time (default: one for each processor)")
    .action(async (dir, flags) => (await import("./workers.ts")).runMerger(dir, flags));
}

function addReads(gate: Command): void {
  reads(gate, "status", "Shows what is in the pipelines, on top of what, and how far it is.")
    .addOption(new Option("-w, --watch", "again each second").conflicts("at"))
    .option(
      "--at <time>",
      "as it was then: 2026-11-27T13:30 (UTC where it names no zone), or 20m for so long ago",
    )
    .action(async (flags) => (await import("./run.ts")).showStatus(flags));
  reads(gate, "changes", "Lists changes, the newest first.")
    .option("--project <name>", "of this project")
    .addOption(new Option("--state <state>", "only such ones").choices(["open", "merged", "abandoned"]))
    .option("--owner <user>", "of this user")
    .option("--limit <number>", "at most so many", "50")
    .action(async (flags) => (await import("./run.ts")).listChanges(flags));
  reads(gate, "show", "Shows a change: its message, what it needs, what was said about it, and its builds.")
    .argument("<change>", "its number")
    .action(async (change, flags) => (await import("./run.ts")).showChange(change, flags));
  reads(gate, "explain", "Tells why a change, a branch or a tag is where it is, and which jobs it runs.")
    .argument("<item>", "number of a change, or a ref that status shows, such as refs/heads/main")
    .option("--job <name>", "why this job runs or does not, what it is made of, and what ran of it")
    .option("--project <name>", "whose ref it is, where several projects have it")
    .option("--at <time>", "as it was then, as for status")
    .action(async (change, flags) => (await import("./explain.ts")).explain(change, flags));
  reads(gate, "builds", "Lists builds, the newest first.")
    .option("--project <name>", "of this project")
    .option("--job <name>", "of this job")
    .option("--result <result>", "such as FAILURE")
    .option("--pipeline <name>", "in this pipeline")
    .option("--change <number>", "of this change")
    .option("--limit <number>", "at most so many", "20")
    .action(async (flags) => (await import("./run.ts")).listBuilds(flags));
  reads(
    gate,
    "workers",
    "Lists executors and mergers: whether they are there, and what they run and accept.",
  ).action(async (flags) => (await import("./workers.ts")).listWorkers(flags));
  reads(gate, "semaphores", "Lists semaphores: which builds hold them, and which wait for them.").action(
    async (flags) => (await import("./resources.ts")).listSemaphores(flags),
  );
  addGatePlace(gate.command("encrypt"))
    .description(
      "Encrypts a secret for a project, as an item for its zuul.yaml. The text never leaves this machine.",
    )
    .argument("[file]", "what to encrypt (default: standard input)", "-")
    .requiredOption("--project <name>", "whose jobs are to have it")
    .option("--secret-name <name>", "name of the secret", "secret")
    .option("--field-name <name>", "name of the value in it", "value")
    .option("--no-strip", "with the white space at its beginning and its end")
    .action(async (file, flags) => (await import("./encrypt.ts")).encrypt(file, flags));
  reads(gate, "outbox", "Lists reports that mail servers, webhooks and commands have not taken yet, and why.")
    .option("--change <number>", "of this change")
    .option("--limit <number>", "at most so many", "100")
    .action(async (flags) => (await import("./run.ts")).listOutbox(flags));
  reads(gate, "flakes", "Lists what was run several times on equal content and did not come out the same.")
    .option("--project <name>", "of this project")
    .option("--job <name>", "of this job")
    .option("--limit <number>", "at most so many", "50")
    .action(async (flags) => (await import("./run.ts")).listFlakes(flags));
  addGatePlace(gate.command("log"))
    .description("Prints the log of a build.")
    .argument("<build>", "its number")
    .option("-f, --follow", "until it has ended; the exit code is 1 when it did not succeed")
    .action(async (build, flags) => (await import("./run.ts")).showLog(build, flags));
}

function addReviews(gate: Command): void {
  const verbs = {
    approve: "Approves changes: a gate pipeline tests them, and merges what passes.",
    unapprove: "Takes back your approval; an operator takes back everybody's.",
    abandon: "Closes changes without merging them.",
    restore: "Opens abandoned changes again.",
  };
  for (const [verb, description] of Object.entries(verbs)) {
    reads(gate, verb, description)
      .argument("<change...>", "their numbers")
      .action(async (changes, flags) => (await import("./run.ts")).actOnChange(verb, changes, flags));
  }
  reads(gate, "comment", "Writes on a change; a pipeline may wait for it, such as `recheck`.")
    .argument("<change>", "its number")
    .argument("<text>", "what to say")
    .option("--vote <vote>", "-1, 0 or 1")
    .option("--file <path>", "about this file")
    .option("--line <number>", "about this line of it")
    .action(async (change, text, flags) => (await import("./run.ts")).comment(change, text, flags));
}

function addOperations(gate: Command): void {
  reads(gate, "enqueue", "Puts a change into a pipeline.")
    .argument("<change>", "its number")
    .requiredOption("--pipeline <name>", "which one")
    .option("--force", "though it does not meet the pipeline's requirements")
    .option("--ignore-depends-on <url>", "do not wait for this; may be given several times", collect)
    .action(async (change, flags) => (await import("./run.ts")).enqueue(change, flags));
  reads(gate, "dequeue", "Takes a change out of a pipeline, and what depends on it.")
    .argument("<change>", "its number")
    .requiredOption("--pipeline <name>", "which one")
    .option("--project <name>", "only if it is of this project")
    .action(async (change, flags) => (await import("./run.ts")).dequeue(change, flags));
  reads(gate, "promote", "Puts changes ahead of the others of their queue, in the order given.")
    .argument("<change...>", "their numbers")
    .requiredOption("--pipeline <name>", "which one")
    .action(async (changes, flags) => (await import("./run.ts")).promote(changes, flags));
  reads(gate, "autohold", "Holds the workspaces of the next builds of a job that fail.")
    .requiredOption("--project <name>", "whose changes")
    .requiredOption("--job <name>", "which job")
    .requiredOption("--reason <text>", "what for")
    .addOption(new Option("--change <number>", "of this change only").conflicts("ref"))
    .option("--ref <regex>", "of branches and refs that begin so only")
    .option("--count <number>", "so many builds, 100 at most", "1")
    .option("--hold <duration>", "how long each is held, a week at most", "1d")
    .action(async (flags) => (await import("./autohold.ts")).autohold(flags));
  reads(gate, "autohold-list", "Lists what is to be held, and what is.").action(async (flags) =>
    (await import("./autohold.ts")).listAutoholds(flags),
  );
  reads(gate, "autohold-info", "Shows such a request: who made it, what is left, what is held and where.")
    .argument("<autohold>", "its number")
    .action(async (id, flags) => (await import("./autohold.ts")).autoholdInfo(id, flags));
  reads(gate, "autohold-delete", "Takes such a request back, and lets go what is held for it.")
    .argument("<autohold>", "its number")
    .action(async (id, flags) => (await import("./autohold.ts")).deleteAutohold(id, flags));
  addGatePlace(gate.command("held-shell"))
    .description(
      "Opens a shell in a held workspace, isolated as its build was, on the machine that holds it.",
    )
    .argument("<build>", "its number, or the name of its execution")
    .option("--dir <dir>", "folder of the gate, or of the executor that holds it", ".")
    .action(async (build, flags) => (await import("./held-shell.ts")).heldShell(build, flags));
  reads(
    gate,
    "freeze",
    "Merges nothing into a branch until it is thawed; what is for it is tested all the same.",
  )
    .argument("<project>", "its name")
    .argument("<branch>", "such as main")
    .option("--reason <text>", "for those who wait", "")
    .action(async (project, branch, flags) =>
      (await import("./run.ts")).operate("/freeze", { project, branch, reason: flags.reason }, flags),
    );
  reads(gate, "thaw", "Merges into a branch again what has passed.")
    .argument("<project>", "its name")
    .argument("<branch>", "such as main")
    .action(async (project, branch, flags) =>
      (await import("./run.ts")).operate("/thaw", { project, branch }, flags),
    );
  reads(gate, "reconfigure", "Reads the whole configuration again.").action(async (flags) =>
    (await import("./run.ts")).operate("/reconfigure", {}, flags),
  );
  reads(gate, "pause", "Stops starting builds and merging; pushes and results are taken.").action(
    async (flags) => (await import("./run.ts")).operate("/pause", { on: true }, flags),
  );
  reads(gate, "unpause", "Goes on.").action(async (flags) =>
    (await import("./run.ts")).operate("/pause", { on: false }, flags),
  );
  const project = gate.command("project").description("Adds projects.");
  reads(project, "add", "Makes an empty project, and gates it.")
    .argument("<name>", "such as tools/build")
    .action(async (name, flags) => (await import("./run.ts")).operate("/projects", { name }, flags));
  reads(project, "import", "Takes branches and tags from a repository, and gates it.")
    .argument("<name>", "such as tools/build")
    .argument("<source>", "folder on the gate's machine, or URL")
    .action(async (name, importFrom, flags) =>
      (await import("./run.ts")).operate("/projects", { name, importFrom }, flags),
    );
  const user = gate.command("user").description("Adds and removes users.");
  reads(user, "add", "Adds a user, and prints a token for him; one more for a user who is there.")
    .argument("<name>", "his name")
    .option("--operator", "who may do everything")
    .option("--no-operator", "no longer one (default: as he is, a new one not)")
    .option("--worker", "an executor or a merger on another machine")
    .action(async (name, flags) => (await import("./run.ts")).addUser(name, flags));
  reads(user, "remove", "Ends a user and all of his tokens; what he did stays.")
    .argument("<name>", "his name")
    .action(async (name, flags) => (await import("./run.ts")).removeUser(name, flags));
}

/** A command that talks to a gate, and can answer as JSON. */
function reads(parent: Command, name: string, description: string): Command {
  return addGatePlace(parent.command(name)).description(description).option("--json", "as JSON");
}
