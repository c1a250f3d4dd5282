import { main } from "@soldier/chassis/main";
import { runAlone } from "@soldier/chassis/run";
import { readSettings } from "@soldier/chassis/settings";
import { alignment } from "./service.ts";

await main(() => runAlone(alignment, { settings: readSettings() }));
