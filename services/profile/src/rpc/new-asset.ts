import { Fault, type FieldViolation } from "@soldier/kernel/fault";
import { type Asset, FieldSource, FieldSourceSchema } from "@soldier/proto/profile/v1/profile";
import type { NewAsset } from "../store/profile-store.ts";

const uriLengthMax = 2_048;

/** The file in a request. Throws an "invalid" Fault that names every bad field. */
export function newAsset(asset: Asset, recordedBy: string): NewAsset {
  const { kind, uri, checksum, mediaType, sizeBytes, sessionId } = asset;
  const source =
    asset.source === FieldSource.UNSPECIFIED ? FieldSource.HUMAN_ENTERED : asset.source;
  const fields: FieldViolation[] = [];
  const bad = (field: string, description: string) =>
    fields.push({ field: `asset.${field}`, description });
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(kind)) bad("kind", "must be a name such as passport");
  const problem = uriProblem(uri);
  if (problem !== undefined) bad("uri", problem);
  if (checksum.length !== 32) bad("checksum", "must be the 32 bytes of the content's SHA-256");
  if (!/^[\w.+-]{1,127}\/[\w.+-]{1,127}$/.test(mediaType))
    bad("media_type", "must be a media type such as image/png");
  if (sizeBytes < 0n) bad("size_bytes", "must not be negative");
  if (!FieldSourceSchema.values.some(({ number }) => number === source))
    bad("source", "must be one that is known");
  if (sessionId.length > 256 || sessionId.includes("\0")) bad("session_id", "is no session's id");
  if (fields.length > 0)
    throw new Fault("invalid", "the file cannot be recorded", { reason: "ASSET_INVALID", fields });
  return { kind, uri, checksum, mediaType, sizeBytes, source, sessionId, recordedBy };
}

function uriProblem(uri: string): string | undefined {
  if (uri.length > uriLengthMax) return `must have at most ${uriLengthMax} characters`;
  const parsed = URL.parse(uri);
  if (!parsed || uri.includes("\0")) return "must be an absolute URI such as s3://bucket/key";
  if (/^(data|blob|javascript):$/.test(parsed.protocol))
    return "must say where the file is: its content is not stored here";
  if (parsed.username !== "" || parsed.password !== "") return "must not hold a user or password";
  return undefined;
}
