/** What the values that belong to one agent, or to the whole tenant, may have together. */
export const valuesMaxBytes = 131_072;

/** Room in GetBundle's answer for the values of both, each with its frame, and the rest. */
export const besideBundleBytes = 3 * valuesMaxBytes;
