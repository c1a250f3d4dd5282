import {
  createRegistry,
  type DescFile,
  type DescService,
  type MessageInitShape,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "@soldier/proto/grpc/reflection/v1/reflection";
import { type Route, route } from "./service.ts";

type Answer = NonNullable<
  MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]
>;

/** grpc.reflection.v1: tools can call the services without having their contract. */
export function reflectionRpc(services: readonly DescService[]): Route {
  const known = knownFrom(services);
  return route(ServerReflection, {
    async *serverReflectionInfo(requests) {
      for await (const request of requests)
        yield {
          validHost: request.host,
          originalRequest: request,
          messageResponse: answerTo(request.messageRequest, known),
        };
    },
  });
}

interface Known {
  readonly services: readonly DescService[];
  readonly files: ReadonlyMap<string, DescFile>;
  readonly types: Registry;
}

function knownFrom(services: readonly DescService[]): Known {
  const files = new Map<string, DescFile>();
  const add = (file: DescFile): void => {
    if (files.has(file.proto.name)) return;
    files.set(file.proto.name, file);
    file.dependencies.forEach(add);
  };
  for (const service of services) add(service.file);
  return { services, files, types: createRegistry(...files.values()) };
}

function answerTo(asked: ServerReflectionRequest["messageRequest"], known: Known): Answer {
  switch (asked.case) {
    case "listServices":
      return {
        case: "listServicesResponse",
        value: { service: known.services.map(({ typeName }) => ({ name: typeName })) },
      };
    case "fileByFilename":
      return fileAnswer(known.files.get(asked.value), asked.value);
    case "fileContainingSymbol":
      return fileAnswer(fileWith(asked.value, known.types), asked.value);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = asked.value;
      const found = extensionsOf(containingType, known.types).find(
        (extension) => extension.number === extensionNumber,
      );
      return fileAnswer(found?.file, `${containingType} [${extensionNumber}]`);
    }
    case "allExtensionNumbersOfType": {
      const extensionNumber = extensionsOf(asked.value, known.types).map(({ number }) => number);
      const value = { baseTypeName: asked.value, extensionNumber };
      return { case: "allExtensionNumbersResponse", value };
    }
    case undefined:
      return refusal(Code.InvalidArgument, "the request asks nothing");
  }
}

/** A method, field or value is in the file of the type that it is part of. */
function fileWith(symbol: string, types: Registry): DescFile | undefined {
  const found = types.get(symbol) ?? types.get(symbol.slice(0, symbol.lastIndexOf(".")));
  return found?.file;
}

function extensionsOf(typeName: string, types: Registry) {
  return [...types]
    .filter((type) => type.kind === "extension")
    .filter((extension) => extension.extendee.typeName === typeName);
}

/** The file with all that it imports, so that one answer is enough. */
function fileAnswer(file: DescFile | undefined, asked: string): Answer {
  if (!file) return refusal(Code.NotFound, `${asked} is not known here`);
  const files = new Set<DescFile>();
  const add = (one: DescFile): void => {
    if (files.has(one)) return;
    files.add(one);
    one.dependencies.forEach(add);
  };
  add(file);
  const fileDescriptorProto = [...files].map((one) =>
    toBinary(FileDescriptorProtoSchema, one.proto),
  );
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function refusal(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
