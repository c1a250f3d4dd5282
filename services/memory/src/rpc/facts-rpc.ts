import { timestampDate } from "@bufbuild/protobuf/wkt";
import { identityOf, tenantOf } from "@soldier/chassis/identity";
import type { route } from "@soldier/chassis/service";
import type { Clock } from "@soldier/kernel/clock";
import { Fault, type FieldViolation } from "@soldier/kernel/fault";
import { isId, newId } from "@soldier/kernel/ids";
import type { MemoryService } from "@soldier/proto/memory/v1/memory_service";
import { FactMode, type QueryFactsRequest } from "@soldier/proto/memory/v1/memory_service";
import type { NewClaim } from "../domain/claim.ts";
import type { ClosingLimits } from "../domain/closings.ts";
import type { AddedClaims, FactStore, ValidTime } from "../store/fact-store.ts";
import { newClaim } from "./claim-input.ts";
import {
  claimMessage,
  entityMessage,
  factMessage,
  mergeMessage,
  parkedMessage,
  predicateOf,
} from "./convert-facts.ts";
import { factFilters } from "./fact-filters.ts";
import { factPlaceOf, factToken, idOf, idToken } from "./page-token.ts";

export interface FactsRpcOptions {
  readonly facts: FactStore;
  readonly limits: ClosingLimits;
  readonly clock: Clock;
}

const pageDefault = 50;

type Handlers = Parameters<typeof route<typeof MemoryService>>[1];

/** The handlers of claims, facts, entities and predicates. */
export function factsRpc({ facts: store, limits, clock }: FactsRpcOptions) {
  return {
    async addClaims({ claims: messages }, ctx) {
      const tenantId = tenantOf(ctx);
      const claims: NewClaim[] = [];
      const fields: FieldViolation[] = [];
      const [groupId = ""] = messages.map((message) => message.groupId);
      for (const [i, message] of messages.entries()) {
        const read = newClaim(message);
        const place = (bad: FieldViolation) => ({ ...bad, field: `claims[${i}].${bad.field}` });
        if ("kind" in read) claims.push(read);
        else fields.push(...read.map(place));
        if (message.groupId !== groupId)
          fields.push(place({ field: "group_id", description: "must be the first claim's group" }));
      }
      if (fields.length > 0) throw invalidClaims(fields);
      const added = stored(await store.addClaims(tenantId, groupId, claims, limits));
      if (added.kind === "parked") return { parked: parkedMessage(tenantId, added.parked) };
      return { claims: added.claims.map((claim) => claimMessage(tenantId, claim)) };
    },

    async listParkedClaims({ pageSize, pageToken }, ctx) {
      const tenantId = tenantOf(ctx);
      const page = await store.listParked(tenantId, pageSize || pageDefault, idOf(pageToken));
      return {
        parked: page.items.map((parked) => parkedMessage(tenantId, parked)),
        nextPageToken: idToken(page.next),
      };
    },

    async reviewParkedClaims({ parkedId, accept }, ctx) {
      const tenantId = tenantOf(ctx);
      const reviewed = await store.review(tenantId, parkedId, accept);
      if (!reviewed)
        throw new Fault("not-found", `no parked claims ${parkedId}`, {
          reason: "PARKED_NOT_FOUND",
        });
      const added = stored(reviewed);
      if (added.kind === "parked") throw new Error("reviewed claims are not parked again");
      return { claims: added.claims.map((claim) => claimMessage(tenantId, claim)) };
    },

    async queryFacts(req, ctx) {
      const now = clock.now();
      const instant = req.asOf?.valid ? timestampDate(req.asOf.valid) : now;
      const page = await store.facts(tenantOf(ctx), {
        groupIds: req.groupIds,
        subject: req.subject || undefined,
        predicates: req.predicates,
        object: req.object || undefined,
        recordedAt: req.asOf?.recorded && timestampDate(req.asOf.recorded),
        valid: validTime(req, instant),
        filters: factFilters(req),
        limit: req.pageSize || pageDefault,
        after: factPlaceOf(req.pageToken),
      });
      return {
        facts: page.facts.map((fact) => factMessage(fact, instant.getTime())),
        nextPageToken: factToken(page.next),
      };
    },

    async addEntities({ entities }, ctx) {
      const tenantId = tenantOf(ctx);
      const fields = entities.flatMap(entityViolations);
      if (fields.length > 0)
        throw new Fault("invalid", "the entities cannot be stored", {
          reason: "ENTITY_INVALID",
          fields,
        });
      const given = entities.map((entity) => ({ ...entity, id: entity.id || newId() }));
      const taken = await store.addEntities(tenantId, given);
      if (taken.length > 0)
        throw new Fault("conflict", `${taken.join(", ")}: entities of another group`, {
          reason: "ENTITY_OF_ANOTHER_GROUP",
        });
      const ids = given.map(({ id }) => id);
      const added = await store.entitiesById(tenantId, ids);
      return { entities: added.map((entity) => entityMessage(tenantId, entity)) };
    },

    async listEntities({ groupId, name, pageSize, pageToken }, ctx) {
      const tenantId = tenantOf(ctx);
      const limit = pageSize || pageDefault;
      const after = idOf(pageToken);
      const page = await store.listEntities(tenantId, groupId, name || undefined, limit, after);
      return {
        entities: page.items.map((entity) => entityMessage(tenantId, entity)),
        nextPageToken: idToken(page.next),
      };
    },

    async mergeEntities({ fromEntityId, toEntityId, evidence }, ctx) {
      const { tenantId, subject } = identityOf(ctx);
      const given = { id: newId(), from: fromEntityId, to: toEntityId, by: subject, evidence };
      const outcome = await store.merge(tenantId, given);
      if (outcome.kind === "not-found")
        throw new Fault("not-found", `no entity ${outcome.entityId}`, {
          reason: "ENTITY_NOT_FOUND",
        });
      if (outcome.kind === "refused")
        throw new Fault("precondition", outcome.why, { reason: "MERGE_REFUSED" });
      return { merge: mergeMessage(outcome.merge) };
    },

    async unmergeEntities({ mergeId }, ctx) {
      const merge = await store.unmerge(tenantOf(ctx), mergeId);
      if (!merge)
        throw new Fault("not-found", `no merge ${mergeId}`, { reason: "MERGE_NOT_FOUND" });
      return { merge: mergeMessage(merge) };
    },

    async setPredicates({ predicates }, ctx) {
      const names = predicates.map(({ name }) => name);
      const fields = names.flatMap((name, i) =>
        names.indexOf(name) === i
          ? []
          : [{ field: `predicates[${i}].name`, description: "is declared twice" }],
      );
      if (fields.length > 0)
        throw new Fault("invalid", "a predicate is declared once", {
          reason: "PREDICATES_INVALID",
          fields,
        });
      await store.setPredicates(tenantOf(ctx), predicates.map(predicateOf));
      return { predicates };
    },
  } satisfies Handlers;
}

