import type { Logger as PinoLogger } from "pino";

/** JSON lines with the service, and inside a call its trace id and tenant. */
export type Logger = PinoLogger;
