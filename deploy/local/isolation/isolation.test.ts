import type { Given, Service, Tables } from "@soldier/chassis/service";
import { Fault } from "@soldier/kernel/fault";
import { testDatabase } from "@soldier/storage/testing";
import postgres from "postgres";
import { describe, expect, it } from "vitest";
import { services } from "../services.ts";
import { contractServices, longName } from "./contract.ts";
import { type Proof, prove } from "./prove.ts";
import { judgeSources } from "./sources.ts";
import { canary } from "./voice.ts";

const [embedded] = testDatabase();

async function proved(these: readonly Service[], only = ""): Promise<Proof> {
  if (!embedded) throw new Error("the embedded PostgreSQL is always there");
  await using database = await embedded.open();
  return await prove({ databaseUrl: database.url, services: these, tell: () => {}, only });
}

/** What is wrong with the RPC or the class of statements of that name. */
function problemsOf({ findings }: Proof, name: string): string {
  return findings.flatMap((one) => (one.name.includes(name) ? one.problems : [])).join("\n");
}

type Handlers = Record<string, unknown>;

/** The services, with other handlers in one of them. */
function withHandlers(
  name: string,
  made: (given: Given<Tables>, own: Handlers) => Handlers,
): readonly Service[] {
  return services.map((service) => {
    if (service.name !== name) return service;
    return {
      ...service,
      async start(given) {
        const door = await service.start(given);
        const routes = door.routes.map((route) => {
          const own = route.implementation as Handlers; // handlers by their names
          return { ...route, implementation: { ...own, ...made(given, own) } };
        });
        return { ...door, routes };
      },
    };
  });
}

/** A client on the session service's schema that says that it is the service. */
function sessionSql(given: Given<Tables>) {
  const { url } = given.settings["postgres"] as { url: string };
  const connection = { application_name: "soldier-session", search_path: "session" };
  const sql = postgres(url, { max: 1, connection });
  given.opened.defer(() => sql.end({ timeout: 5 }));
  return sql;
}

// Each fills two tenants on a database of its own, which a busy machine takes a while for.
describe("the proof of isolation", { timeout: 60_000 }, () => {
  it("holds for every RPC of the contract and every statement", { timeout: 240_000 }, async () => {
    const { findings, failed } = await proved(services);
    const wrong = findings.filter(({ isBuilt, problems }) => isBuilt && problems.length > 0);
    expect(wrong).toEqual([]);
    expect(failed).toBe(0);
    const names = new Set(findings.map(({ name }) => name));
    for (const service of await contractServices())
      for (const method of service.methods) expect(names).toContain(longName(method));
  });

  it("finds a query without its tenant, in the answer and in the SQL", async () => {
    const broken = withHandlers("session", (given) => {
      const sql = sessionSql(given);
      return {
        async getSession({ sessionId }: { sessionId: string }) {
          const [row] = await sql<{ id: string; customer_id: string }[]>`
            select id, customer_id from sessions where id = ${sessionId}`;
          if (!row) throw new Fault("not-found", "there is no such session");
          return { session: { id: row.id, customerId: row.customer_id } };
        },
      };
    });
    const proof = await proved(broken, "SessionService/GetSession");
    expect(problemsOf(proof, "GetSession")).toMatch(/a stranger is told the id/);
    expect(problemsOf(proof, "GetSession")).toMatch(/told from nobody's/);
    expect(problemsOf(proof, "SQL session select sessions")).toMatch(/read without a tenant/);
    expect(proof.failed).toBeGreaterThan(1);
  });

  it("reads SQL in the sources that nobody has run", () => {
    const { problems } = judgeSources([], [{ schema: "memory", name: "inbox" }]);
    expect(problems.join("\n")).toMatch(/inbox\.ts names no tenant/);
  });

  it("finds a change of what is another's", async () => {
    const broken = withHandlers("session", (given) => {
      const sql = sessionSql(given);
      return {
        async closeSession({ sessionId }: { sessionId: string }) {
          await sql`update sessions set status = 5 where id = ${sessionId}`;
          throw new Fault("not-found", "there is no such session");
        },
      };
    });
    const proof = await proved(broken, "SessionService/CloseSession");
    expect(problemsOf(proof, "CloseSession")).toMatch(
      /changed what is another's: session\.sessions/,
    );
  });

  it("finds another's text in an answer, and in a refusal", async () => {
    const broken = withHandlers("memory", () => ({
      search: () => ({
        hits: [{ found: { case: "episode", value: { text: `about ${canary}` } } }],
      }),
      getEpisode() {
        throw new Fault("not-found", `it is not ${canary} that you want`);
      },
    }));
    const proof = await proved(broken, "MemoryService/");
    expect(problemsOf(proof, "MemoryService/Search")).toMatch(/a stranger is told the text/);
    expect(problemsOf(proof, "MemoryService/GetEpisode")).toMatch(/a stranger is told the text/);
  });

  it("finds a number that tells of another's", async () => {
    const broken = withHandlers("profile", (_given, own) => {
      const known = new Set<string>();
      return {
        async getOrCreateProfile(...args: readonly unknown[]) {
          const create = own["getOrCreateProfile"] as (...all: readonly unknown[]) => Promise<{
            profile: { id: string };
          }>;
          const made = await create(...args);
          known.add(made.profile.id);
          return made;
        },
        listFieldHistory: ({ customerId }: { customerId: string }) => ({
          values: known.has(customerId) ? [{ name: "a" }, { name: "b" }] : [],
        }),
      };
    });
    const proof = await proved(broken, "ProfileService/ListFieldHistory");
    expect(problemsOf(proof, "ListFieldHistory")).toMatch(/told from nobody's/);
  });

  it("proves nothing by a request that is no good", async () => {
    const broken = withHandlers("config", () => ({
      getRule() {
        throw new Fault("invalid", "no request is good enough");
      },
    }));
    const proof = await proved(broken, "ConfigService/GetRule");
    expect(problemsOf(proof, "ConfigService/GetRule")).toMatch(/not proven: the owner's own/);
  });
});
