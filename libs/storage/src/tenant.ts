import { Fault } from "@soldier/kernel/fault";
import type { ISql, Sql, TransactionSql } from "postgres";

/** What every row-level policy compares tenant_id with. */
const settingName = "soldier.tenant";

/** The value that opens the rows of all tenants; no tenant is called so. */
const everyone = "*";

/**
 * The same pool for one tenant: row-level security shows its statements and transactions that tenant's
 * rows and takes no others. The tenant travels with each statement, in its round trip and its
 * transaction, so no connection ever stays set to anybody.
 */
export function tenantSql(sql: Sql, tenantId: string): Sql {
  if (tenantId === "" || tenantId === everyone)
    throw new Fault("internal", `"${tenantId}" is no tenant`);
  return setTo(sql, tenantId);
}

/** The same pool for what works across tenants: relays, backlogs, housekeeping. Never for a request. */
export function everyTenantSql(sql: Sql): Sql {
  return setTo(sql, everyone);
}

function setTo(sql: Sql, value: string): Sql {
  const begin = (...given: [Work] | [string, Work]) => {
    const work = given.length === 1 ? given[0] : given[1];
    const options = given.length === 1 ? "" : given[0];
    return sql.begin(options, (tx) => work(carrying(tx, value)));
  };
  return new Proxy(carrying(sql, value), {
    get: (target, key) => (key === "begin" ? begin : Reflect.get(target, key)),
  });
}

type Work = (tx: TransactionSql) => unknown;

/** Statements that carry the setting. The patched driver sends it before each (patches/, decision 0005). */
function carrying<S extends ISql>(sql: S, value: string): S {
  return new Proxy(sql, {
    apply(target, self, args: unknown[]) {
      const made: unknown = Reflect.apply(target, self, args);
      return made instanceof Promise
        ? Object.assign(made, { setting: { name: settingName, value } })
        : made; // a list of columns or a name, part of a statement
    },
  });
}
