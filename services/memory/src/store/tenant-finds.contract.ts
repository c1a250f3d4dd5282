import { newId } from "@soldier/kernel/ids";
import { everyTenantSql, tenantSql } from "@soldier/storage/tenant";
import type { Sql } from "postgres";
import { expect, it } from "vitest";
import type { NewEpisode } from "../domain/episode.ts";
import { newEpisode } from "./episode-store.contract.ts";
import { postgresEpisodeStore } from "./postgres.ts";
import type { TenantFinds, TenantQuestion } from "./tenant-finds.ts";
import { vectorBytes } from "./vector-bytes.ts";

export interface TenantFindsPlace {
  /** As the service's role. */
  readonly sql: Sql;
  /** Of the models "m" and "other", both with 8 dimensions. */
  readonly finds: TenantFinds;
}

let revision = 1_000;

const day = (date: string) => new Date(`2026-03-${date}T10:00:00Z`);

/** A vector whose cosine with that of 0 is the smaller the larger the angle, from 0 to 1. */
export function turned(angle: number): Float32Array {
  const vector = new Float32Array(8);
  vector[0] = Math.cos((angle * Math.PI) / 2);
  vector[1] = Math.sin((angle * Math.PI) / 2);
  return vector;
}

export interface Said extends Partial<NewEpisode> {
  readonly angle?: number;
  readonly model?: string;
}

/** Stores episodes, with the vectors of those that have an angle; gives their ids. */
export async function say(
  sql: Sql,
  tenantId: string,
  all: readonly Said[],
): Promise<readonly string[]> {
  const episodes = all.map((each) => newEpisode(each)); // the store passes over what else there is
  await postgresEpisodeStore(sql, []).add(tenantId, episodes);
  for (const [i, { id, groupId }] of episodes.entries()) {
    const { angle, model = "m" } = all[i] ?? {};
    if (angle !== undefined)
      await tenantSql(sql, tenantId)`
        insert into embeddings
          (tenant_id, episode_id, model, group_id, revision, dimensions, vector, attempts)
        values (${tenantId}, ${id}, ${model}, ${groupId}, ${revision++}, 8,
          decode(${vectorBytes(turned(angle)).toString("hex")}, 'hex'), 1)`;
  }
  return episodes.map(({ id }) => id);
}

