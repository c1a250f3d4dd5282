import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openPostgres } from "./postgres.ts";
import { roleOf } from "./role.ts";
import { everyTenantSql, tenantSql } from "./tenant.ts";
import { openLink } from "./testing-link.ts";
import { makeNotes } from "./testing-notes.ts";
import { describeOn, testPostgres, type TestPostgres } from "./testing.ts";

describeOn("a pool for many tenants", testPostgres(), (backend) => {
  let place: TestPostgres & AsyncDisposable;
  beforeEach(async () => {
    place = await backend.open();
    await makeNotes(place);
  });
  afterEach(() => place[Symbol.asyncDispose]());

  const refused = { code: "42501" };

  it("shows a statement its tenant's rows, and without a tenant none", async () => {
    const { sql } = place;
    await tenantSql(sql, "a")`insert into notes (n) values (${1})`;
    await tenantSql(sql, "b")`insert into notes (n) values (2)`;
    expect(await tenantSql(sql, "a")`select n from notes where n < ${9}`).toEqual([{ n: 1 }]);
    expect(await tenantSql(sql, "b")`select n from notes`).toEqual([{ n: 2 }]);
    expect(await everyTenantSql(sql)`select n from notes order by n`).toHaveLength(2);
    expect(await sql`select n from notes`).toEqual([]);
    await expect(sql`insert into notes values (3, 'a')`).rejects.toMatchObject(refused);
  });

  it("takes no row of another tenant, and changes none", async () => {
    const { sql } = place;
    const b = tenantSql(sql, "b");
    await tenantSql(sql, "a")`insert into notes (n) values (1)`;
    await expect(b`insert into notes values (2, 'a')`).rejects.toMatchObject(refused);
    expect((await b`update notes set n = 5`).count).toBe(0);
    expect((await b`delete from notes`).count).toBe(0);
    await b`insert into notes (n) values (3)`;
    await expect(b`update notes set tenant_id = 'a'`).rejects.toMatchObject(refused);
    expect(await tenantSql(sql, "a")`select n from notes`).toEqual([{ n: 1 }]);
  });

  it("has a transaction for one tenant, also after a savepoint was rolled back", async () => {
    const { sql } = place;
    await tenantSql(sql, "a").begin(async (tx) => {
      const undone = tx.savepoint(async (inner) => {
        await inner`select 1`;
        throw new Error("enough");
      });
      await undone.catch(() => {});
      await tx`insert into notes (n) values (1)`;
      expect(await tx`select n from notes`).toEqual([{ n: 1 }]);
    });
    const read = tenantSql(sql, "b").begin("read only", async (tx) => [
      ...(await tx`select n from notes`),
    ]);
    expect(await read).toEqual([]);
    expect(await tenantSql(sql, "a")`select n from notes`).toEqual([{ n: 1 }]);
  });

  it("keeps to the tenant after statements that failed, whatever stage they failed in", async () => {
    await using opened = new AsyncDisposableStack();
    const settings = { ...place.settings, max_connections: 1 };
    const sql = await openPostgres({ settings, schema: place.schema, migrations: [], opened });
    const [a, b] = [tenantSql(sql, "a"), tenantSql(sql, "b")];
    for (let times = 0; times < 3; times++) {
      await expect(a`selec ${1}`).rejects.toMatchObject({ code: "42601" });
      await expect(a`selec`).rejects.toMatchObject({ code: "42601" });
      await expect(a`select 1 / ${0}::int`).rejects.toMatchObject({ code: "22012" });
      await expect(a`select ${"x"}::int`).rejects.toMatchObject({ code: "22P02" });
      await expect(a`insert into notes values (${1}, 'b')`).rejects.toMatchObject(refused);
      await b`insert into notes (n) values (${times})`;
      expect(await a`select n from notes`).toEqual([]);
      expect(await b`select n from notes`).toHaveLength(times + 1);
      expect(await sql`select n from notes`).toEqual([]);
    }
  });

  it("is for a tenant that has a name", () => {
    expect(() => tenantSql(place.sql, "")).toThrow("is no tenant");
    expect(() => tenantSql(place.sql, "*")).toThrow("is no tenant");
  });

  it("never serves one tenant on behalf of another, whatever comes at once", async () => {
    await using link = await openLink(place.settings.url);
    await using opened = new AsyncDisposableStack();
    const settings = { ...place.settings, url: link.url, max_connections: 2 };
    const sql = await openPostgres({ settings, schema: place.schema, migrations: [], opened });
    const tenants = ["a", "b", "c", "d", "e"];
    for (const tenant of tenants) await tenantSql(sql, tenant)`insert into notes (n) values (0)`;
    const act = fc.record({
      tenant: fc.constantFrom(...tenants),
      kind: fc.constantFrom("one", "two", "plain", "fails", "transaction", "rolls back", "lost"),
    });
    const run = async ({ tenant, kind }: { tenant: string; kind: string }) => {
      const own = tenantSql(sql, tenant);
      const nothing = (rows: readonly unknown[]) => expect(rows).toEqual([]);
      const seen = (rows: readonly Record<string, unknown>[]) => {
        expect(rows).not.toEqual([]);
        expect(new Set(rows.map((row) => row["tenant_id"]))).toEqual(new Set([tenant]));
      };
      if (kind === "lost") {
        link.cut("reset");
        return link.mend();
      }
      if (kind === "plain") return nothing(await sql`select * from notes`);
      if (kind === "fails") return void (await own`select 1 / ${0}::int`.catch(() => {}));
      if (kind === "one") return seen(await own`select * from notes`);
      if (kind === "two") return seen(await own`select *, ${tenant} as asked from notes`);
      await own
        .begin(async (tx) => {
          seen(await tx`select * from notes`);
          await tx`insert into notes (n) values (${1})`;
          seen(await tx`select * from notes where n >= ${0}`);
          if (kind === "rolls back") throw new Error("enough");
        })
        .catch((error: unknown) => {
          if (!(error instanceof Error && error.message === "enough")) throw error;
        });
    };
    const lost = new Set(["CONNECTION_CLOSED", "ECONNRESET", "EPIPE", "ECONNREFUSED"]);
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 40 }), async (acts) => {
        const results = await Promise.allSettled(acts.map(run));
        const wasCut = acts.some(({ kind }) => kind === "lost");
        for (const result of results)
          if (result.status === "rejected" && !(wasCut && lost.has(String(result.reason.code))))
            throw result.reason;
        // Nothing is left in the connections, and none was lost to the pool.
        const again = () =>
          Promise.all(tenants.map((tenant) => run({ tenant, kind: "transaction" })));
        await expect
          .poll(() => again().then(() => "well", String), { timeout: 10_000 })
          .toBe("well");
      }),
      { numRuns: 25 },
    );
  });

  it("works as a role that security binds, and that owns nothing", async () => {
    const [row] = await place.sql`
      select current_user as role, rolsuper or rolbypassrls or rolcreaterole or rolcanlogin as strong,
        exists (select from pg_class where relowner = r.oid) as owns
      from pg_roles r where rolname = current_user`;
    expect(row).toEqual({ role: roleOf(place.schema), strong: false, owns: false });
  });
});
