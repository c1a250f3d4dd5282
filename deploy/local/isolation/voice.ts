/** How a tenant of the proof names and words things, so that they are known wherever they turn up. */
export interface Voice {
  /** Fits the contract's patterns of names. */
  readonly name: (thing: string) => string;
  readonly text: (thing: string) => string;
}

/** Begins every text of the tenant that is looked for. */
export const canary = "KANARIENVOGEL";
/** Begins every name of theirs. */
export const namePrefix = "kanarie_";
/** Of nobody, and in the same place among other names. */
export const ghostPrefix = "kanapee_";

export const canaryVoice: Voice = {
  name: (thing) => `${namePrefix}${thing}`,
  text: (thing) => `${canary} ${thing}`,
};

export const plainVoice: Voice = {
  name: (thing) => `plain_${thing}`,
  text: (thing) => `Plain ${thing}`,
};
