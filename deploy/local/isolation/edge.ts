import {
  type DescMethod,
  getOption,
  hasOption,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { http } from "@soldier/proto/google/api/annotations";

/** What a plain HTTP request was answered. */
export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** The request as the method's annotation offers it over HTTP; undefined when it does not. */
export async function overRest(
  url: string,
  token: string,
  method: DescMethod,
  request: Message,
): Promise<HttpAnswer | undefined> {
  if (!hasOption(method, http)) return undefined;
  const { pattern, body } = getOption(method, http);
  if (typeof pattern.value !== "string") return undefined;
  const json = toJson(method.input, request, { useProtoFieldName: true });
  const fields = isObject(json) ? { ...json } : {};
  const path = pattern.value.replaceAll(/\{([^}]+)\}/g, (_, name: string) => {
    const value = taken(fields, name.split("."));
    return encodeURIComponent(typeof value === "string" ? value : "");
  });
  const content = body === "*" ? fields : fields[body];
  if (body !== "" && body !== "*") delete fields[body];
  const query = new URLSearchParams();
  if (body !== "*")
    for (const [name, value] of Object.entries(fields))
      for (const one of Array.isArray(value) ? value : [value])
        if (typeof one === "string" || typeof one === "number" || typeof one === "boolean")
          query.append(name, String(one));
  const tail = query.size > 0 ? `?${query.toString()}` : "";
  const res = await fetch(`${url}${path}${tail}`, {
    method: pattern.case.toUpperCase(),
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body !== "" && { body: JSON.stringify(content ?? {}) }),
  });
  return { status: res.status, text: await res.text() };
}

/** A unary Connect call as anybody would write it. */
export async function overConnect(
  url: string,
  token: string,
  method: DescMethod,
  request: Message,
): Promise<HttpAnswer> {
  const res = await fetch(`${url}/${method.parent.typeName}/${method.name}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(toJson(method.input, request)),
  });
  return { status: res.status, text: await res.text() };
}

/** The value at the path; taken out of the query's fields, and left in a body, which may name it too. */
function taken(fields: Record<string, JsonValue>, path: readonly string[]) {
  const [name = "", ...rest] = path;
  const value = fields[name];
  const inner = rest.reduce<JsonValue | undefined>(
    (here, key) => (isObject(here) ? here[key] : undefined),
    value,
  );
  if (rest.length === 0) delete fields[name];
  return inner;
}

function isObject(value: JsonValue | undefined): value is Record<string, JsonValue> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
