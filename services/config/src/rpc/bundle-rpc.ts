import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Identity, identityOf } from "@soldier/chassis/identity";
import type { Bundle } from "@soldier/proto/config/v1/bundle";
import {
  type AgentDocument,
  type ConfigService,
  type StreamBundleRequest,
  type StreamBundleResponseSchema,
} from "@soldier/proto/config/v1/config_service";
import type { VariableValue } from "@soldier/proto/config/v1/template";
import { adopted, emptyDraft } from "../domain/document.ts";
import { refusal } from "../domain/problem.ts";
import { agentNotPublished } from "../domain/refusals.ts";
import { errorsOf, settle } from "../domain/settle.ts";
import { bundleParts, bytesOf, type SerialisedBundle } from "../publish/serialised-bundle.ts";
import { requireAgent, requireDraft } from "./edit.ts";
import type { Context, Parts } from "./parts.ts";

/** Which version, as both requests say it. */
type Which = Pick<StreamBundleRequest, "agentId" | "version" | "knownVersion">;

type Bundles = Required<
  Pick<ServiceImpl<typeof ConfigService>, "getBundle" | "streamBundle" | "compileBundle">
>;

/** What turns run on: published versions, and trials of what is not published. */
export function bundleHandlers(parts: Parts): Bundles {
  const { store, clock, publisher } = parts;

  /** Of a version that the caller does not know `read` gives the bundle. */
  async function live<T>(
    { agentId, version, knownVersion }: Which,
    identity: Identity,
    read: (agent: Awaited<ReturnType<typeof requireAgent>>, version: bigint) => Promise<T>,
  ) {
    const agent = await requireAgent(parts, identity, agentId);
    const wanted = version || agent.publishedVersion;
    if (wanted === 0n) throw agentNotPublished(agent.slug);
    const [bundle, values] = await Promise.all([
      wanted === knownVersion ? undefined : read(agent, wanted),
      store.valuesInForce(identity.tenantId, agent.id, clock.now()),
    ]);
    return { bundle, version: wanted, variableValues: [...values] };
  }

  async function trial(
    agentId: string,
    document: AgentDocument | undefined,
    ctx: Context,
  ): Promise<{ readonly bundle: Bundle; readonly variableValues: VariableValue[] }> {
    const identity = identityOf(ctx);
    const { tenantId } = identity;
    const current = document
      ? await store.draft(tenantId, agentId)
      : await requireDraft(parts, identity, agentId);
    const before = current?.document ?? emptyDraft();
    const { draft, problems } = settle(document ? adopted(document, before) : before, before);
    const errors = errorsOf(problems);
    if (errors.length > 0) throw refusal(errors);
    const [bundle, values] = await Promise.all([
      publisher.trial(identity, draft, ctx.signal),
      store.valuesInForce(tenantId, draft.agent?.id ?? "", clock.now()),
    ]);
    return { bundle, variableValues: [...values] };
  }

  return {
    async getBundle(request, ctx) {
      const identity = identityOf(ctx);
      const { bundle, ...beside } = await live(request, identity, (agent, version) =>
        publisher.version(identity, agent, version),
      );
      return { ...beside, ...(bundle && { bundle }) };
    },

    compileBundle: ({ agentId, document }, ctx) => trial(agentId, document, ctx),

    async *streamBundle(request, ctx) {
      const identity = identityOf(ctx);
      if (request.trial) {
        const { bundle, variableValues } = await trial(
          request.agentId,
          request.trial.document,
          ctx,
        );
        yield* sent({ version: 0n, variableValues, bundle: bytesOf(bundle) });
        return;
      }
      yield* sent(
        await live(request, identity, (agent, version) =>
          publisher.serialised(identity, agent, version),
        ),
      );
    },
  };
}

type Part = MessageInitShape<typeof StreamBundleResponseSchema>;

async function* sent({
  bundle,
  version,
  variableValues,
}: {
  readonly bundle: SerialisedBundle | undefined;
  readonly version: bigint;
  readonly variableValues: VariableValue[];
}): AsyncIterable<Part> {
  const sizeBytes = BigInt(bundle?.sizeBytes ?? 0);
  yield { part: { case: "head", value: { version, sizeBytes, variableValues } } };
  if (bundle) yield* bundleParts(bundle);
}
