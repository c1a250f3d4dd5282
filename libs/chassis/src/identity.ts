import type { HandlerContext } from "@connectrpc/connect";
import { createContextKey } from "@connectrpc/connect";
import { Fault } from "@soldier/kernel/fault";
import { withIdentity } from "./current.ts";

/** Who calls, as the mesh knows it. The tenant comes from here, never from a message field. */
export interface Identity {
  readonly tenantId: string;
  /** Who it is inside the tenant: a user, an API key, a service. */
  readonly subject: string;
  readonly roles: readonly string[];
}

/** Where an admitted call keeps it; handlers use identityOf(). */
export const identityKey = createContextKey<Identity | undefined>(undefined, {
  description: "identity",
});

/** The identity that the call was admitted with. */
export function identityOf(ctx: Pick<HandlerContext, "values">): Identity {
  const identity = ctx.values.get(identityKey);
  if (!identity) throw new Fault("unauthenticated", "the call carries no identity");
  return identity;
}

export function tenantOf(ctx: Pick<HandlerContext, "values">): string {
  return identityOf(ctx).tenantId;
}

/** Runs the function so that the calls it makes carry this identity: for consumers, tests, tools. */
export function actingAs<T>(identity: Identity, run: () => T): T {
  return withIdentity(identity, run);
}
