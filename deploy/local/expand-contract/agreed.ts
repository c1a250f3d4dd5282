/** Something that is tighter than in the release before, and why that release gets on with it all the same. */
interface Agreed {
  readonly schema: string;
  readonly finding: RegExp;
  readonly because: string;
}

/** Empty it when a release is recorded: then there is another release before. */
export const agreed: readonly Agreed[] = [
  {
    schema: "memory",
    finding: /^parked_claims: CHECK \(\(why = /,
    because: "a new column, whose default fits",
  },
  {
    schema: "memory",
    finding: /^backlog: CHECK \(\(stage = ANY \(ARRAY\['embedded'/,
    because: "it is wider: there are more stages",
  },
  {
    schema: "memory",
    finding: /^episodes: trigger BEFORE INSERT .* refuse_erased\(\)/,
    because:
      "a row of what was erased is left out as if it were there, which it reads from a row count",
  },
  {
    schema: "profile",
    finding: /^identities: PRIMARY KEY \(tenant_id, number\)/,
    because: "the number is generated",
  },
  {
    schema: "profile",
    finding: /^identities: EXCLUDE USING gist /,
    because: "it ends no link, and of those that last it could have one for each name before",
  },
  {
    schema: "profile",
    finding: /^field_claims: UNIQUE \(tenant_id, id\)/,
    because: "the id is generated",
  },
  {
    schema: "profile",
    finding: /^fields: trigger AFTER INSERT OR UPDATE .* fields_ask_for_rebuild\(\)/,
    because: "it refuses nothing: it tells this release what that one has written",
  },
];
