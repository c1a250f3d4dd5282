import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { Fault } from "@soldier/kernel/fault";
import { role } from "@soldier/proto/common/v1/access";
import { identityKey } from "./identity.ts";

/** Holds the role that the contract asks of a method's callers. */
export const roles: Interceptor = (next) => (req) => {
  const needed = roleOf(req.method);
  if (needed && !req.contextValues.get(identityKey)?.roles.includes(needed)) {
    const method = `${req.service.typeName}/${req.method.name}`;
    throw new Fault("forbidden", `${req.method.name} needs the role "${needed}"`, {
      reason: "ROLE_MISSING",
      metadata: { role: needed, method },
    });
  }
  return next(req);
};

const known = new Map<DescMethod, string | undefined>();

/** The role that the contract asks of a method's callers; undefined for the mesh's own methods. */
export function roleOf(method: DescMethod): string | undefined {
  if (!known.has(method))
    known.set(method, (hasOption(method, role) && getOption(method, role)) || undefined);
  return known.get(method);
}
