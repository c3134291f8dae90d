import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GateDatabase } from "../../src/index.ts";
import { type Letter, OUTBOX_MIGRATIONS, type ReportBody } from "../../src/reporters/index.ts";

export interface Logged {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A folder with a database that has an outbox, and a log that can be looked at. */
export class ReporterStage {
  readonly folder = mkdtempSync(join(tmpdir(), "drover-reporters-"));
  readonly logged: Logged[] = [];
  readonly log = {
    debug: (fields: object) => this.#note("debug", fields),
    info: (fields: object) => this.#note("info", fields),
    warn: (fields: object) => this.#note("warn", fields),
    error: (fields: object) => this.#note("error", fields),
  };
  database = this.open();

  open(): GateDatabase {
    this.database = new GateDatabase(join(this.folder, "gate.db"), OUTBOX_MIGRATIONS);
    return this.database;
  }

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text, { mode: 0o700 });
    return path;
  }

  /** Everything that was logged, as a log file would have it. */
  text(): string {
    return JSON.stringify(this.logged);
  }

  end(): void {
    this.database.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #note(level: Logged["level"], fields: object): void {
    this.logged.push({ level, fields: fields as Logged["fields"] });
  }
}

export function bodyOf(id: string, connection: string, title = "Add a parser"): ReportBody {
  return {
    ...{ version: 1, id, atMs: 1_000, gate: "abc", tenant: "main", connection },
    ...{ pipeline: "check", report: "success", reason: "", text: "Build succeeded.\n\n- unit SUCCESS" },
    subject: {
      ...{ kind: "change", project: "app", branch: "main", number: 12, revision: 3 },
      ...{ ref: "refs/changes/12/3", commit: "a".repeat(40), title, owner: "alice", topic: null, url: null },
    },
    ...{ builds: [], problems: [] },
  };
}

export function letterOf(connection: string): (id: string) => Letter {
  return (id) => ({
    body: bodyOf(id, connection),
    mail: { to: null, from: null, subject: "Report for change 12,3" },
  });
}
