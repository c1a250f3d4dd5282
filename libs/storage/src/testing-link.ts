import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Transform } from "node:stream";

/** A way to a server that a test can break and mend. */
export interface Link extends AsyncDisposable {
  /** The target's URL with this link in place of its host and port. */
  readonly url: string;
  /** Ends every connection, abruptly (by a reset) if so told, and closes new ones at once. */
  cut(how?: "reset"): void;
  /** Keeps connections but holds back what the server says, and closes new ones at once. */
  stall(): void;
  /** What the server says arrives so much later. */
  slow(delayMs: number): void;
  /** Whole and fast again. */
  mend(): void;
}

/** A TCP link on loopback to the server of that URL. */
export async function openLink(target: string): Promise<Link> {
  const { hostname, port } = new URL(target);
  const near = new Set<Socket>();
  const fars = new Set<Socket>();
  let whole = true;
  let delayMs = 0;
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
    socket
      .pipe(far)
      .pipe(delaying(() => delayMs))
      .pipe(socket);
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
    slow: (ms) => {
      delayMs = ms;
    },
    mend: () => {
      whole = true;
      delayMs = 0;
      for (const far of fars) far.resume();
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}

function delaying(delayMs: () => number): Transform {
  return new Transform({
    transform(chunk, _encoding, done) {
      if (delayMs() === 0) done(null, chunk);
      else setTimeout(done, delayMs(), null, chunk);
    },
  });
}
