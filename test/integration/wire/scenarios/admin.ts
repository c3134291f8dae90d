import { type Script, scenarioGroup } from "../script.ts";

/** The text commands. Lists show only what is the scenario's own, except on a server of its own. */
export const { scenario, scenarios } = scenarioGroup("admin");

/** Asks each line and collects its answer; a word after `@` becomes a name of the scenario's own. */
function asks(name: string, ...lines: string[]): void {
  scenario(name, (s) => ask(s, ...lines));
}

async function ask(s: Script, ...lines: string[]): Promise<void> {
  const [admin] = await s.open("admin");
  for (const line of lines) {
    admin.raw(line.replace(/@(\w+)/g, (_match, word) => s.name(word)));
    await s.settle();
  }
}

scenario(
  "lists-of-an-idle-server",
  async (s) => {
    await ask(s, "status\n", "prioritystatus\n", "workers\n", "show jobs\n", "show unique jobs\n");
  },
  { fresh: true },
);

scenario(
  "lists-asked-for-with-crlf",
  async (s) => {
    await ask(s, "status\r\n", "prioritystatus\r\n", "workers\r\n", "show jobs\r\n", "show unique jobs\r\n");
  },
  { fresh: true },
);

scenario(
  "lists-of-a-busy-server",
  async (s) => {
    const worker = await s.worker("worker", "running", "waiting", "idle");
    const [client] = await s.open("client");
    for (const unique of ["a", "b", "c"]) await s.submit(client, "SUBMIT_JOB", "running", unique, "x");
    worker.send("CANT_DO", "waiting");
    await s.grab(worker);
    await s.submit(client, "SUBMIT_JOB_HIGH", "waiting", "", "x");
    await s.submit(client, "SUBMIT_JOB_LOW_BG", "waiting", "", "x");
    await s.submit(client, "SUBMIT_JOB_BG", "nobody does it", "", "x");
    await ask(s, "status\n", "prioritystatus\n", "show jobs\n", "show unique jobs\n");
    worker.send("WORK_COMPLETE", worker.handle, "");
    await s.settle();
    await ask(s, "status\n", "prioritystatus\n", "show jobs\n", "show unique jobs\n");
  },
  { fresh: true },
);

scenario("functions-stay-in-status", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "", "x");
  worker.send("WORK_COMPLETE", await s.grab(worker), "");
  await s.leave(worker);
  await ask(s, "status\n");
});

scenario(
  "workers-lists",
  async (s) => {
    await s.worker("plain");
    const one = await s.worker("one", "f", "g", "h");
    one.send("SET_CLIENT_ID", "one");
    const two = await s.worker("two", "f");
    two.send("PRE_SLEEP");
    const three = await s.worker("three", "f", "g");
    three.send("CANT_DO", "f");
    await s.settle();
    await ask(s, "workers\n");
  },
  { fresh: true },
);

scenario("workers-lists-a-function-offered-twice", async (s) => {
  const [f, g] = [s.name("f"), s.name("g")];
  const worker = await s.worker("worker", f, g, f);
  await ask(s, "workers\n", "status\n");
  worker.send("CANT_DO", f);
  await s.settle();
  await ask(s, "workers\n", "status\n");
});

scenario("show-jobs-tells-a-requeued-job", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "u", "x");
  await ask(s, "show jobs\n");
  await s.grab(worker);
  await ask(s, "show jobs\n");
  await s.leave(worker);
  await ask(s, "show jobs\n");
});

scenario(
  "show-unique-jobs-tells-each-kind",
  async (s) => {
    const [client] = await s.open("client");
    await s.submit(client, "SUBMIT_JOB", "f", "a-unique", "x");
    await s.submit(client, "SUBMIT_JOB", "f", "", "x");
    await s.submit(client, "SUBMIT_JOB", "f", "-", "x");
    await s.submit(client, "SUBMIT_JOB", "g", "a-unique", "x");
    await ask(s, "show unique jobs\n");
  },
  { fresh: true },
);

asks("show-alone", "show\n", "show \n");
asks("show-wrong-word", "show something\n", "show something else\n");
asks(
  "show-wrong-words",
  "show unique\n",
  "show unique things\n",
  "show jobs now\n",
  "show unique jobs now\n",
);

for (const [ending, end] of [
  ["crlf", "\r\n"],
  ["lf", "\n"],
] as const) {
  scenario(`cancel-job-queued-${ending}`, async (s) => {
    const f = s.name("f");
    const [client, joined] = await s.open("client", "joined");
    const job = await s.submit(client, "SUBMIT_JOB", f, "u", "x");
    await s.submit(joined, "SUBMIT_JOB", f, "u", "x");
    await ask(s, `cancel job ${job}${end}`);
    const worker = await s.worker("worker", f);
    worker.send("GRAB_JOB");
    await s.settle();
  });
}

