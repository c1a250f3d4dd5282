import { Cron } from "croner";

/** What is wrong with a cron expression of five fields, for people; undefined when nothing is. */
export function cronProblem(expression: string): string | undefined {
  const cron = parsed(expression);
  if (cron instanceof Error) return cron.message;
  return cron.nextRun(new Date(0)) ? undefined : "never comes";
}

/**
 * The first moment of an expression that lies after the one given: minute, hour, day, month and
 * weekday in UTC. Undefined when none is to come, or when the expression is none.
 */
export function nextMoment(expression: string, after: Date): Date | undefined {
  const cron = parsed(expression);
  return cron instanceof Error ? undefined : (cron.nextRun(after) ?? undefined);
}

function parsed(expression: string): Cron | Error {
  try {
    // Without its own offset the library takes the zone of the machine; nothing is scheduled here.
    return new Cron(expression, { mode: "5-part", utcOffset: 0, paused: true });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
