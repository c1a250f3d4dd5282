/** Raised whenever the patterns find other claims than before: the older ones are then taken back. */
export const patternExtractor = "pattern:v3";