scenario("cancel-job-then-ask-for-it", async (s) => {
  const [client, watcher] = await s.open("client", "watcher");
  const job = await s.submit(client, "SUBMIT_JOB", s.name("f"), s.name("u"), "x");
  await ask(s, `cancel job ${job}\n`);
  watcher.send("GET_STATUS", job);
  await s.settle();
  await ask(s, "show jobs\n", "status\n");
});

scenario("cancel-job-twice", async (s) => {
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB", s.name("f"), "u", "x");
  await ask(s, `cancel job ${job}\n`, `cancel job ${job}\n`);
});

scenario("cancel-job-running", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB", f, "u", "x");
  await s.grab(worker);
  await ask(s, `cancel job ${job}\n`);
  worker.send("WORK_COMPLETE", job, "done");
  await s.settle();
});

scenario("cancel-job-background", async (s) => {
  const f = s.name("f");
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB_BG", f, "u", "x");
  await ask(s, `cancel job ${job}\n`);
  const worker = await s.worker("worker", f);
  worker.send("GRAB_JOB");
  await s.settle();
});

scenario("cancel-job-then-submit-again", async (s) => {
  const f = s.name("f");
  const [client, again] = await s.open("client", "again");
  const job = await s.submit(client, "SUBMIT_JOB", f, "u", "x");
  await ask(s, `cancel job ${job}\n`);
  await s.submit(again, "SUBMIT_JOB", f, "u", "y");
  const worker = await s.worker("worker", f);
  worker.send("GRAB_JOB");
  await s.settle();
});

asks("cancel-job-unknown", "cancel job H:nowhere:1\n", "cancel job H:nowhere:1\r\n", "cancel job x\n");
asks("cancel-wrong-words", "cancel jobs H:nowhere:1\n", "cancel all of it\n");
asks("cancel-too-few-words", "cancel job\n", "cancel\n");

asks("create-function-crlf", "create function @abc\r\n", "status\n", "create function @abc\r\n", "status\n");
asks("create-function-lf", "create function @abc\n", "status\n");
asks("create-function-extra-words", "create function @abc def\r\n", "status\n");
asks("create-function-wrong-words", "create\r\n", "create function\r\n", "create thing @abc\r\n", "status\n");

scenario(
  "create-function-without-a-name",
  async (s) => {
    await ask(s, "create function \r\n", "create function\n", "status\n");
  },
  { fresh: true },
);

asks(
  "drop-function",
  "create function @abc\r\n",
  "drop function @abc\r\n",
  "status\n",
  "drop function @abc\r\n",
);
asks("drop-function-lf", "create function @abc\r\n", "drop function @abc\n", "status\n");
asks("drop-function-wrong-words", "drop\r\n", "drop function\r\n", "drop thing @abc\r\n");
asks("drop-function-unknown", "drop function @nothing\r\n");

scenario("drop-function-of-another-case", async (s) => {
  const f = s.name("abc");
  await ask(s, `create function ${f}\r\n`, `drop function ${f.toUpperCase()}\r\n`, "status\n");
});

scenario("drop-function-with-a-worker", async (s) => {
  await s.worker("worker", s.name("abc"));
  await ask(s, "drop function @abc\r\n", "status\n");
});

scenario("drop-function-with-a-running-job", async (s) => {
  const f = s.name("abc");
  const worker = await s.worker("worker", f);
  const [client] = await s.open("client");
  const job = await s.submit(client, "SUBMIT_JOB", f, "", "x");
  await s.grab(worker);
  await ask(s, "drop function @abc\r\n", "status\n");
  worker.send("WORK_COMPLETE", job, "done");
  await s.settle();
});

// gearmand frees the function under its jobs, so nothing else is done on that server.
scenario(
  "drop-function-with-a-queued-job",
  async (s) => {
    const [client] = await s.open("client");
    await s.submit(client, "SUBMIT_JOB", s.name("abc"), "", "x");
    await ask(s, "drop function @abc\r\n", "status\n");
  },
  { fresh: true },
);

asks("maxqueue-of-an-unknown-function", "maxqueue @abc 1\r\n", "status\n");
asks("maxqueue-without-a-number", "create function @abc\r\n", "maxqueue @abc\r\n");
asks("maxqueue-without-a-name", "maxqueue\r\n", "maxqueue\n");
asks("maxqueue-odd-numbers", "create function @abc\r\n", "maxqueue @abc -1\r\n", "maxqueue @abc many\r\n");
asks("maxqueue-two-numbers", "create function @abc\r\n", "maxqueue @abc 1 2\r\n");

