import { printable } from "@drover/protocol";
import { withAdmin } from "../admin/admin-connection.ts";
import { functionRows, joinRatio, serverCounts } from "../admin/listings.ts";
import { functionTable, writeJson } from "../admin/show.ts";
import type { Target } from "../server-address.ts";
import { bytesText, grouped } from "../terminal/table.ts";

export async function showStatus(target: Target, asJson: boolean): Promise<void> {
  const { version, rows, counts } = await withAdmin(target, async (admin) => ({
    version: printable(await admin.ask("version")),
    rows: await functionRows(admin),
    counts: await serverCounts(admin),
  }));
  const server = target.address;
  rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (asJson) {
    const functions = rows.map((row) => ({ ...row, joinRatio: joinRatio(row) }));
    return writeJson({ server, version, counts: Object.fromEntries(counts), functions });
  }
  process.stdout.write(`${server}  ${version}${summary(counts)}\n\n`);
  process.stdout.write(
    rows.length === 0
      ? "no functions yet: none was submitted to, and no worker offers one\n"
      : `${functionTable(rows).join("\n")}\n`,
  );
}

/** `  12 connections, 3 jobs waiting or running, 4.0 KiB of workloads`. */
export function summary(counts: ReadonlyMap<string, number>): string {
  if (counts.size === 0) return "";
  const n = (name: string) => counts.get(name) ?? 0;
  const dead = n("dead_letters") === 0 ? "" : `, ${grouped(n("dead_letters"))} dead letters`;
  // The one that asks is not worth counting.
  return (
    `  ${counted(Math.max(0, n("peers") - 1), "connection")}, ${counted(n("jobs"), "job")}, ` +
    `${bytesText(n("workload_bytes"))} of workloads${dead}`
  );
}

export function counted(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}
