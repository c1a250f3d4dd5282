import type { DescService } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { Fault } from "@soldier/kernel/fault";
import type { ChassisSettings } from "./chassis-settings.ts";
import { grpcTransport } from "./grpc-client.ts";
import type { Door } from "./service.ts";

/** The ways from a service that runs alone to its peers: one pool of connections for each. */
export class Peers implements Disposable {
  readonly #settings: ChassisSettings;
  readonly #opened = new Map<string, Transport & Disposable>();
  readonly #here = new Map<DescService, string | Transport>();

  constructor(settings: ChassisSettings) {
    this.#settings = settings;
  }

  /** The way from a service to itself. */
  isHere(door: Door, way: string | Transport): void {
    for (const { service } of door.routes) this.#here.set(service, way);
  }

  /** The way is looked up at each call: a service's own is not known before it listens. */
  transportTo(peer: DescService): Transport {
    return {
      unary: (...args) => this.#wayTo(peer).unary(...args),
      stream: (...args) => this.#wayTo(peer).stream(...args),
    };
  }

  [Symbol.dispose](): void {
    for (const transport of this.#opened.values()) transport[Symbol.dispose]();
  }

  #wayTo(peer: DescService): Transport {
    const way = this.#here.get(peer) ?? this.#settings.peers[nameOf(peer)];
    if (way === undefined) {
      const message = `there is no way to ${peer.typeName}: peers.${nameOf(peer)} is not set`;
      throw new Fault("unavailable", message, { reason: "PEER_UNKNOWN" });
    }
    if (typeof way !== "string") return way;
    const known = this.#opened.get(way);
    if (known) return known;
    const made = grpcTransport(way, this.#settings.server.max_message_bytes);
    this.#opened.set(way, made);
    return made;
  }
}

/** soldier.session.v1.SessionService is at the peer called "session". */
function nameOf(peer: DescService): string {
  return peer.typeName.split(".")[1] ?? peer.typeName;
}