async function fill(s: Script, ...lines: string[]): Promise<void> {
  const f = s.name("f");
  const [client] = await s.open("client");
  await ask(s, "create function @f\r\n", ...lines);
  for (const type of ["SUBMIT_JOB_HIGH", "SUBMIT_JOB", "SUBMIT_JOB_LOW"] as const) {
    for (const unique of ["a", "b", "c"]) client.send(type, f, `${type}-${unique}`, "x");
    await s.settle();
  }
  client.send("SUBMIT_JOB", f, "SUBMIT_JOB_HIGH-a", "a join is no addition");
  await s.settle();
  await ask(s, "prioritystatus\n");
}

scenario("maxqueue-one-number-limits", (s) => fill(s, "maxqueue @f 2\r\n"));
scenario("maxqueue-two-numbers-limit", (s) => fill(s, "maxqueue @f 1 2\r\n"));
scenario("maxqueue-three-numbers-limit", (s) => fill(s, "maxqueue @f 1 2 3\r\n"));
scenario("maxqueue-three-large-numbers-limit", (s) => fill(s, "maxqueue @f 1 3 6\r\n"));
scenario("maxqueue-zero-is-no-limit", (s) => fill(s, "maxqueue @f 0\r\n"));
scenario("maxqueue-not-a-number-is-no-limit", (s) => fill(s, "maxqueue @f 2\r\n", "maxqueue @f many\r\n"));
scenario("maxqueue-lifted", (s) => fill(s, "maxqueue @f 1\r\n", "maxqueue @f\r\n"));
scenario("maxqueue-lf", (s) => fill(s, "maxqueue @f 2\n"));

scenario("maxqueue-counts-running-jobs", async (s) => {
  const f = s.name("f");
  const worker = await s.worker("worker", f);
  await ask(s, "maxqueue @f 1\r\n");
  const [client] = await s.open("client");
  await s.submit(client, "SUBMIT_JOB", f, "a", "x");
  await s.grab(worker);
  client.send("SUBMIT_JOB", f, "b", "x");
  client.send("SUBMIT_JOB_BG", f, "c", "x");
  client.send("SUBMIT_JOB_EPOCH", f, "d", "4000000000", "x");
  await s.settle();
});

scenario("getpid", async (s) => {
  s.mask(/OK \d+/, "OK <pid>");
  await ask(s, "getpid\n", "getpid\r\n", "GETPID\n", "getpid now\n");
});

asks("version", "version\n", "version\r\n", "Version\n");
asks("verbose", "verbose\n", "verbose\r\n", "verbose DEBUG\n");
scenario("verbose-warning", (s) => ask(s, "verbose\n"), { args: ["--verbose=WARNING"] });
scenario("verbose-debug", (s) => ask(s, "verbose\n"), { args: ["--verbose=DEBUG"] });

asks("shutdown", "shutdown\n", "shutdown graceful\n", "shutdown now\r\n", "show nothing\n");
asks("unknown-command", "no-such\n", "no-such\r\n", "no-such thing\n", "NO-SUCH\n", "st\n", "statuss\n");
asks("empty-line", "\n", "\r\n", " \n", "\t\n");
asks("leading-space", " status\n", "\tstatus\n");
asks("any-letter-case", "STATUS\n", "Show Unique Jobs\n", "cReAtE fUnCtIoN @Abc\r\n", "Status\n");
asks("extra-words", "status now\n", "prioritystatus now please\n", "workers of all kinds\n");
asks("many-spaces", "show  jobs\n", "create  function  @abc\r\n", "status\n", "status  \n");
asks("spaces-behind-the-last-word", "show unique jobs \n", "create function @abc \r\n", "status\n");
asks("tabs-between-words", "show\tjobs\n", "create\tfunction\tabc\r\n");
asks("five-words", "status b c d e\n");
for (const [name, line] of [
  ["six-words", "status b c d e f\n"],
  ["many-words", `status ${"word ".repeat(50)}\n`],
] as const) {
  scenario(name, async (s) => {
    const [admin] = await s.open("admin");
    admin.raw(line);
    await s.settle(admin);
  });
}
asks("pipelined", "status\ncreate function @abc\r\nstatus\nno-such\nshow jobs\nstatus\n");
asks("nul-inside-a-line", "stat\0us\n", "create function @a\0b\r\n", "status\n");
asks("carriage-returns", "status\r\r\n", "create function @abc\r\r\n", "status\n");
asks("bytes-above-ascii", "create function @abc\xe4\xf6\xfc\r\n", "status\n", "\xff\xfe\n");

scenario("line-in-pieces", async (s) => {
  const [admin] = await s.open("admin");
  await admin.rawInPieces(Buffer.from("status\r\nshow jobs\n"), 3, 7, 8, 10);
  await s.settle();
});
