import { main } from "@soldier/chassis/main";
import { runAlone } from "@soldier/chassis/run";
import { readSettings } from "@soldier/chassis/settings";
import { audit } from "./service.ts";

await main(() => runAlone(audit, { settings: readSettings() }));
