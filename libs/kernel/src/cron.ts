import { Cron } from "croner";

/** What is wrong with a cron expression of five fields, for people; undefined when nothing is. */
export function cronProblem(expression: string): string | undefined {
  try {
    return nextMoment(expression, new Date(0)) ? undefined : "never comes";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * The first moment of an expression that lies after the one given: minute, hour, day, month and
 * weekday in UTC. Undefined when none is to come. Throws for an expression that is none.
 */
export function nextMoment(expression: string, after: Date): Date | undefined {
  // Without its own offset the library takes the zone of the machine; nothing is scheduled here.
  const cron = new Cron(expression, { mode: "5-part", utcOffset: 0, paused: true });
  return cron.nextRun(after) ?? undefined;
}
