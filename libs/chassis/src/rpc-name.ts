import type { DescMethod } from "@bufbuild/protobuf";
import type { Request } from "./around.ts";

const names = new Map<DescMethod, string>();

/** soldier.session.v1.SessionService/BeginTurn: an RPC's name in traces, metrics and logs. */
export function rpcName({ method }: Pick<Request, "method">): string {
  const known = names.get(method);
  if (known) return known;
  const name = `${method.parent.typeName}/${method.name}`;
  names.set(method, name);
  return name;
}
