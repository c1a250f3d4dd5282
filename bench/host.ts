// Runs one way of Soldier for a bench until it is told to stop; says on standard output when it is up.
import { join } from "node:path";
import { main } from "@soldier/chassis/main";
import { readSettings } from "@soldier/chassis/settings";
import { overridden } from "@soldier/chassis/settings";
import { announce } from "@soldier/local/announcement";
import { demoToken } from "@soldier/local/demo";
import { startOneProcess } from "@soldier/local/one-process";
import { startSevenProcesses } from "@soldier/local/seven-processes";

const [way = "one", directory = ""] = process.argv.slice(2);
const noBackend = "http://127.0.0.1:9";

await main(async () => {
  const settings = readSettings();
  const token = await demoToken(settings);
  const common = { token, agent: "bench", backend_url: noBackend };
  if (way === "one") {
    const free = { server: { ports: { chat_gateway: 0 }, admin_ports: { together: 0 } } };
    const running = await startOneProcess({
      settings: overridden(settings, free, "the bench"),
      directory,
      backendUrl: noBackend,
    });
    const processes = { together: { pid: process.pid, admin_url: running.adminUrl } };
    announce(directory, { ...common, url: running.url ?? "", processes });
    console.log("up");
    return running;
  }
  const mesh = await startSevenProcesses({
    settings,
    logs: join(directory, "mesh"),
    backendUrl: noBackend,
    freePorts: true,
    ended(name, how) {
      console.error(`${name} has ended: ${how}`);
      process.kill(process.pid, "SIGTERM"); // the others end with it
    },
  });
  announce(directory, { ...common, url: mesh.url, processes: mesh.processes });
  console.log("up");
  return mesh;
});
