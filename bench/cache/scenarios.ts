import type { Request } from "./client.ts";
import { ownerOf } from "./memcached.ts";
import { JOB_SERVER, type SchemeName } from "./schemes.ts";

/* What is asked for, what goes wrong meanwhile, and how many computations that has to cost. */

/** How large a run is. */
export interface Form {
  readonly processes: number;
  /** Concurrent requests of each. */
  readonly requests: number;
  /** Of the backend. */
  readonly pool: number;
  readonly workMs: number;
  /** Of locks and tokens. memcached counts whole seconds, so that one of 1 s may be over at once. */
  readonly leaseS: number;
  /** From the order to all processes until the release. */
  readonly headstartMs: number;
}

export const FULL: Form = { processes: 50, requests: 20, pool: 10, workMs: 200, leaseS: 5, headstartMs: 500 };
export const SMALL: Form = { processes: 10, requests: 20, pool: 4, workMs: 50, leaseS: 2, headstartMs: 150 };

/** What the scenario does to the run while it goes. */
export type Mishap = "kill-computing" | "restart-job-server" | "restart-memcached-0" | "restart-memcached-1";

export interface Plan {
  /** Of each process. */
  readonly requests: readonly (readonly Request[])[];
  /** Stored before. */
  readonly stored?: { readonly keys: readonly string[]; readonly isStale: boolean };
  /** The fewest that any scheme can do with. */
  readonly minimum: number;
  readonly deadlineMs: number;
  readonly workMs: number;
  readonly failuresOfTen?: number;
  /** memcached nodes in use. Default: 1. */
  readonly nodes?: number;
  readonly isMemcachedDown?: boolean;
  readonly mishaps?: readonly (readonly [afterMs: number, mishap: Mishap])[];
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Default: all that compute. */
  readonly isFor?: (scheme: SchemeName) => boolean;
  /** @param prefix Of keys that no earlier run has used. */
  readonly plan: (form: Form, prefix: string) => Plan;
}

const DEADLINE_MS = 30_000;
const KILLED_AFTER_MS = 50;
/** Processes that a machine of two cores runs nearly at once, so that the time is the scheme's and not that of waiting for a core. */
const FEW = 4;
const KEYS = 100;
const HOT_SHARE = 0.1;
const WAITERS_MS = 500;
/** A backend that hangs takes this many times as long as its waiters wait. */
const HANG = 4;
const ROLLED_KEYS = 20;
const ROLLED_MS = 2_000;

/** Every process asks for the same key at once. */
const burst = ({ processes, requests }: Form, key: string): Request[][] =>
  Array.from({ length: processes }, () => Array.from({ length: requests }, () => [key, 0] as const));

/** The first `asking` processes ask for a key that is stored and stale. */
function softExpiry(form: Form, key: string, asking: number): Plan {
  const requests = burst(form, key).map((own, process) => (process < asking ? own : []));
  return { ...usual(form), requests, stored: { keys: [key], isStale: true } };
}

const usual = ({ workMs }: Form) => ({ minimum: 1, deadlineMs: DEADLINE_MS, workMs });

