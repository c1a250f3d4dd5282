import { clientOf } from "@soldier/chassis/client";
import { grpcTransport } from "@soldier/chassis/grpc-client";
import type { Call } from "@soldier/chassis/service";
import { around } from "@soldier/chassis/around";
import { faultOf } from "@soldier/chassis/faults";

const messageMaxBytes = 16_777_216;

/** Clients of the edge by gRPC: streams both ways need HTTP/2. */
export function overGrpc({ url, token }: { url: string; token: string }): Call {
  const transport = grpcTransport(new URL(url).host, messageMaxBytes);
  return (service) =>
    clientOf(service, transport, {
      deadlineMs: 30_000,
      interceptors: [
        around(() => ({ failed: faultOf })),
        (next) => (req) => {
          req.header.set("authorization", `Bearer ${token}`);
          return next(req);
        },
      ],
    });
}
