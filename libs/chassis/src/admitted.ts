import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import type { Admission } from "./admission.ts";
import { deadlineKey, whenOverKey } from "./deadline.ts";
import { identityKey } from "./identity.ts";
import { roleOf } from "./roles.ts";

/**
 * Lets calls that begin work in when it is their tenant's turn. What goes on with work that was begun
 * elsewhere, a turn's commit above all, is never kept waiting: it is bounded by what was let in there.
 */
export function admitted(admission: Admission, begins: readonly DescMethod[]): Interceptor {
  const first = new Set(begins);
  return (next) => async (req) => {
    if (!first.has(req.method) && roleOf(req.method) === undefined) return next(req);
    // A conversation may be silent for long; each of its turns is let in by itself.
    if (req.method.methodKind === "bidi_streaming") return next(req);
    const place = await admission.enter({
      tenantId: req.contextValues.get(identityKey)?.tenantId ?? "",
      deadlineAtMs: req.contextValues.get(deadlineKey),
      signal: req.signal,
    });
    // A stream goes on after its handler has answered; of other calls the handler may go on after its
    // caller has left, and keeps its place until then.
    if (req.stream) req.contextValues.get(whenOverKey)(() => place.leave());
    try {
      return await next(req);
    } finally {
      if (!req.stream || req.signal.aborted) place.leave();
    }
  };
}
