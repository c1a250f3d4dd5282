import { alignment } from "@soldier/alignment/service";
import { audit } from "@soldier/audit/service";
import type { Service } from "@soldier/chassis/service";
import { chatGateway } from "@soldier/chat-gateway/service";
import { config } from "@soldier/config/service";
import { memory } from "@soldier/memory/service";
import { profile } from "@soldier/profile/service";
import { session } from "@soldier/session/service";

/**
 * All of Soldier in the order of their start; they stop the other way round. Those who follow events
 * come before those who publish them, which wait, when they stop, until their last ones are taken.
 * The edge comes last, when everything behind it is there.
 */
export const services: readonly Service[] = [
  audit,
  memory,
  profile,
  config,
  session,
  alignment,
  chatGateway,
];
