/** A connection did not take a report. The message is shown to whoever may look at the gate: no secret is in it. */
export class DeliveryFailed extends Error {
  override readonly name = "DeliveryFailed";
  /** For the log alone. */
  readonly noted: Readonly<Record<string, unknown>>;

  constructor(message: string, noted: Readonly<Record<string, unknown>> = {}) {
    super(message.slice(0, 1_000));
    this.noted = noted;
  }
}

/** What a delivery has of its gate. */
export interface DeliveryPlace {
  /** Of the gate. */
  readonly folder: string;
  /** The gate ends. */
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}
