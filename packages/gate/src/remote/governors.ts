/** What keeps an executor from taking more builds; 0 turns one off. */
export interface Governors {
  /** Load of the machine for each processor. 2.5, as Zuul has it. */
  readonly maxLoad: number;
  /** Percent of the memory that is to be free. 5, as Zuul has it. */
  readonly minMemoryPercent: number;
  /** Bytes that are to be free on the disk of workspaces. 1 GiB. */
  readonly minDiskBytes: number;
  /** Builds whose workspaces are made at a time, for each processor. 2, as Zuul has it. */
  readonly maxStarting: number;
}

export const DEFAULT_GOVERNORS: Governors = {
  maxLoad: 2.5,
  minMemoryPercent: 5,
  minDiskBytes: 1024 ** 3,
  maxStarting: 2,
};

/** A machine as it is now. */
export interface MachineState {
  readonly processors: number;
  /** Processes that run or wait to, over the last minute. */
  readonly load: number;
  readonly freeMemoryBytes: number;
  readonly memoryBytes: number;
  readonly freeDiskBytes: number;
  readonly starting: number;
}

/** Why an executor is to take no more for now, in a sentence; `null`: it may. */
export function refusalOf(governors: Governors, machine: MachineState): string | null {
  const { maxLoad, minMemoryPercent, minDiskBytes, maxStarting } = governors;
  const { processors, load, freeMemoryBytes, memoryBytes, freeDiskBytes, starting } = machine;
  if (minDiskBytes > 0 && freeDiskBytes < minDiskBytes)
    return `its disk has ${freeDiskBytes} bytes free, of ${minDiskBytes} that are to be`;
  const freePercent = (freeMemoryBytes / memoryBytes) * 100;
  if (minMemoryPercent > 0 && freePercent < minMemoryPercent)
    return `${freePercent.toFixed(1)} % of its memory are free, of ${minMemoryPercent} that are to be`;
  if (maxLoad > 0 && load > maxLoad * processors)
    return `its load is ${load.toFixed(1)}, of ${maxLoad * processors} at most`;
  if (maxStarting > 0 && starting >= maxStarting * processors)
    return `${starting} builds start, of ${maxStarting * processors} at most`;
  return null;
}
