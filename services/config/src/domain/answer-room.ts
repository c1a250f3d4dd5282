/** What the values that belong to one agent, or to the whole tenant, may have together. */
export const valuesMaxBytes = 131_072;
