import { parseArgs } from "node:util";
import { Control } from "./control.ts";
import { Storefront } from "./storefront.ts";

const USAGE = `Usage: node examples/storefront/main.ts [options]

  --processes <number>  shop processes (default: 50)
  --customers <number>  who look at products all the time (default: 200)
  --down-ms <number>    for how long stays down what is killed (default: 3000)
  --port <number>       of the page; 0 picks a free one (default: 0)`;

const { values } = parseArgs({
  options: {
    processes: { type: "string", default: "50" },
    customers: { type: "string", default: "200" },
    "down-ms": { type: "string", default: "3000" },
    port: { type: "string", default: "0" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit();
}

function whole(name: "processes" | "customers" | "down-ms" | "port", least: number, most: number): number {
  const number = Number(values[name]);
  if (Number.isInteger(number) && number >= least && number <= most) return number;
  console.error(`--${name} is a whole number from ${least} to ${most}`);
  process.exit(2);
}

const options = {
  processes: whole("processes", 1, 500),
  customers: whole("customers", 1, 5_000),
  downMs: whole("down-ms", 0, 60_000),
};
const port = whole("port", 0, 65_535);

const ended = Promise.withResolvers<void>();
let signals = 0;
for (const signal of ["SIGINT", "SIGTERM"])
  process.on(signal, () => {
    ended.resolve();
    // Who asks twice does not wait, and still leaves no process behind.
    if (++signals > 1) process.exit(1);
  });

try {
  const onProgress = (text: string) => console.log(`starting ${text} …`);
  const storefront = await Storefront.open({ ...options, onProgress });
  try {
    const control = await Control.open(storefront, port);
    console.log(`a product: ${storefront.shopUrl}\nthe page:  ${control.url}\nCtrl-C stops everything.`);
    await ended.promise;
    control.close();
  } finally {
    await storefront.close();
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
// Nothing is left to do, and still node:cluster may keep the port of shops that were killed while they were given a connection.
process.exit();
