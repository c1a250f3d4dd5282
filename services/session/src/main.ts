import { main } from "@soldier/chassis/main";
import { runAlone } from "@soldier/chassis/run";
import { readSettings } from "@soldier/chassis/settings";
import { session } from "./service.ts";

await main(() => runAlone(session, { settings: readSettings() }));
