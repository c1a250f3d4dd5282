import { alignment } from "@soldier/alignment/service";
import { audit } from "@soldier/audit/service";
import type { Service } from "@soldier/chassis/service";
import { chatGateway } from "@soldier/chat-gateway/service";
import { config } from "@soldier/config/service";
import { memory } from "@soldier/memory/service";
import { profile } from "@soldier/profile/service";
import { session } from "@soldier/session/service";

/** All of Soldier, owners of data first; the edge comes last, when everything behind it is there. */
export const services: readonly Service[] = [
  config,
  session,
  memory,
  profile,
  audit,
  alignment,
  chatGateway,
];
