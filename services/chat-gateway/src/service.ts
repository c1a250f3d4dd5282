import { route, type Route, service } from "@soldier/chassis/service";
import { AlignmentService } from "@soldier/proto/alignment/v1/alignment_service";
import { ChatService } from "@soldier/proto/chat/v1/chat_service";
import { requestRate } from "./admission/rate-limit.ts";
import { openTokenKeys } from "./admission/token-keys.ts";
import { type IdentityFrom, tokenReader } from "./admission/tokens.ts";
import { turnSlots } from "./admission/turn-slots.ts";
import { openApi } from "./rest/openapi.ts";
import { rest } from "./rest/rest.ts";
import { restRoutes } from "./rest/rest-routes.ts";
import { chatRpc } from "./rpc/chat-rpc.ts";
import { forwarded, forwardedServices } from "./rpc/forward.ts";
import { tellingTrace } from "./rpc/trace-header.ts";
import { chatGatewaySettings } from "./settings.ts";

/** The edge: who may come in, and by which protocol. */
export const chatGateway = service({
  name: "chat-gateway",
  edge: true,
  settings: { chat_gateway: chatGatewaySettings },
  async start({ settings: { chat_gateway: settings }, call, clock, log, admission }) {
    const identityFrom = tokenReader(settings.auth, await openTokenKeys(settings.auth), clock);
    const takeRequest = requestRate(settings.limits, clock);
    const authenticate: IdentityFrom = async (headers) => {
      const identity = await identityFrom(headers);
      takeRequest(identity.tenantId);
      return identity;
    };
    const chat = chatRpc({
      alignment: call(AlignmentService, { patient: true }),
      slots: turnSlots(settings.limits.turns_max),
      takeRequest,
      messageSizeMaxBytes: settings.message_size_max_bytes,
      deadlineMs: settings.deadline_ms,
    });
    const routes = [
      route(ChatService, chat),
      ...forwardedServices.map((peer) => forwarded(peer, call, settings.deadline_ms)),
    ].map(tellingTrace);
    const http = rest({
      routes,
      authenticate,
      admission,
      documents: documents(routes),
      allowedOrigins: settings.allowed_origins,
      bodySizeMaxBytes: settings.body_size_max_bytes,
      heartbeatMs: settings.heartbeat_ms,
      log,
    });
    return { routes, http, authenticate };
  },
});

/** What anyone may read without a token. */
function documents(routes: readonly Route[]) {
  const api = openApi(restRoutes(routes.map((one) => one.service)));
  const about = {
    name: "Soldier",
    description: "Conversational agents. Send a message: POST /v1/chat",
    openapi: "/openapi.json",
    protocols: ["REST", "Connect", "gRPC", "gRPC-Web"],
  };
  const json = (value: object) => ({
    type: "application/json; charset=utf-8",
    text: `${JSON.stringify(value, undefined, 2)}\n`,
  });
  return new Map([
    ["/", json(about)],
    ["/openapi.json", json(api)],
  ]);
}
