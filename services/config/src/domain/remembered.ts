/**
 * The same pure function of a text, with its latest answers remembered: a draft is checked as a
 * whole at each save, and nearly all of its texts are the ones of the save before.
 */
export function remembered<T extends object>(
  answersMax: number,
  answer: (text: string) => T,
): (text: string) => T {
  const answers = new Map<string, T>();
  return (text) => {
    const found = answers.get(text) ?? answer(text);
    // A Map keeps the order of insertion: put again, the first key is the one longest unused.
    answers.delete(text);
    answers.set(text, found);
    const [oldest] = answers.keys();
    if (answers.size > answersMax && oldest !== undefined) answers.delete(oldest);
    return found;
  };
}
