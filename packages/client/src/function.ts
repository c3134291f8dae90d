import { type BytesLike, toBytes } from "./bytes.ts";
import { type SchemaIssue, ValueInvalid } from "./errors.ts";

/*
 * The part of the Standard Schema interface that is used here, so that zod, valibot, arktype and others fit without
 * being depended on. @see https://standardschema.dev
 */

/** Any validator that follows Standard Schema, version 1. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** How values become bytes and back. Both may throw: the value is then invalid. */
export interface Codec {
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** JSON in UTF-8; no bytes for `undefined`. */
export const jsonCodec: Codec = {
  encode: (value) => (value === undefined ? new Uint8Array(0) : toBytes(JSON.stringify(value))),
  decode: (bytes) => (bytes.length === 0 ? undefined : (JSON.parse(decoder.decode(bytes)) as unknown)),
};

/** Bytes as they are; text is sent as UTF-8 and arrives as bytes. */
export const bytesCodec: Codec = {
  encode: (value) => toBytes(value as BytesLike),
  decode: (bytes) => bytes,
};

/** What `defineFunction` takes. */
export interface FunctionDefinition<In, InParsed, Out, OutParsed> {
  /** The function's name on the server. */
  readonly name: string;
  /** What callers give. Checked before it is submitted and before the handler runs. Default: anything. */
  readonly input?: StandardSchema<In, InParsed>;
  /** What the handler returns. Checked before it is reported and when it arrives. Default: anything. */
  readonly output?: StandardSchema<Out, OutParsed>;
  /** Default: `jsonCodec`. */
  readonly codec?: Codec;
}

/**
 * A function with types, known to callers and workers alike.
 * `In` is what a caller gives, `InParsed` what the handler gets, `Out` what the handler returns, `OutParsed` what the
 * caller gets.
 */
export interface DefinedFunction<In = unknown, InParsed = In, Out = unknown, OutParsed = Out> {
  readonly name: string;
  /** @throws ValueInvalid `INPUT_INVALID`, also by rejection, as all four may. */
  encodeInput(value: In): Uint8Array | Promise<Uint8Array>;
  decodeInput(bytes: Uint8Array): InParsed | Promise<InParsed>;
  encodeOutput(value: Out): Uint8Array | Promise<Uint8Array>;
  /** @throws ValueInvalid `OUTPUT_INVALID` */
  decodeOutput(bytes: Uint8Array): OutParsed | Promise<OutParsed>;
}

/**
 * Names a function and the shape of its input and output, to be shared by client and worker. Values are checked at both
 * ends, so that neither has to trust the other. A schema that transforms does so at the end that receives: the sender's
 * value is checked and sent as it is.
 *
 * @example
 * const resize = defineFunction({ name: "resize", input: z.object({ url: z.url() }), output: z.object({ bytes: z.int() }) });
 */
export function defineFunction<In = unknown, InParsed = In, Out = unknown, OutParsed = Out>(
  definition: FunctionDefinition<In, InParsed, Out, OutParsed>,
): DefinedFunction<In, InParsed, Out, OutParsed> {
  const { name, input, output, codec = jsonCodec } = definition;
  const send = (code: InvalidCode, schema: StandardSchema | undefined, value: unknown) =>
    onceKnown(validated(code, name, schema, value), () => attempt(code, name, () => codec.encode(value)));
  const receive = (code: InvalidCode, schema: StandardSchema | undefined, bytes: Uint8Array) =>
    validated(
      code,
      name,
      schema,
      attempt(code, name, () => codec.decode(bytes)),
    );
  const inputSchema = input as StandardSchema | undefined;
  const outputSchema = output as StandardSchema | undefined;
  return {
    name,
    encodeInput: (value) => send("INPUT_INVALID", inputSchema, value),
    decodeInput: (bytes) => receive("INPUT_INVALID", inputSchema, bytes) as InParsed | Promise<InParsed>,
    encodeOutput: (value) => send("OUTPUT_INVALID", outputSchema, value),
    decodeOutput: (bytes) => receive("OUTPUT_INVALID", outputSchema, bytes) as OutParsed | Promise<OutParsed>,
  };
}

type InvalidCode = "INPUT_INVALID" | "OUTPUT_INVALID";

function validated(
  code: InvalidCode,
  name: string,
  schema: StandardSchema | undefined,
  value: unknown,
): unknown | Promise<unknown> {
  if (schema === undefined) return value;
  return onceKnown(schema["~standard"].validate(value), (result) => {
    if (result.issues !== undefined) throw new ValueInvalid(code, name, result.issues);
    return result.value;
  });
}

function attempt<T>(code: InvalidCode, name: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new ValueInvalid(code, name, [{ message: (error as Error).message }], { cause: error });
  }
}

/** Goes on at once with what is at hand, so that a call without asynchronous schemas is sent in the turn it is made. */
export function onceKnown<T, R>(value: T | Promise<T>, next: (value: T) => R): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
