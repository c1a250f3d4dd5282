// npm run mesh: seven processes that talk over sockets, against the PostgreSQL and NATS of this
// machine, with the same example agent.
import { join } from "node:path";
import { main } from "@soldier/chassis/main";
import { readSettings } from "@soldier/chassis/settings";
import { startExampleBackend } from "@soldier/examples/backend";
import { announce, banner } from "./announcement.ts";
import { demoAgent, demoToken, installDemoAgent } from "./demo.ts";
import { startSevenProcesses } from "./seven-processes.ts";

const directory = join(import.meta.dirname, "../../.soldier");

await main(async () => {
  await using opened = new AsyncDisposableStack();
  const settings = readSettings();
  process.stdout.write("Starting seven processes ...\n");
  const backend = opened.use(await startExampleBackend({ port: 0 }));
  const mesh = opened.use(
    await startSevenProcesses({
      settings,
      logs: join(directory, "mesh"),
      backendUrl: backend.url,
      ended(name, how) {
        process.stderr.write(`${name} has ended (${how}); its log: .soldier/mesh/${name}.log\n`);
        process.kill(process.pid, "SIGTERM"); // a mesh with a hole is not what was asked for
      },
    }),
  );
  const token = await demoToken(settings);
  process.stdout.write("Installing the example agent ...\n");
  await installDemoAgent(mesh.url, token);
  const announcement = {
    url: mesh.url,
    token,
    agent: demoAgent,
    backend_url: backend.url,
    processes: mesh.processes,
  };
  announce(directory, announcement);
  const ways = "seven processes";
  process.stdout.write(banner({ announcement, settings, log: ".soldier/mesh/*.log", ways }));
  return opened.move();
});
