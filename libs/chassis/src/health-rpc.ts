import { Fault } from "@soldier/kernel/fault";
import {
  Health as HealthService,
  HealthCheckResponse_ServingStatus as Status,
} from "@soldier/proto/grpc/health/v1/health";
import type { Health } from "./health.ts";
import { type Route, route } from "./service.ts";

/** grpc.health.v1: what balancers and Kubernetes ask. */
export function healthRpc(health: Health): Route {
  return route(HealthService, {
    async check({ service }) {
      const serving = await health.isServing(service);
      if (serving === undefined) throw new Fault("not-found", `${service} is not served here`);
      return { status: serving ? Status.SERVING : Status.NOT_SERVING };
    },

    async *watch({ service }, { signal }) {
      for await (const serving of health.watch(service, signal))
        yield { status: statusOf(serving) };
    },
  });
}

function statusOf(serving: boolean | undefined): Status {
  if (serving === undefined) return Status.SERVICE_UNKNOWN;
  return serving ? Status.SERVING : Status.NOT_SERVING;
}
