import { builtinShape, groupOf, isKnownKind } from "./merge-keys.ts";
import { type ListType, type Shape, UNKNOWN } from "./shape.ts";

/** References to follow before a schema counts as one that leads nowhere. */
const MAX_REFERENCES = 32;

/** The suffixes that controller-gen's pattern of a quantity allows, which no other pattern has. */
const QUANTITY_PATTERN = "[KMGTPE]i";

/** A JSON schema as CustomResourceDefinitions and OpenAPI files hold it; nothing of it is checked. */
type Schema = Readonly<Record<string, unknown>>;

/** What is known of kinds: the table of Kubernetes' own, and CustomResourceDefinitions and OpenAPI files that were added. */
export class Schemas {
  readonly #shapes = new Map<string, Shape>();

  /**
   * Learns from one parsed document: a CustomResourceDefinition, a `List` of such, or an OpenAPI file of a cluster
   * (`/openapi/v3/…` or `/openapi/v2`). What was learned later holds.
   * @returns How many kinds it tells of; 0 when it is nothing of these.
   */
  add(document: unknown): number {
    if (!isMapping(document)) return 0;
    if (document.kind === "CustomResourceDefinition") return this.#addDefinition(document);
    if (Array.isArray(document.items) && /List$/.test(String(document.kind))) {
      return document.items.reduce<number>((sum, item) => sum + this.add(item), 0);
    }
    const components = isMapping(document.components) ? document.components.schemas : document.definitions;
    return isMapping(components) ? this.#addComponents(document, components) : 0;
  }

  /** Whether the kind's lists are known from the table or from what was added, so that nothing has to be guessed. */
  knows(apiVersion: string, kind: string): boolean {
    return this.#shapes.has(keyOf(apiVersion, kind)) || isKnownKind(apiVersion, kind);
  }

  /** What is known of objects of a kind. */
  shape(apiVersion: string, kind: string): Shape {
    const builtin = builtinShape(apiVersion, kind);
    const learned = this.#shapes.get(keyOf(apiVersion, kind));
    return learned === undefined ? builtin : joined(learned, builtin);
  }

  #addDefinition(definition: Schema): number {
    const spec = isMapping(definition.spec) ? definition.spec : {};
    const kind = isMapping(spec.names) ? spec.names.kind : undefined;
    if (typeof spec.group !== "string" || typeof kind !== "string") return 0;
    const versions = Array.isArray(spec.versions) ? spec.versions : [{ name: spec.version }];
    let added = 0;
    for (const version of versions) {
      if (!isMapping(version)) continue;
      const own = isMapping(version.schema) ? version.schema : spec.validation;
      const schema = isMapping(own) ? own.openAPIV3Schema : undefined;
      if (!isMapping(schema)) continue;
      this.#shapes.set(keyOf(`${spec.group}/${String(version.name)}`, kind), shapeOf(schema, definition));
      added++;
    }
    return added;
  }

  #addComponents(root: Schema, components: Schema): number {
    let added = 0;
    for (const schema of Object.values(components)) {
      const kinds = isMapping(schema) ? schema["x-kubernetes-group-version-kind"] : undefined;
      // Of options for deletion and the like there is one schema for every group there is.
      if (!isMapping(schema) || !Array.isArray(kinds) || kinds.length !== 1 || !isMapping(kinds[0])) continue;
      const { group, version, kind } = kinds[0];
      const apiVersion = group === "" ? String(version) : `${String(group)}/${String(version)}`;
      this.#shapes.set(keyOf(apiVersion, String(kind)), shapeOf(schema, root));
      added++;
    }
    return added;
  }
}

function keyOf(apiVersion: string, kind: string): string {
  return `${kind}.${apiVersion.slice(apiVersion.indexOf("/") + 1)}.${groupOf(apiVersion)}`;
}

