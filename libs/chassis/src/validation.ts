import type { DescMessage, Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import type { Interceptor } from "@connectrpc/connect";
import { Fault } from "@soldier/kernel/fault";
import { mapped } from "./around.ts";

const validator = createValidator();

/** Holds the contract's rules for requests; every bad field is named at once. */
export const validation: Interceptor = (next) => (req) => {
  const valid = <T extends Message>(message: T): T => {
    requireValid(req.method.input, message);
    return message;
  };
  if (req.stream) return next({ ...req, message: mapped(req.message, valid) });
  valid(req.message);
  return next(req);
};

/** Throws the Fault "invalid" with each field that breaks a rule of the contract. */
export function requireValid(schema: DescMessage, message: Message): void {
  const result = validator.validate(schema, message);
  if (result.kind === "valid") return;
  if (result.kind === "error") throw result.error; // a rule in the contract is broken, not the message
  const fields = result.violations.map((violation) => ({
    field: pathToString(violation.field),
    description: violation.message || violation.ruleId,
  }));
  const told = fields.map(({ field, description }) =>
    field ? `${field}: ${description}` : description,
  );
  throw new Fault("invalid", told.join("; "), { reason: "VALIDATION_FAILED", fields });
}
