import { describe, expect, it } from "vitest";
import { eventsSettings } from "./events-settings.ts";
import { testEvents } from "./testing.ts";

describe("settings of events", () => {
  it("refuse an inbox that forgets an event which may still come again", () => {
    const kept = { ...testEvents(), keep_hours: 72, dead_letters_keep_days: 30 };
    expect(eventsSettings.safeParse({ ...kept, inbox_keep_days: 36 }).success).toBe(true);
    const short = eventsSettings.safeParse({ ...kept, inbox_keep_days: 35 });
    expect(short.error?.issues).toMatchObject([{ path: ["inbox_keep_days"] }]);
  });
});