/** Reads as much of a schema as is asked for, since schemas may hold themselves. */
function shapeOf(given: unknown, root: Schema): Shape {
  const schema = resolved(given, root);
  if (schema === undefined) return UNKNOWN;
  const list = listTypeOf(schema, root);
  return {
    ...(list !== undefined && { list }),
    ...(isQuantity(given, schema) && { quantity: true }),
    ...(schema.default !== undefined && { defaults: [schema.default] }),
    get fields() {
      const read: Record<string, Shape> = {};
      if (isMapping(schema.properties)) {
        for (const [name, property] of Object.entries(schema.properties)) {
          Object.defineProperty(read, name, { enumerable: true, get: once(() => shapeOf(property, root)) });
        }
      }
      return read;
    },
    get values() {
      return shapeOf(schema.additionalProperties, root);
    },
    get items() {
      return shapeOf(schema.items, root);
    },
  };
}

/** A schema without its references: what stands beside a reference holds before what it leads to. */
function resolved(given: unknown, root: Schema): Schema | undefined {
  let schema = given;
  const beside: Schema[] = [];
  for (let hops = 0; hops < MAX_REFERENCES; hops++) {
    if (!isMapping(schema)) return undefined;
    const reference = referenceIn(schema);
    if (reference === undefined) return Object.assign({}, schema, ...beside.reverse());
    const { $ref, allOf, ...rest } = schema;
    beside.push(rest);
    schema = at(reference, root);
  }
  return undefined;
}

function referenceIn(schema: Schema): string | undefined {
  const only = Array.isArray(schema.allOf) && schema.allOf.length === 1 ? schema.allOf[0] : undefined;
  const reference = schema.$ref ?? (isMapping(only) ? only.$ref : undefined);
  return typeof reference === "string" ? reference : undefined;
}

/** What a reference within the file, such as `#/definitions/Port`, leads to. */
function at(reference: string, root: Schema): unknown {
  if (!reference.startsWith("#/")) return undefined;
  let place: unknown = root;
  for (const step of reference.slice(2).split("/")) {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (!isMapping(place) || !Object.hasOwn(place, key)) return undefined;
    place = place[key];
  }
  return place;
}

function listTypeOf(schema: Schema, root: Schema): ListType | undefined {
  const type = schema["x-kubernetes-list-type"];
  const mapKeys = schema["x-kubernetes-list-map-keys"];
  const mergeKey = schema["x-kubernetes-patch-merge-key"];
  const keys: string[][] = [];
  if (type === "map" && Array.isArray(mapKeys)) keys.push(mapKeys.map(String));
  if (typeof mergeKey === "string" && !(keys[0]?.length === 1 && keys[0][0] === mergeKey))
    keys.push([mergeKey]);
  if (keys.length > 0) return { type: "map", keys };
  if (type === "set" || type === "atomic") return { type };
  const merged = /\bmerge\b/.test(String(schema["x-kubernetes-patch-strategy"]));
  const item = resolved(schema.items, root);
  return merged && item !== undefined && item.properties === undefined ? { type: "set" } : undefined;
}

function isQuantity(given: unknown, schema: Schema): boolean {
  if (schema.format === "quantity") return true;
  const reference = isMapping(given) ? referenceIn(given) : undefined;
  if (reference?.endsWith(".api.resource.Quantity")) return true;
  return schema["x-kubernetes-int-or-string"] === true && String(schema.pattern).includes(QUANTITY_PATTERN);
}

/** What either of two shapes knows; `one` holds where both do. */
function joined(one: Shape, other: Shape): Shape {
  const list = one.list ?? other.list;
  const defaults = one.defaults ?? other.defaults;
  const quantity = one.quantity ?? other.quantity;
  return {
    ...(list !== undefined && { list }),
    ...(defaults !== undefined && { defaults }),
    ...(quantity !== undefined && { quantity }),
    get fields() {
      const read: Record<string, Shape> = {};
      const [first, second] = [one.fields ?? {}, other.fields ?? {}];
      for (const name of new Set([...Object.keys(first), ...Object.keys(second)])) {
        const get = once(() => joined(first[name] ?? UNKNOWN, second[name] ?? UNKNOWN));
        Object.defineProperty(read, name, { enumerable: true, get });
      }
      return read;
    },
    get values() {
      return joined(one.values ?? UNKNOWN, other.values ?? UNKNOWN);
    },
    get items() {
      return joined(one.items ?? UNKNOWN, other.items ?? UNKNOWN);
    },
  };
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
