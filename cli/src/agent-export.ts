import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toJson } from "@bufbuild/protobuf";
import type { Call } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import {
  type AgentDocument,
  AgentDocumentSchema,
  ConfigService,
} from "@soldier/proto/config/v1/config_service";
import { stringify } from "yaml";
import { inShort } from "./short-forms.ts";
import { yamlFilesIn } from "./yaml-files.ts";

/** Writes an agent's draft as files that apply() reads. Returns their paths. */
export async function exportAgent(
  call: Call,
  agent: string,
  directory: string,
): Promise<readonly string[]> {
  const { document } = await call(ConfigService).exportAgent({ agentId: agent });
  if (!document) throw new Fault("internal", `the export of ${agent} came without a document`);
  return writeAgentFiles(document, directory);
}

/**
 * Writes a file for the agent and one for each of its lists, over those of an earlier export. Throws
 * a Fault, and writes nothing, when the folder has YAML files that would be read along with them.
 */
export async function writeAgentFiles(
  document: AgentDocument,
  directory: string,
): Promise<readonly string[]> {
  await mkdir(directory, { recursive: true }).catch((error: unknown) => {
    throw new Fault("precondition", `${directory} cannot be made a folder: ${String(error)}`, {
      reason: "FOLDER_INVALID",
    });
  });
  const { fields } = AgentDocumentSchema;
  const own = fields.map(fileOf);
  const others = (await yamlFilesIn(directory)).filter((file) => !own.includes(file));
  if (others.length > 0)
    throw new Fault(
      "precondition",
      `${directory} has other YAML files (${others.join(", ")}): name a new folder`,
      { reason: "FOLDER_IN_USE" },
    );
  const json = toJson(AgentDocumentSchema, document, { useProtoFieldName: true });
  const all = new Map(Object.entries(inShort(AgentDocumentSchema, json) ?? {}));
  const written: string[] = [];
  for (const field of fields) {
    const path = join(directory, fileOf(field));
    const content = all.get(field.name);
    if (content === undefined) {
      await rm(path, { force: true }); // of an earlier export
      continue;
    }
    await writeFile(path, stringify({ [field.name]: content }, { lineWidth: 100 }));
    written.push(path);
  }
  return written;
}

function fileOf({ name }: { readonly name: string }): string {
  return `${name.replaceAll("_", "-")}.yaml`;
}
