import { Fault } from "@soldier/kernel/fault";
import { nearest } from "@soldier/kernel/nearest";
import type { Kind } from "./kinds.ts";

/** `slugs` are the tenant's, for a suggestion. */
export function agentNotFound(idOrSlug: string, slugs: readonly string[] = []): Fault {
  const meant = nearest(idOrSlug, slugs);
  const hint =
    meant === undefined
      ? 'make it with POST /v1/agents, or install it from files with "soldier apply"'
      : `did you mean "${meant}"?`;
  return new Fault("not-found", `there is no agent "${idOrSlug}"; ${hint}`, {
    reason: "AGENT_NOT_FOUND",
    metadata: { agent: idOrSlug },
  });
}

export function notFound({ noun }: Pick<Kind, "noun">, idOrName: string): Fault {
  return new Fault("not-found", `there is no ${noun} "${idOrName}" in the draft`, {
    reason: `${noun.toUpperCase().replace(" ", "_")}_NOT_FOUND`,
  });
}

export function nameTaken(noun: string, name: string): Fault {
  return new Fault("already-exists", `there is another ${noun} "${name}"`, {
    reason: "NAME_TAKEN",
  });
}

/** Throws unless the sent etag is empty or the stored one. */
export function requireEtag(sent: string | undefined, stored: string | undefined): void {
  if (!sent || sent === stored) return;
  throw new Fault("conflict", "it was changed in the meantime; read it again and decide anew", {
    reason: "ETAG_MISMATCH",
    metadata: { etag: stored ?? "" },
  });
}

/** `referrers` are places such as "rules/greet". */
export function inUse(noun: string, name: string, referrers: readonly string[]): Fault {
  const shown = referrers.slice(0, 20).join(", ");
  const more = referrers.length > 20 ? ` and ${referrers.length - 20} more` : "";
  return new Fault(
    "precondition",
    `the ${noun} "${name}" is in use by ${shown}${more}; change those first`,
    { reason: "IN_USE", metadata: { referrers: shown } },
  );
}

export function agentNotPublished(slug: string): Fault {
  const how = `publish it with POST /v1/agents/${slug}/publish or "soldier apply --publish"`;
  return new Fault("precondition", `agent "${slug}" has no published version yet; ${how}`, {
    reason: "AGENT_NOT_PUBLISHED",
    metadata: { agent: slug },
  });
}

export function versionNotFound(slug: string, version: bigint): Fault {
  return new Fault("not-found", `agent "${slug}" has no version ${version}`, {
    reason: "VERSION_NOT_FOUND",
  });
}
