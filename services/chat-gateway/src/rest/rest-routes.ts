import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import { http } from "@soldier/proto/google/api/annotations";
import { type PathTable, pathTable, type PathTemplate, pathTemplate } from "./path-template.ts";

/** One method of the contract, as its annotation offers it over HTTP. */
export interface RestRoute {
  readonly method: DescMethod;
  readonly verb: Verb;
  /** As in the annotation. */
  readonly path: string;
  readonly template: PathTemplate;
  /** What the request's body is: the whole message, one of its fields, or nothing. */
  readonly body: DescField | "message" | undefined;
}

export type Verb = "GET" | "PUT" | "POST" | "DELETE" | "PATCH";

/** The routes of one path, by verb. */
export type PathRoutes = Map<string, RestRoute>;

const verbs: Readonly<Record<string, Verb>> = {
  get: "GET",
  put: "PUT",
  post: "POST",
  delete: "DELETE",
  patch: "PATCH",
};

/** Every annotated method. Throws when an annotation cannot be served. */
export function restRoutes(services: readonly DescService[]): readonly RestRoute[] {
  return services.flatMap((service) => service.methods.flatMap((method) => routesOf(method)));
}

export function routeTable(routes: readonly RestRoute[]): PathTable<PathRoutes> {
  const table = pathTable<PathRoutes>();
  for (const route of routes) {
    const here = table.at(route.template, () => new Map());
    const other = here.get(route.verb);
    if (other)
      throw new Error(`${nameOf(route.method)} and ${nameOf(other.method)} have the same path`);
    here.set(route.verb, route);
  }
  return table;
}

function routesOf(method: DescMethod): readonly RestRoute[] {
  if (!hasOption(method, http)) return [];
  const rule = getOption(method, http);
  return [rule, ...rule.additionalBindings].map(({ pattern, body }) => {
    const verb = verbs[pattern.case ?? ""];
    if (!verb || typeof pattern.value !== "string")
      throw new Error(`${nameOf(method)}: the annotation names no verb that is served here`);
    const template = pathTemplate(pattern.value);
    for (const segment of template.segments)
      if (segment.kind === "field") fieldsAt(method.input, segment.path);
    return { method, verb, path: pattern.value, template, body: bodyOf(method, body) };
  });
}

function bodyOf(method: DescMethod, body: string): RestRoute["body"] {
  if (body === "") return undefined;
  return body === "*" ? "message" : fieldsAt(method.input, [body])[0];
}

/** The fields along a path of names. Throws when the message has no such field. */
export function fieldsAt(message: DescMessage, path: readonly string[]): readonly DescField[] {
  const fields: DescField[] = [];
  let here: DescMessage | undefined = message;
  for (const name of path) {
    const field: DescField | undefined = here?.fields.find((one) => one.name === name);
    if (!field) throw new Error(`${message.typeName} has no field ${path.join(".")}`);
    fields.push(field);
    here = field.fieldKind === "message" ? field.message : undefined;
  }
  return fields;
}

function nameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}