/** What finds in all of a tenant must do. */
export function tenantFindsContract(place: () => TenantFindsPlace): void {
  const { candidates, withNeighbours } = {
    candidates: (tenantId: string, over: Partial<TenantQuestion>) =>
      place().finds.candidates(tenantId, {
        model: "m",
        vector: undefined,
        words: [],
        happenedBy: undefined,
        recordedBy: undefined,
        exceptSessionId: "",
        wanted: 100,
        ...over,
      }),
    withNeighbours: (tenantId: string, ids: readonly string[]) =>
      place().finds.withNeighbours(tenantId, "m", ids),
  };
  const found = async (tenantId: string, over: Partial<TenantQuestion>) =>
    (await candidates(tenantId, over)).episodeIds;

  it("is ready where the part has been applied", async () => {
    expect(await place().finds.ready()).toBe(true);
  });

  it("finds what is nearest in meaning first, in whatever group", async () => {
    const acme = newId();
    const [far, near, middle] = await say(place().sql, acme, [
      { groupId: "ana", angle: 0.9 },
      { groupId: "ben", angle: 0.1 },
      { groupId: "cleo", angle: 0.4 },
    ]);
    expect(await found(acme, { vector: turned(0) })).toEqual([near, middle, far]);
  });

  it("reads vectors as they were stored, to half precision", async () => {
    const acme = newId();
    await say(place().sql, acme, [{ angle: 0.37 }, { angle: 0 }, { angle: 1.4 }]);
    const rows = await tenantSql(place().sql, acme)`
      select abs((v.vector::real[])[1] - (numbers_of(x.vector))[1]) < 0.001 as same,
        (numbers_of(x.vector))[1] as first
      from episode_vectors v join embeddings x using (tenant_id, episode_id, model)
      where v.tenant_id = ${acme} order by 2`;
    expect(rows.map(({ same }) => same)).toEqual([true, true, true]);
    expect(rows.map(({ first }) => first)).toEqual(
      [1.4, 0.37, 0].map((angle) => expect.closeTo(turned(angle)[0] ?? 0, 6)),
    );
  });

  it("finds by words, those with more and rarer words first, and says how many have each", async () => {
    const acme = newId();
    const [both, one] = await say(place().sql, acme, [
      { text: "The parcels went to Lisbon." },
      { text: "A parcel for Porto", groupId: "ben" },
      { text: "nothing of the kind" },
    ]);
    const answer = await candidates(acme, { words: ["parcel", "lisbon", "the", "zebra"] });
    expect(answer.episodeIds).toEqual([both, one]);
    expect(answer.holders).toEqual([2, 1, "unknown", 0]);
    expect(answer.partial).toBe(false);
  });

  it("finds those that have two of the words of which each is had by many", async () => {
    const acme = newId();
    const plenty = (text: string) =>
      say(
        place().sql,
        acme,
        Array.from({ length: 310 }, () => ({ text })),
      );
    await plenty("refund");
    await plenty("voucher");
    const [both] = await say(place().sql, acme, [{ text: "a refund as a voucher" }]);
    const answer = await candidates(acme, { words: ["refund", "voucher"] });
    expect(answer.episodeIds).toEqual([both]);
    expect(answer.holders).toEqual(["many", "many"]);
  });

  it("shows a tenant nothing of another", async () => {
    const [acme, globex] = [newId(), newId()];
    const [own] = await say(place().sql, acme, [{ text: "umbrella", angle: 0.5 }]);
    const [others = ""] = await say(place().sql, globex, [{ text: "umbrella", angle: 0 }]);
    const asked = { vector: turned(0), words: ["umbrella"] };
    const answer = await candidates(acme, asked);
    expect(answer.episodeIds).toEqual([own]);
    expect(answer.holders).toEqual([1]);
    expect(await withNeighbours(acme, [others])).toEqual([]);
  });

  it("is held to the tenant by the database, whatever is asked of it", async () => {
    const [acme, globex] = [newId(), newId()];
    await say(place().sql, globex, [{ text: "umbrella", angle: 0 }]);
    const { sql } = place();
    const as = tenantSql(sql, acme);
    const byWords = (asked: Sql) => asked`
      select episodes_by_words(${globex}, ${["umbrella"]}::text[], '{}', null, null, '', 10)`;
    await expect(byWords(as)).rejects.toThrow("words are searched for the tenant that is set");
    await expect(byWords(sql)).rejects.toThrow("words are searched for the tenant that is set");
    await expect(byWords(everyTenantSql(sql))).rejects.toThrow("for the tenant that is set");
    await expect(as`select common_words(${globex})`).rejects.toThrow("to the tenant that is set");
    for (const latest of [null, 100])
      expect(
        await as`select episodes_by_vector(${globex}, 'm', ${[...turned(0)]}::real[], null, null, '', 10, 40, ${latest})`,
      ).toHaveLength(0);
    expect(await as`select from episode_vectors where tenant_id = ${globex}`).toHaveLength(0);
    await expect(as`select from episode_words`).rejects.toThrow("permission denied");
    await expect(as`delete from episode_vectors`).rejects.toThrow("permission denied");
  });

  it("lets filters act before the limit", async () => {
    const acme = newId();
    const { sql } = place();
    // Nearer than what passes the filters, and more than are found at most.
    const crowd = Array.from({ length: 150 }, () => ({
      angle: 0.1,
      occurredAt: day("09"),
      sessionId: "new",
      text: "ticket",
    }));
    await say(sql, acme, crowd);
    const [early] = await say(sql, acme, [
      { angle: 0.8, occurredAt: day("01"), sessionId: "old", text: "ticket" },
    ]);
    const asked = { vector: turned(0), words: ["ticket"] };
    expect(await found(acme, { ...asked, happenedBy: day("02") })).toEqual([early]);
    expect(await found(acme, { ...asked, exceptSessionId: "new" })).toEqual([early]);
    expect(await found(acme, { ...asked, recordedBy: day("01") })).toEqual([]);
  });

  it("never compares vectors of different models", async () => {
    const acme = newId();
    const [own, next] = await say(place().sql, acme, [
      { angle: 0.5 },
      { angle: 0, model: "other" },
    ]);
    expect(await found(acme, { vector: turned(0) })).toEqual([own]);
    expect(await found(acme, { vector: turned(0), model: "other" })).toEqual([next]);
  });

  it("finds nothing any more of what was erased", async () => {
    const acme = newId();
    const { sql } = place();
    const [gone = "", kept] = await say(sql, acme, [
      { text: "umbrella", angle: 0 },
      { text: "umbrella", angle: 0.2 },
    ]);
    const as = tenantSql(sql, acme);
    await as`delete from embeddings where tenant_id = ${acme} and episode_id = ${gone}`;
    await as`delete from episodes where tenant_id = ${acme} and id = ${gone}`;
    const answer = await candidates(acme, { vector: turned(0), words: ["umbrella"] });
    expect(answer.episodeIds).toEqual([kept]);
    expect(answer.holders).toEqual([1]);
  });

  it("gives what was said right before and after in the same session, with vectors", async () => {
    const acme = newId();
    const ids = await say(place().sql, acme, [
      { sessionId: "s", angle: 0.1 },
      { sessionId: "s" },
      { sessionId: "s", angle: 0.3 },
      { sessionId: "t" },
    ]);
    const shown = await withNeighbours(acme, [ids[1] ?? "", newId()]);
    expect(shown.map(({ episode }) => episode.id)).toEqual(ids.slice(0, 3));
    expect(shown.map(({ vector }) => vector)).toEqual([turned(0.1), undefined, turned(0.3)]);
    const last = await withNeighbours(acme, [ids[3] ?? ""]);
    expect(last.map(({ episode }) => episode.id)).toEqual(ids.slice(3));
  });
}
