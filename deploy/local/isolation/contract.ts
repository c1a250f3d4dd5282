import { globSync } from "node:fs";
import { join } from "node:path";
import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { role } from "@soldier/proto/common/v1/access";

const generated = join(import.meta.dirname, "../../../libs/proto/src/soldier");

/** Every service of the contract, found where it is generated: a new one cannot be forgotten. */
export async function contractServices(): Promise<readonly DescService[]> {
  const files = globSync("*/v*/*_pb.ts", { cwd: generated }).toSorted();
  const modules = await Promise.all(
    files.map((file) => import(join(generated, file)) as Promise<Record<string, unknown>>),
  );
  return modules
    .flatMap((module) => Object.values(module))
    .filter(isService)
    .filter(({ typeName }) => !typeName.startsWith("soldier.testing."));
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "service";
}

/** "SessionService/GetSession". */
export function shortName(method: DescMethod): string {
  return `${method.parent.name}/${method.name}`;
}

/** "session.v1.SessionService/GetSession", as it is printed. */
export function longName(method: DescMethod): string {
  return `${method.parent.typeName.replace(/^soldier\./, "")}/${method.name}`;
}

/** The role that the contract asks for; undefined for the mesh's own methods. */
export function neededRole(method: DescMethod): string | undefined {
  return hasOption(method, role) ? getOption(method, role) : undefined;
}
