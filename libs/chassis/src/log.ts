import { context, trace } from "@opentelemetry/api";
import { type DestinationStream, type Logger as PinoLogger, pino } from "pino";
import type { ChassisSettings } from "./chassis-settings.ts";
import { currentCall } from "./current.ts";

/** JSON lines with the service, and inside a call its trace id and tenant. */
export type Logger = PinoLogger;

/** Opens the process's log; a destination given is written to instead of the one in the settings. */
export function openLog(settings: ChassisSettings["log"], destination?: DestinationStream): Logger {
  return pino(
    {
      level: settings.level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      serializers: { error: pino.stdSerializers.err },
      mixin: whoAndWhere,
    },
    destination ?? destinationOf(settings.destination),
  );
}

function destinationOf(name: string): DestinationStream {
  // Written at once: the lines before a crash are the ones that are wanted.
  if (name === "stdout") return pino.destination({ dest: 1, sync: true });
  return pino.destination({ dest: name, sync: true, mkdir: true, append: true });
}

function whoAndWhere(): object {
  const traceId = trace.getSpanContext(context.active())?.traceId;
  const tenant = currentCall().identity?.tenantId;
  return {
    ...(traceId !== undefined && { trace_id: traceId }),
    ...(tenant !== undefined && { tenant }),
  };
}
