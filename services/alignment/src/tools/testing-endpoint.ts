import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { JsonObject } from "@bufbuild/protobuf";

/** What a server was asked to do. */
export interface Asked {
  readonly method: string;
  readonly arguments: JsonObject;
  readonly key: string | undefined;
  readonly authorization: string | undefined;
}

export interface Endpoint extends AsyncDisposable {
  /** host:port on loopback. */
  readonly host: string;
  readonly asked: Asked[];
}

/** How a server does its work; throws what shall go wrong. */
export type Work = (asked: Asked) => Promise<JsonObject>;

/** Work that never ends. */
export const hanging: Work = () => new Promise(() => {});

export async function listening(server: Server): Promise<Pick<Endpoint, "host"> & AsyncDisposable> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    // A server that listens on TCP has an address of this kind.
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
