import { main } from "@soldier/chassis/main";
import { runAlone } from "@soldier/chassis/run";
import { readSettings } from "@soldier/chassis/settings";
import { config } from "./service.ts";

await main(() => runAlone(config, { settings: readSettings() }));
