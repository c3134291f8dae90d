import { withAdmin } from "../admin/admin-connection.ts";
import { writeJson } from "../admin/show.ts";
import type { Target } from "../server-address.ts";
import { tableLines } from "../terminal/table.ts";

/** `drover status --fleet`. */
export async function showFleet(target: Target, asJson: boolean): Promise<void> {
  const lines = await withAdmin(target, (admin) => admin.list("fleet"));
  const members = lines.map((line) => {
    const [name, address, state, forMs, jobs, forwarded, share, problem] = line.split("\t") as string[];
    return {
      name: name!,
      address: address!,
      state: state!,
      forMs: Number(forMs),
      jobs: Number(jobs),
      forwarded: Number(forwarded),
      share: Number(share),
      problem: problem!,
    };
  });
  if (asJson) return writeJson({ server: target.address, members });
  if (members.length === 0) {
    process.stdout.write(`${target.address} is in no fleet: drover serve --peer NAME=ADDRESS makes one\n`);
    return;
  }
  const titles = ["server", "address", "state", "owns", "jobs there", "forwarded", "problem"];
  const rows = members.map(({ name, address, state, share, jobs, forwarded, problem }) => [
    name,
    address,
    state,
    `${Math.round(share * 100)} %`,
    String(jobs),
    String(forwarded),
    problem,
  ]);
  process.stdout.write(
    `${tableLines(
      titles.map((title) => ({ title })),
      rows,
    ).join("\n")}\n`,
  );
}
