import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A way to a server that a test can break and mend. */
export interface Link extends AsyncDisposable {
  /** The target's URL with this link in place of its host and port. */
  readonly url: string;
  /** Ends every connection, abruptly (by a reset) if so told, and closes new ones at once. */
  cut(how?: "reset"): void;
  /** Keeps connections but holds back what the server says, and closes new ones at once. */
  stall(): void;
  mend(): void;
}

/** A TCP link on loopback to the server of that URL. */
export async function openLink(target: string): Promise<Link> {
  const { hostname, port } = new URL(target);
  const near = new Set<Socket>();
  const fars = new Set<Socket>();
  let whole = true;
  const server = createServer((socket) => {
    if (!whole) return void socket.destroy();
    const far = connect(Number(port), hostname);
    near.add(socket);
    fars.add(far);
    for (const one of [socket, far]) {
      one.on("error", () => {}); // "close" follows
      one.on("close", () => {
        near.delete(socket);
        fars.delete(far);
        socket.destroy();
        far.destroy();
      });
    }
    socket.pipe(far).pipe(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (!address || typeof address === "string") throw new Error("a TCP server without a port");
  const cut: Link["cut"] = (how) => {
    whole = false;
    for (const socket of near) {
      if (how === "reset") socket.resetAndDestroy();
      else socket.destroy();
    }
  };
  return {
    url: Object.assign(new URL(target), { host: `127.0.0.1:${address.port}` }).href,
    cut,
    stall: () => {
      whole = false;
      for (const far of fars) far.pause();
    },
    mend: () => {
      whole = true;
      for (const far of fars) far.resume();
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
