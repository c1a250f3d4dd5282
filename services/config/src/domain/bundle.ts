import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Bundle, BundleSchema, type EmbeddingTable } from "@soldier/proto/config/v1/bundle";
import { type AgentDocument, AgentDocumentSchema } from "@soldier/proto/config/v1/config_service";
import { allKinds } from "./kinds.ts";
import { byName, contentHash } from "./meaning.ts";

/** A bundle before it has its number. */
export interface Compiled {
  readonly draft: AgentDocument;
  readonly contentHash: string;
  readonly embeddings: EmbeddingTable;
}

/** Everything of a version but its number and time; resources in the order of their names. */
export function compiled(draft: AgentDocument, embeddings: EmbeddingTable): Compiled {
  const sorted = allKinds.reduce(
    (target: AgentDocument, kind) => kind.replaced(target, kind.of(target).toSorted(byName)),
    draft,
  );
  return { draft: sorted, contentHash: contentHash(draft), embeddings };
}

/** The compiled version under its number. */
export function bundleOf(
  { draft, contentHash: hash, embeddings }: Compiled,
  {
    tenantId,
    version,
    at,
  }: { readonly tenantId: string; readonly version: bigint; readonly at: Date },
): Bundle {
  const { agent, ruleGroups, rules, relations, scenarios, templates, variables, tools } = draft;
  const compiledAt = timestampFromDate(at);
  return create(BundleSchema, {
    tenantId,
    agentId: agent?.id ?? "",
    version,
    contentHash: hash,
    compiledAt,
    ...(agent && { agent: { ...agent, publishedVersion: version, publishedAt: compiledAt } }),
    groups: ruleGroups,
    rules,
    relations,
    scenarios,
    templates,
    variables,
    tools,
    fieldDefinitions: draft.fieldDefinitions,
    embeddings,
  });
}

/** The draft that a bundle was compiled from. */
export function draftOf(bundle: Bundle): AgentDocument {
  const { rules, groups, relations, scenarios, templates, variables, tools } = bundle;
  return create(AgentDocumentSchema, {
    ...(bundle.agent && { agent: bundle.agent }),
    rules,
    ruleGroups: groups,
    relations,
    scenarios,
    templates,
    variables,
    tools,
    fieldDefinitions: bundle.fieldDefinitions,
  });
}
