// The sample service as a process, for suites that stop it: node echo-process.contract.ts '<overrides>'
import { echoService } from "./echo.contract.ts";
import { main } from "./main.ts";
import { runAlone } from "./run.ts";
import { testSettings } from "./testing.ts";
import type { Tree } from "./settings-tree.ts";

await main(() => {
  const overrides = JSON.parse(process.argv[2] ?? "{}") as Tree; // the suite's own
  const settings = testSettings({ log: { level: "info" }, ...overrides }, ["echo"]);
  return runAlone(echoService({ cancelled: [], left: [] }), { settings });
});
