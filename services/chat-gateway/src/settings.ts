import { z } from "zod";

const rate = {
  requests_per_second: z.number().positive().max(1_000_000),
  burst: z.int().min(1).max(1_000_000),
};

const asymmetric = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"] as const;

const auth = z
  .strictObject({
    secret: z.union([z.literal(""), z.string().min(32, "must have at least 32 characters")]),
    jwks_url: z.union([z.literal(""), z.url({ protocol: /^https?$/ })]),
    public_key: z.string(),
    algorithms: z.array(z.enum(asymmetric)).min(1),
    issuer: z.string().min(1),
    audience: z.string().min(1),
    tenant_claim: z.string().min(1),
    roles_claim: z.string().min(1),
    clock_tolerance_seconds: z.int().min(0).max(300),
    remembered_max: z.int().min(0).max(1_000_000),
    remembered_seconds: z.int().min(1).max(86_400),
  })
  .superRefine(({ secret, jwks_url, public_key }, problems) => {
    const given = [secret, jwks_url, public_key].filter((key) => key !== "").length;
    if (given === 0)
      problems.addIssue({
        code: "custom",
        path: ["secret"],
        message: "must be set, or jwks_url, or public_key: without a key no token can be checked",
      });
    if (given > 1)
      problems.addIssue({
        code: "custom",
        path: ["secret"],
        message: "only one of secret, jwks_url and public_key may be set",
      });
  });

const limits = z.strictObject({
  ...rate,
  turns_max: z.int().min(1).max(1_000_000),
  tenants_max: z.int().min(1).max(10_000_000),
  tenants: z.record(z.string(), z.strictObject(rate)),
});

/** The table [chat_gateway]. */
export const chatGatewaySettings = z.strictObject({
  message_size_max_bytes: z.int().min(1),
  body_size_max_bytes: z.int().min(1),
  deadline_ms: z.int().min(1).max(3_600_000),
  heartbeat_ms: z.int().min(10).max(600_000),
  allowed_origins: z.array(
    z.union(
      [z.literal("*"), z.url({ protocol: /^https?$/ })],
      "is no origin like https://a.example",
    ),
  ),
  auth,
  limits,
});

export type ChatGatewaySettings = z.output<typeof chatGatewaySettings>;
export type AuthSettings = ChatGatewaySettings["auth"];
export type LimitSettings = ChatGatewaySettings["limits"];
