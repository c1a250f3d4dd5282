import {
  createFileRegistry,
  type DescMethodStreaming,
  type DescMethodUnary,
  type FileRegistry,
  fromBinary,
} from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import type { RpcTool } from "@soldier/proto/config/v1/tool";
import {
  ServerReflection,
  type ServerReflectionResponse,
} from "@soldier/proto/grpc/reflection/v1/reflection";
import { LRUCache } from "lru-cache";
import { timeoutSignal } from "@soldier/kernel/timeout-signal";
import { untilAborted } from "./egress.ts";

const servicesMax = 1_000;
/** Then a server is asked again what its methods are. */
const knownForMs = 5 * 60_000;
const filesMax = 500;
const askingMs = 10_000;

export type Described = DescMethodUnary | { readonly refused: string };

/** What methods take and give: from the tool's own descriptors, else from its server's reflection. */
export function rpcMethods() {
  const given = new WeakMap<RpcTool, FileRegistry | undefined>();
  const reflected = new LRUCache<string, Promise<FileRegistry | undefined>>({
    max: servicesMax,
    ttl: knownForMs,
  });

  return {
    /** Throws what the server's transport throws. */
    async find(
      tool: RpcTool,
      origin: string,
      open: (signal: AbortSignal) => Promise<Transport>,
      until: AbortSignal,
    ): Promise<Described> {
      const [, service = "", name = ""] = /^\/?([\w.]+)\/(\w+)$/.exec(tool.method) ?? [];
      if (!service) return { refused: `TOOL_METHOD_UNKNOWN: ${tool.method} is no full name` };
      let types: FileRegistry | undefined;
      if (tool.descriptorSet.length > 0) {
        if (!given.has(tool)) given.set(tool, typesIn(tool.descriptorSet));
        types = given.get(tool);
        if (!types) return { refused: "TOOL_DESCRIPTOR_INVALID" };
      } else {
        types = await untilAborted(ask(`${origin} ${service}`, service, open), until);
        if (!types) return { refused: "TOOL_METHOD_UNKNOWN: its server has no reflection for it" };
      }
      const method = types.getService(service)?.methods.find((one) => one.name === name);
      if (!method) return { refused: `TOOL_METHOD_UNKNOWN: there is no ${tool.method}` };
      if (method.methodKind !== "unary")
        return { refused: `TOOL_METHOD_STREAMS: ${tool.method} is no unary method` };
      return method as DescMethodUnary; // its kind says so
    },
  };

  /** Of many at once one asks, for all and not within its own time; what failed is asked again. */
  function ask(
    key: string,
    service: string,
    open: (signal: AbortSignal) => Promise<Transport>,
  ): Promise<FileRegistry | undefined> {
    const known = reflected.get(key);
    if (known) return known;
    const signal = timeoutSignal(askingMs);
    const asking = open(signal).then((transport) => reflection(transport, service, signal));
    reflected.set(key, asking);
    const forget = () => {
      if (reflected.peek(key) === asking) reflected.delete(key);
    };
    asking.then((types) => types ?? forget(), forget);
    return asking;
  }
}

function typesIn(descriptorSet: Uint8Array): FileRegistry | undefined {
  try {
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
  } catch {
    return undefined; // whoever wrote the tool is told so
  }
}

/** The file of a service with all that it imports; undefined when the server does not tell. */
async function reflection(
  transport: Transport,
  service: string,
  signal: AbortSignal,
): Promise<FileRegistry | undefined> {
  const files = new Map<string, FileDescriptorProto>();
  const first = await asked({ case: "fileContainingSymbol", value: service });
  if (!first) return undefined;
  for (const file of files.values())
    for (const name of file.dependency)
      if (!files.has(name)) {
        if (files.size >= filesMax) return undefined;
        if (!(await asked({ case: "fileByFilename", value: name }))) return undefined;
      }
  return createFileRegistry(first, (name) => files.get(name));

  type Question = { case: "fileContainingSymbol" | "fileByFilename"; value: string };

  /** The file itself; it may bring others along. */
  async function asked(question: Question): Promise<FileDescriptorProto | undefined> {
    const response = await exchange(question);
    if (response?.messageResponse.case !== "fileDescriptorResponse") return undefined;
    const found = response.messageResponse.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );
    for (const file of found) files.set(file.name, file);
    return question.case === "fileByFilename"
      ? files.get(question.value)
      : found.find(({ service: services, package: scope }) =>
          services.some(({ name }) => [scope, name].filter(Boolean).join(".") === service),
        );
  }

  async function exchange(question: Question): Promise<ServerReflectionResponse | undefined> {
    for (const version of ["v1", "v1alpha"] as const)
      try {
        return await once(version, question);
      } catch (error) {
        if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
      }
    return undefined;
  }

  async function once(version: "v1" | "v1alpha", question: Question) {
    const { message } = await transport.stream(
      methodOf(version),
      signal,
      undefined,
      undefined,
      (async function* () {
        yield { messageRequest: question };
      })(),
    );
    for await (const response of message) return response;
    return undefined;
  }
}

type ReflectionMethod = DescMethodStreaming & typeof ServerReflection.method.serverReflectionInfo;

/** The older version differs in its name alone. */
function methodOf(version: "v1" | "v1alpha"): ReflectionMethod {
  const method = ServerReflection.method.serverReflectionInfo;
  if (version === "v1") return method;
  const parent = { ...ServerReflection, typeName: "grpc.reflection.v1alpha.ServerReflection" };
  return { ...method, parent };
}
