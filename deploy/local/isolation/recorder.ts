import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A statement as PostgreSQL was sent it, and by which service. */
export interface Statement {
  /** The client's application_name, e.g. "soldier-session". */
  readonly client: string;
  readonly text: string;
  /** Of its parameters, by PostgreSQL's numbers; 0 is left to PostgreSQL. */
  readonly types: readonly number[];
}

export interface Recorder extends AsyncDisposable {
  /** The database's URL by way of this recorder. */
  readonly url: string;
  /** Each distinct statement so far. */
  statements(): readonly Statement[];
  forget(): void;
}

/** A way to the database that reads along: no driver's hook has to be trusted to tell everything. */
export async function recordStatements(databaseUrl: string): Promise<Recorder> {
  const { hostname, port } = new URL(databaseUrl);
  const seen = new Map<string, Statement>();
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    const read = frontendReader((statement) => {
      seen.set(`${statement.client} ${statement.text}`, statement);
    });
    near.on("data", read);
    for (const one of [near, far]) {
      sockets.add(one);
      one.setNoDelay(true);
      one.on("error", () => {}); // "close" follows
      one.on("close", () => {
        sockets.delete(one);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (!address || typeof address === "string") throw new Error("a TCP server without a port");
  return {
    url: Object.assign(new URL(databaseUrl), { host: `127.0.0.1:${address.port}` }).href,
    statements: () => [...seen.values()],
    forget: () => seen.clear(),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const sslRequest = 80_877_103;

/** Reads what a client says in PostgreSQL's protocol, version 3. */
function frontendReader(tell: (statement: Statement) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let client: string | undefined;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const headBytes = client === undefined ? 0 : 1; // the first message has no type
      if (rest.length < headBytes + 4) return;
      const end = headBytes + rest.readInt32BE(headBytes);
      if (rest.length < end) return;
      const type = headBytes === 0 ? "" : String.fromCharCode(rest[0] ?? 0);
      const body = rest.subarray(headBytes + 4, end);
      rest = rest.subarray(end);
      if (type === "") {
        if (body.readInt32BE(0) !== sslRequest) client = applicationIn(body);
      } else if (type === "P") tell(parsed(client ?? "", body));
      else if (type === "Q") tell({ client: client ?? "", text: textAt(body, 0), types: [] });
    }
  };
}

function applicationIn(startup: Buffer): string {
  const words = startup.subarray(4).toString("utf8").split("\0");
  const at = words.indexOf("application_name");
  return at < 0 ? "" : (words[at + 1] ?? "");
}

/** The statement of a Parse message: it stands after the prepared statement's name. */
function parsed(client: string, body: Buffer): Statement {
  const start = body.indexOf(0) + 1;
  const typesAt = body.indexOf(0, start) + 1;
  const count = body.readInt16BE(typesAt);
  const types = Array.from({ length: count }, (_, i) => body.readUInt32BE(typesAt + 2 + 4 * i));
  return { client, text: textAt(body, start), types };
}

function textAt(body: Buffer, start: number): string {
  return body.subarray(start, body.indexOf(0, start)).toString("utf8");
}
