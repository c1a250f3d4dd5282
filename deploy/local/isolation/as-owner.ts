import { type DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { type Answer, answerOf, codeOf } from "./call.ts";
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
    const answers: Answer[] = [];
    for (const request of requestsFor(method, owner))
      answers.push(await answerOf(mesh.as(owner.identity), method, request));
    const isBuilt = answers.some((answer) => codeOf(answer) !== "UNIMPLEMENTED");
    for (const [way, answer] of answers.entries())
      if (answer.kind === "refused")
        problems.push(
          `not proven: the owner's own request (way ${way}) is refused: ${answer.fault.reason} ${answer.fault.message}`,
        );
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
