import { fromBinary, type JsonObject } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { FieldDefinition, HttpTool, RpcTool, Tool } from "@soldier/proto/config/v1/tool";
import { propertiesOf, schemaError } from "./json-schema.ts";
import { type Notes, unknownName } from "./problem.ts";
import { checkPath, checkPattern, templateNames, type Vocabulary } from "./vocabulary.ts";

const builtins = ["set_field", "hand_off", "close_session"];

export function checkTool(tool: Tool, notes: Notes, known: Vocabulary): void {
  checkSchema("input_schema", tool.inputSchema, notes);
  checkSchema("output_schema", tool.outputSchema, notes);
  const properties = propertiesOf(tool.inputSchema);
  for (const [name, source] of Object.entries(tool.arguments)) {
    const field = `arguments["${name}"]`;
    if (properties && !properties.includes(name))
      notes.wrong(field, "ARGUMENT_UNKNOWN", unknownName("input property", name, properties));
    checkPattern(notes, `${field}.pattern`, source.pattern);
    if (source.from && isPath(source.from, `${field}.from`, notes))
      checkPath(notes, `${field}.from`, source.from, known);
  }
  if (tool.timeout && tool.timeout.seconds <= 0n && tool.timeout.nanos <= 0)
    notes.wrong("timeout", "TIMEOUT_INVALID", "must be longer than nothing");
  if (tool.retriesMax > 0 && !tool.idempotent)
    notes.doubtful("retries_max", "NO_EFFECT", "only an idempotent tool is tried again");
  const { kind } = tool;
  if (tool.directs && kind.case === "builtin")
    notes.doubtful("directs", "NO_EFFECT", "a builtin tool has no answer that could direct");
  if (kind.case === "http") checkHttp(kind.value, properties, notes);
  if (kind.case === "rpc") checkRpc(kind.value, notes);
  if (kind.case === "mcp" && !isAddress(kind.value.url))
    notes.wrong("mcp.url", "ADDRESS_INVALID", "must be an http or https URL");
  if (kind.case === "builtin" && !builtins.includes(kind.value.name))
    notes.wrong(
      "builtin.name",
      "BUILTIN_UNKNOWN",
      unknownName("builtin", kind.value.name, builtins),
    );
}

export function checkFieldDefinition(definition: FieldDefinition, notes: Notes): void {
  checkSchema("validation", definition.validation, notes);
  checkPattern(notes, "extraction_pattern", definition.extractionPattern);
}

function checkSchema(field: string, schema: JsonObject | undefined, notes: Notes): void {
  const error = schema && schemaError(schema);
  if (error !== undefined)
    notes.wrong(field, "SCHEMA_INVALID", `is not a JSON Schema (2020-12): ${error}`);
}

function checkHttp(
  { url, headers }: HttpTool,
  properties: readonly string[] | undefined,
  notes: Notes,
): void {
  const [settings, withoutSettings] = [[...url.matchAll(/\$\{([^}]*)\}/g)], withoutReferences(url)];
  for (const [, name = ""] of settings) checkSettingName(name, "http.url", notes);
  for (const name of templateNames(notes, "http.url", withoutSettings))
    if (properties && !properties.includes(name))
      notes.wrong("http.url", "ARGUMENT_UNKNOWN", unknownName("input property", name, properties));
  if (!url.startsWith("${") && !isAddress(withoutSettings.replaceAll(/\{[^}]*\}/g, "x")))
    notes.wrong("http.url", "ADDRESS_INVALID", "must be an http or https URL");
  for (const [name, value] of Object.entries(headers)) {
    const field = `http.headers["${name}"]`;
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
      notes.wrong(field, "HEADER_INVALID", "is not a header's name");
    if (/[\r\n\0]/.test(value)) notes.wrong(field, "HEADER_INVALID", "must be one line");
    for (const [, setting = ""] of value.matchAll(/\$\{([^}]*)\}/g))
      checkSettingName(setting, field, notes);
  }
}

function checkRpc(rpc: RpcTool, notes: Notes): void {
  if (!/^[A-Za-z_][\w.]*\/[A-Za-z_]\w*$/.test(rpc.method))
    notes.wrong("rpc.method", "METHOD_INVALID", 'must be like "shop.v1.Orders/GetOrder"');
  if (rpc.connect ? !isAddress(rpc.address) : !/^[^\s/]+:\d+$/.test(rpc.address))
    notes.wrong(
      "rpc.address",
      "ADDRESS_INVALID",
      rpc.connect ? "must be a URL" : "must be host:port",
    );
  if (rpc.descriptorSet.length === 0) return;
  try {
    fromBinary(FileDescriptorSetSchema, rpc.descriptorSet);
  } catch {
    // Whatever is wrong inside the bytes, the author's remedy is the same.
    notes.wrong("rpc.descriptor_set", "DESCRIPTOR_INVALID", "is not a FileDescriptorSet");
  }
}

/** Settings of the deployment stand at the head of an address or inside of it; their values aren't known here. */
function withoutReferences(url: string): string {
  return url.replaceAll(/\$\{[^}]*\}/g, "setting");
}

function checkSettingName(name: string, field: string, notes: Notes): void {
  if (!/^[a-z][a-z0-9_]*$/.test(name))
    notes.wrong(field, "SETTING_INVALID", `\${${name}} is not the name of a deployment's setting`);
}

export function isPath(path: string, field: string, notes: Notes): boolean {
  return templateNames(notes, field, `{${path}}`).length > 0;
}

function isAddress(url: string): boolean {
  return /^https?:\/\//.test(url) && URL.canParse(url);
}
