import { type DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { answerOf, codeOf } from "./call.ts";
import type { Target } from "./intrude.ts";
import { requestsFor } from "./requests.ts";

export interface Owned {
  readonly problems: readonly string[];
  /** False: the RPC answers UNIMPLEMENTED to everybody. */
  readonly isBuilt: boolean;
}

/**
 * The same requests by the owner, who must be served: a request that is wrong in itself proves nothing.
 * Reads come first, what ends things last.
 */
export async function asOwner(
  { mesh, owner }: Target,
  methods: readonly DescMethod[],
): Promise<ReadonlyMap<DescMethod, Owned>> {
  const found = new Map<DescMethod, Owned>();
  for (const method of methods.toSorted((a, b) => harmOf(a) - harmOf(b))) {
    const problems: string[] = [];
    let isBuilt = true;
    for (const [way, request] of requestsFor(method, owner).entries()) {
      const answer = await answerOf(mesh.as(owner.identity), method, request);
      if (codeOf(answer) === "UNIMPLEMENTED") isBuilt = false;
      else if (answer.kind === "refused")
        problems.push(
          `not proven: the owner's own request (way ${way}) is refused: ${answer.fault.reason} ${answer.fault.message}`,
        );
    }
    found.set(method, { problems, isBuilt });
  }
  return found;
}

/** Later are those that take away what others need. */
const ends = [
  /^CommitTurn$/,
  /^AbortTurn$/,
  /^CloseSession$/,
  /^Delete/,
  /^(DeleteAgent|DeleteSession)$/,
  /^(Erase|Forget)/,
];

export function harmOf(method: DescMethod): number {
  if (method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) return 0;
  return 1 + ends.findLastIndex((one) => one.test(method.name)) + 1;
}
