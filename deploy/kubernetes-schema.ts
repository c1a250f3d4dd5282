// Strict validation of Kubernetes objects without a cluster: unknown fields by the official client's
// types, wrong types and missing fields by the API's own schemas.
import * as k8s from "@kubernetes/client-node";

interface Attribute {
  readonly name: string;
  readonly baseName: string;
  readonly type: string;
}

interface Model {
  getAttributeTypeMap(): readonly Attribute[];
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly [field: string]: unknown;
}

/** What is wrong with a manifest, each with the path of the field; empty when nothing is. */
export async function problemsOf(manifest: Manifest): Promise<readonly string[]> {
  const at = `${manifest.kind}/${manifest.metadata.name}`;
  const model = modelNamed(`V${manifest.apiVersion.split("/").at(-1)?.slice(1)}${manifest.kind}`);
  if (!model) return [`${at}: unknown kind ${manifest.apiVersion} ${manifest.kind}`];
  return [...unknownFields(manifest, model, at), ...(await schemaProblems(manifest, at))];
}

function* unknownFields(value: object, model: Model, path: string): Generator<string> {
  const known = new Map(model.getAttributeTypeMap().map((field) => [field.baseName, field.type]));
  for (const [key, inner] of Object.entries(value)) {
    const type = known.get(key);
    if (type === undefined) yield `${path}.${key}: no such field`;
    else yield* unknownIn(inner, type, `${path}.${key}`);
  }
}

function* unknownIn(value: unknown, type: string, path: string): Generator<string> {
  const element =
    /^Array<(.+)>$/.exec(type)?.[1] ?? /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
  if (typeof value !== "object" || value === null) return;
  if (element !== undefined) {
    for (const [key, inner] of Object.entries(value))
      yield* unknownIn(inner, element, `${path}[${key}]`);
    return;
  }
  const model = modelNamed(type);
  if (model) yield* unknownFields(value, model, path);
}

function modelNamed(name: string): Model | undefined {
  const found: unknown = Reflect.get(k8s, name);
  return typeof found === "function" && "getAttributeTypeMap" in found
    ? (found as unknown as Model) // every generated model class has this static method
    : undefined;
}

async function schemaProblems(manifest: Manifest, at: string): Promise<readonly string[]> {
  const api: unknown = await import(`kubernetes-models/${manifest.apiVersion}/${manifest.kind}`);
  const type: unknown = Reflect.get(api as object, manifest.kind);
  if (typeof type !== "function") return [`${at}: no schema for ${manifest.apiVersion}`];
  try {
    const object = Reflect.construct(type, [manifest]) as { validate(): void };
    object.validate();
    return [];
  } catch (error) {
    return [`${at}: ${error instanceof Error ? error.message : String(error)}`];
  }
}
