import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { lasting } from "@soldier/proto/common/v1/access";

/** Whether the contract lets a stream of the method go on for as long as messages come. */
export function lasts(method: DescMethod): boolean {
  return method.methodKind !== "unary" && hasOption(method, lasting) && getOption(method, lasting);
}
