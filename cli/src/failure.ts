import { SettingsError } from "@soldier/chassis/settings";
import { Fault } from "@soldier/kernel/fault";

/** What a user can mend, in words: `reason: message`, and each field. A stack is for bugs. */
export function failureText(error: unknown): string {
  if (error instanceof Fault) {
    const fields = error.fields
      .map(({ field, description }) => `${field}: ${description}`)
      .filter((text) => !error.message.includes(text)) // a short message may be all of it
      .map((text) => `\n  ${text}`);
    return `${error.reason}: ${error.message}${fields.join("")}`;
  }
  if (error instanceof SettingsError) return `SETTINGS_INVALID: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