export const SCENARIOS: readonly Scenario[] = [
  {
    name: "cold",
    title: "a key that was never cached",
    plan: (form, prefix) => ({ ...usual(form), requests: burst(form, `${prefix}cold`) }),
  },
  {
    name: "memcached-down",
    title: "the same with memcached gone",
    plan: (form, prefix) => ({
      ...usual(form),
      requests: burst(form, `${prefix}down`),
      isMemcachedDown: true,
    }),
  },
  {
    name: "winner-killed",
    title: "the process that computes is killed, 50 ms after the release or as soon as it does",
    plan: (form, prefix) => ({
      ...usual(form),
      requests: burst(form, `${prefix}killed`),
      minimum: 2,
      // A small form's work is done by then.
      workMs: Math.max(form.workMs, 4 * KILLED_AFTER_MS),
      mishaps: [[KILLED_AFTER_MS, "kill-computing"]],
    }),
  },
  {
    name: "soft-expiry",
    title: "a stale value is there",
    isFor: () => true,
    plan: (form, prefix) => softExpiry(form, `${prefix}soft`, form.processes),
  },
  {
    name: "soft-expiry-few",
    title: `the same, asked for by ${FEW} of the processes`,
    isFor: () => true,
    plan: (form, prefix) => softExpiry(form, `${prefix}few`, FEW),
  },
  {
    name: "zipf",
    title: "100 keys by Zipf's law, one of which takes a tenth",
    plan: (form, prefix) => {
      const keys = zipf(form.processes * form.requests).map((key) => `${prefix}zipf${key}`);
      const requests = shares(form, keys);
      return { ...usual(form), requests, minimum: new Set(keys).size };
    },
  },
  {
    name: "failing",
    title: "three of ten computations fail",
    plan: (form, prefix) => {
      const keys = Array.from(
        { length: form.processes * form.requests },
        (_, i) => `${prefix}fails${i % KEYS}`,
      );
      return {
        ...usual(form),
        requests: shares(form, keys),
        minimum: new Set(keys).size,
        failuresOfTen: 3,
      };
    },
  },
  {
    name: "hanging",
    title: "the backend takes 2 s, waiters wait 500 ms; one more request of each process when it is done",
    plan: (form, prefix) => {
      const key = `${prefix}hangs`;
      const workMs = HANG * WAITERS_MS;
      const requests = burst(form, key).map((own) => [...own, [key, workMs + 2 * WAITERS_MS] as const]);
      return { requests, minimum: 1, deadlineMs: WAITERS_MS, workMs };
    },
  },
  {
    name: "job-server-killed",
    title: "the job server is killed after 50 ms and started again at once",
    isFor: (scheme) => JOB_SERVER[scheme] !== undefined || scheme === "naive",
    plan: (form, prefix) => ({
      ...usual(form),
      requests: burst(form, `${prefix}server`),
      workMs: Math.max(form.workMs, 4 * KILLED_AFTER_MS),
      mishaps: [[KILLED_AFTER_MS, "restart-job-server"]],
    }),
  },
  {
    name: "rolling-restart",
    title: "20 cached keys asked for over 2 s, while two memcached nodes are restarted, one after the other",
    plan: rolling,
  },
];

function rolling(form: Form, prefix: string): Plan {
  const keys = Array.from({ length: ROLLED_KEYS }, (_, i) => `${prefix}rolls${i}`);
  const all = form.processes * form.requests;
  const restarts = [ROLLED_MS / 4, (ROLLED_MS * 5) / 8];
  const requests = Array.from({ length: form.processes }, (_, process) =>
    Array.from({ length: form.requests }, (_, i): Request => {
      const at = i * form.processes + process;
      return [keys[at % keys.length]!, (at * ROLLED_MS) / all];
    }),
  );
  // Each key is lost with its node.
  const lost = requests.flat().filter(([key, afterMs]) => afterMs > restarts[ownerOf(key, restarts.length)]!);
  return {
    ...usual(form),
    requests,
    stored: { keys, isStale: false },
    minimum: new Set(lost.map(([key]) => key)).size,
    nodes: restarts.length,
    mishaps: [
      [restarts[0]!, "restart-memcached-0"],
      [restarts[1]!, "restart-memcached-1"],
    ],
  };
}

/** Deals the keys out to the processes. */
function shares({ processes, requests }: Form, keys: readonly string[]): Request[][] {
  return Array.from({ length: processes }, (_, process) =>
    Array.from({ length: requests }, (_, i) => [keys[i * processes + process]!, 0] as const),
  );
}

/** The same keys in each run: key 0 has its share, the others what Zipf's law gives them of the rest. */
function zipf(count: number): number[] {
  let sum = 0;
  const upTo = Array.from({ length: KEYS - 1 }, (_, i) => {
    sum += 1 / (i + 1);
    return sum;
  });
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  return Array.from({ length: count }, () => {
    if (random() < HOT_SHARE) return 0;
    const drawn = random() * sum;
    return 1 + upTo.findIndex((to) => drawn < to);
  });
}
