import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { openProxy } from "./proxy.ts";

it("a way that was slow and is mended passes what waited before what comes", async () => {
  await using opened = new AsyncDisposableStack();
  let got = "";
  const server = createServer((socket) => {
    socket.setEncoding("utf8").on("data", (text: string) => (got += text));
  }).listen(0, "127.0.0.1");
  opened.defer(() => void server.close());
  await once(server, "listening");
  const address = server.address();
  if (!address || typeof address === "string") throw new Error("a TCP server without a port");
  const proxy = opened.use(await openProxy(address.port));
  const client = connect(proxy.port, "127.0.0.1").setNoDelay(true);
  opened.defer(() => void client.destroy());
  await once(client, "connect");
  proxy.slow(300);
  client.write("first ");
  await pause(50);
  proxy.mend();
  client.write("second ");
  await pause(50);
  client.write("third");
  await expect.poll(() => got).toBe("first second third");
});
