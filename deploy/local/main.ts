// npm start: everything in one process, with an example agent to talk to. What it keeps is under
// .soldier, or in the folder that is named.
import { join, relative } from "node:path";
import { main } from "@soldier/chassis/main";
import { readSettings } from "@soldier/chassis/settings";
import { startExampleBackend } from "@soldier/examples/backend";
import { announce, banner } from "./announcement.ts";
import { demoAgent, demoToken, installDemoAgent } from "./demo.ts";
import { startOneProcess } from "./one-process.ts";

const directory = process.argv[2] ?? join(import.meta.dirname, "../../.soldier");
const log = relative(process.cwd(), join(directory, "soldier.log"));

await main(async () => {
  await using opened = new AsyncDisposableStack();
  const settings = readSettings();
  process.stdout.write("Starting Soldier ...\n");
  const backend = opened.use(await startExampleBackend({ port: 0 }));
  const running = opened.use(
    await startOneProcess({ settings, directory, backendUrl: backend.url }),
  );
  const url = running.url ?? "";
  const token = await demoToken(settings);
  process.stdout.write("Installing the example agent (its texts are embedded once) ...\n");
  await installDemoAgent(url, token);
  const announcement = {
    url,
    token,
    agent: demoAgent,
    backend_url: backend.url,
    processes: { together: { pid: process.pid, admin_url: running.adminUrl } },
  };
  announce(directory, announcement);
  const ways = "seven services in one process";
  process.stdout.write(banner({ announcement, settings, log, ways }));
  return opened.move();
});
