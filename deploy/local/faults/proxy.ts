import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A way to a server that the run breaks, slows and turns to another server. */
export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** Ends every connection, and new ones at once. */
  cut(): void;
  /** What passes in either direction waits so long. */
  slow(ms: number): void;
  mend(): void;
  /** New connections go there; those there are end. */
  turnTo(port: number): void;
}

/** A TCP proxy on loopback. */
export async function openProxy(port: number): Promise<Proxy> {
  let target = port;
  let whole = true;
  let delayMs = 0;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    if (!whole) return void near.destroy();
    const far = connect(target, "127.0.0.1");
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.setNoDelay(true);
      // In their order, also when the way is mended while some still wait.
      const waiting: Buffer[] = [];
      const pass = () => {
        const bytes = waiting.shift();
        if (bytes && other.writable) other.write(bytes);
      };
      one.on("data", (bytes) => {
        waiting.push(bytes);
        if (delayMs === 0 && waiting.length === 1) pass();
        else setTimeout(pass, delayMs);
      });
      one.on("error", () => {}); // "close" follows
      one.on("close", () => {
        sockets.delete(one);
        setTimeout(() => other.destroy(), delayMs);
      });
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (!address || typeof address === "string") throw new Error("a TCP server without a port");
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    cut() {
      whole = false;
      drop();
    },
    slow: (ms) => void (delayMs = ms),
    mend() {
      whole = true;
      delayMs = 0;
    },
    turnTo(next) {
      target = next;
      drop();
    },
    async [Symbol.asyncDispose]() {
      whole = false;
      drop();
      server.close();
      await once(server, "close");
    },
  };
}
