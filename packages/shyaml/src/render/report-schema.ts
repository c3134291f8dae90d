const count = { type: "integer", minimum: 0 } as const;
const position = { type: "integer", minimum: 1 } as const;
const text = { type: "string" } as const;
const texts = { type: "array", items: text } as const;

/** An object whose members are all there but for those that are named; others may come with time. */
function object<P extends object>(properties: P, optional: readonly (keyof P)[] = []) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name as keyof P));
  return { type: "object", required, properties } as const;
}

const subject = object(
  {
    file: text,
    document: { ...count, description: "its number in the file, from 0" },
    item: { ...count, description: "the item of a Kubernetes List, from 0" },
    line: position,
    identity: object({ apiVersion: text, kind: text, namespace: text, name: text }),
    value: { description: "the whole document, where the other input has none" },
  },
  ["item", "identity", "value"],
);

const side = object(
  {
    line: position,
    column: position,
    pointer: { ...text, description: "a JSON Pointer (RFC 6901) into this side's document" },
    value: {
      description:
        "what JSON cannot say is an object: {$yaml: text} of a number, {$tag: tag, $value: value} of a tag",
    },
    comment: text,
    order: { ...texts, description: "the items in their order, of kind order" },
  },
  ["pointer", "value", "comment", "order"],
);

/** The JSON Schema of what `-o json` writes. */
export const REPORT_SCHEMA = {
  $schema: "http://json-schema.org/draft-07/schema#",
  title: "Differences of YAML documents, version 1",
  ...object({
    version: { const: 1 },
    summary: object({
      compared: { ...count, description: "documents of both inputs, a pair as one" },
      differing: count,
      differences: count,
      kinds: object({
        added: count,
        removed: count,
        modified: count,
        type: count,
        moved: count,
        order: count,
        comment: count,
      }),
    }),
    documents: {
      type: "array",
      items: object(
        {
          status: { enum: ["added", "removed", "changed", "renamed"] },
          name: text,
          similarity: { type: "number", minimum: 0, maximum: 1 },
          before: subject,
          after: subject,
          changes: {
            type: "array",
            items: object(
              {
                kind: { enum: ["added", "removed", "modified", "type", "moved", "order", "comment"] },
                path: text,
                note: { ...text, description: "why it differs, where that is known" },
                before: side,
                after: side,
              },
              ["note", "before", "after"],
            ),
          },
        },
        ["similarity", "before", "after"],
      ),
    },
    notes: { ...texts, description: "how things were paired where that had to be guessed" },
  }),
} as const;
