import { type DataNode, isNull, stringAt, valueAt } from "../document/node.ts";
import { ShyamlError } from "../errors.ts";
import { Schemas } from "../kube/schema.ts";
import { build } from "../render/build.ts";
import { jsonForm } from "../render/json-text.ts";
import { type ComparedFile, type CompareOptions, shapeOf } from "./compare.ts";
import { matchSubjects, type Subject, subjectName, subjectsOf } from "./documents.ts";
import { Interner } from "./interner.ts";
import { type PatchOperation, patchOf } from "./patch.ts";

/** What makes one document of the second input of one of the first. An absent document is null. */
export interface DocumentPatch {
  readonly name: string;
  readonly before?: Subject;
  readonly after?: Subject;
  readonly operations: readonly PatchOperation[];
}

/**
 * The patches of all documents, those that do not differ included. Each was applied, and made the second document. A Kubernetes
 * `List` is one document here.
 * @throws ShyamlError `JSON_CANNOT_SAY` where a document has no JSON form; `SECRET_REFUSED` where a patch would show what a Secret
 * holds, unless `showSecrets`.
 */
export function patchesOf(
  before: readonly ComparedFile[],
  after: readonly ComparedFile[],
  options: Pick<CompareOptions, "identifiers" | "schemas"> & { readonly showSecrets?: boolean } = {},
): DocumentPatch[] {
  const { identifiers, schemas = new Schemas(), showSecrets } = options;
  const subjects = (files: readonly ComparedFile[]) =>
    files.flatMap(({ file, path }) => subjectsOf(file.documents, path, false));
  const { pairs, removed, added } = matchSubjects(subjects(before), subjects(after), new Interner());
  const form = ({ root, document }: Subject) => jsonForm(root, document.source);
  const nothing = build(null);
  const patches: DocumentPatch[] = [
    ...pairs.map((pair) => {
      const known = { ...(identifiers === undefined ? {} : { identifiers }) };
      const operations = patchOf(form(pair.before), form(pair.after), known, shapeOf(pair, schemas));
      return { name: subjectName(pair.before), before: pair.before, after: pair.after, operations };
    }),
    ...removed.map((subject) => ({
      name: subjectName(subject),
      before: subject,
      operations: patchOf(form(subject), nothing),
    })),
    ...added.map((subject) => ({
      name: subjectName(subject),
      after: subject,
      operations: patchOf(nothing, form(subject)),
    })),
  ];
  if (showSecrets !== true) for (const patch of patches) refuseSecrets(patch);
  return patches;
}

function refuseSecrets({ name, before, after, operations }: DocumentPatch): void {
  if (![before, after].some((side) => side !== undefined && holdsSecret(side.root))) return;
  const shown = operations.find((operation) => "value" in operation && !isNull(operation.value));
  if (shown === undefined) return;
  throw new ShyamlError(
    "SECRET_REFUSED",
    `${shown.path === "" ? "." : shown.path} of ${name}: a patch shows what a Secret holds, which needs --show-secrets`,
  );
}

function holdsSecret(root: DataNode): boolean {
  const kind = stringAt(root, "kind");
  if (kind === "Secret" || kind === "SecretList") return true;
  const items = valueAt(root, "items");
  return items?.kind === "list" && items.items.some(({ node }) => stringAt(node, "kind") === "Secret");
}