function stored(added: AddedClaims) {
  if (added.kind === "refused") throw invalidClaims(added.fields);
  return added;
}

function invalidClaims(fields: readonly FieldViolation[]): Fault {
  return new Fault("invalid", "the claims cannot be stored", { reason: "CLAIM_INVALID", fields });
}

function validTime(req: QueryFactsRequest, instant: Date): ValidTime | undefined {
  if (req.mode === FactMode.HISTORY) return undefined;
  if (req.mode !== FactMode.OVERLAP) return { kind: "at", at: instant };
  const { overlapFrom, overlapTo } = req;
  if (overlapFrom && overlapTo && timestampDate(overlapFrom) < timestampDate(overlapTo))
    return { kind: "overlap", from: timestampDate(overlapFrom), to: timestampDate(overlapTo) };
  throw new Fault("invalid", "an overlap needs an interval", {
    reason: "INTERVAL_INVALID",
    fields: [{ field: "overlap_to", description: "must be after overlap_from, both of them set" }],
  });
}

interface GivenEntity {
  readonly id: string;
  readonly groupId: string;
  readonly type: string;
  readonly name: string;
  readonly aliases: readonly string[];
  readonly mentionedIn: readonly string[];
}

function entityViolations(entity: GivenEntity, i: number): readonly FieldViolation[] {
  const { id, groupId, type, name, aliases, mentionedIn } = entity;
  const found: FieldViolation[] = [];
  const bad = (field: string, description: string) =>
    found.push({ field: `entities[${i}].${field}`, description });
  if (groupId === "") bad("group_id", "must name a group");
  if (name.trim() === "") bad("name", "must not be empty");
  if (aliases.length > 100) bad("aliases", "must be at most 100");
  if (mentionedIn.length > 10_000 || !mentionedIn.every((each) => isId(each)))
    bad("mentioned_in", "must be ids of episodes, at most 10000");
  const texts = [id, groupId, type, name, ...aliases];
  if (texts.some((text) => text.length > 256 || text.includes("\0")))
    bad("name", "no text of it may have more than 256 characters, or NUL");
  return found;
}
