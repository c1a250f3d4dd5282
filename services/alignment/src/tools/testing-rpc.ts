import { createServer } from "node:http";
import {
  create,
  type DescMethod,
  fromBinary,
  type JsonObject,
  type Message,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceError,
} from "@grpc/grpc-js";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "@soldier/proto/grpc/reflection/v1/reflection";
import { type Asked, type Endpoint, listening, type Work } from "./testing-endpoint.ts";
import {
  fileProtos,
  orderBytes,
  orderOf,
  orders,
  requestIn,
  requestType,
} from "./testing-orders.ts";

export interface GrpcEndpoint extends Endpoint {
  /** Symbols and files that its reflection was asked for. */
  readonly reflected: string[];
}

/** shop.v1.Orders by grpc-js. */
export async function grpcEndpoint(
  work: Work,
  reflection: "v1" | "v1alpha" | "none" = "v1",
  address = "127.0.0.1:0",
): Promise<GrpcEndpoint> {
  const asked: Asked[] = [];
  const reflected: string[] = [];
  const server = new Server();
  const unary =
    (method: string): handleUnaryCall<JsonObject, Uint8Array> =>
    ({ request, metadata }, answer) => {
      const [key, authorization] = ["idempotency-key", "authorization"].map((name) =>
        metadata.get(name)[0]?.toString(),
      );
      const one = { method, arguments: request, key, authorization };
      asked.push(one);
      work(one).then(
        (values) => answer(null, orderBytes(values)),
        (error: Partial<ServiceError>) => answer(error),
      );
    };
  const names = orders.methods.map(({ name }) => name);
  server.addService(
    Object.fromEntries(
      names.map((name) => [
        name,
        { ...wire, path: `/shop.v1.Orders/${name}`, requestDeserialize: requestIn },
      ]),
    ),
    Object.fromEntries(names.map((name) => [name, unary(name)])),
  );
  if (reflection !== "none")
    server.addService(
      {
        info: {
          ...wire,
          path: `/grpc.reflection.${reflection}.ServerReflection/ServerReflectionInfo`,
          requestStream: true,
          responseStream: true,
          requestDeserialize: (bytes: Buffer) => fromBinary(ServerReflectionRequestSchema, bytes),
        },
      },
      { info: reflectionOf(reflected) },
    );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    host: `127.0.0.1:${port}`,
    asked,
    reflected,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

const wire = {
  requestStream: false,
  responseStream: false,
  requestSerialize: () => Buffer.alloc(0),
  responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes),
  responseDeserialize: (bytes: Buffer) => bytes,
};

/** One file for each answer: what it imports must be asked for. */
function reflectionOf(
  reflected: string[],
): handleBidiStreamingCall<ServerReflectionRequest, Uint8Array> {
  return (call) => {
    call.on("data", ({ messageRequest: question }: ServerReflectionRequest) => {
      reflected.push(typeof question.value === "string" ? question.value : "");
      const file = fileProtos.find(
        ({ name, service }) =>
          name === question.value ||
          service.some((one) => `shop.v1.${one.name}` === question.value),
      );
      const response = create(ServerReflectionResponseSchema, {
        messageResponse: file
          ? {
              case: "fileDescriptorResponse",
              value: { fileDescriptorProto: [toBinary(FileDescriptorProtoSchema, file)] },
            }
          : { case: "errorResponse", value: { errorCode: 5, errorMessage: "not known here" } },
      });
      call.write(toBinary(ServerReflectionResponseSchema, response));
    });
    call.on("end", () => call.end());
  };
}

/** The same service by Connect, over HTTP/1.1. */
export async function connectEndpoint(work: Work): Promise<Endpoint> {
  const asked: Asked[] = [];
  const handler = connectNodeAdapter({
    routes: (router) => {
      const unary = orders.methods.filter(({ methodKind }) => methodKind === "unary");
      const handlerOf =
        ({ name }: DescMethod) =>
        async (request: Message, ctx: HandlerContext) => {
          const one = {
            method: name,
            arguments: toJson(requestType, request) as JsonObject, // a message is an object
            key: ctx.requestHeader.get("idempotency-key") ?? undefined,
            authorization: ctx.requestHeader.get("authorization") ?? undefined,
          };
          asked.push(one);
          return orderOf(await work(one));
        };
      const handlers = unary.map((method) => [method.localName, handlerOf(method)]);
      // A service that is not known when this is compiled has no type of its own.
      router.service(orders, Object.fromEntries(handlers) as Partial<ServiceImpl<typeof orders>>);
    },
  });
  return { asked, ...(await listening(createServer(handler))) };
}
