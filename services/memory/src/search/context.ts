import type { GroupIndex } from "./group-index.ts";

/** What the rest of its session says for an episode. */
export interface Context {
  /** The better of what was said right before and after. */
  readonly neighbours: Float32Array;
  /** What was said right before, where it asks: this may be the answer. */
  readonly asked: Float32Array;
  /** The mean of the best three in its session. */
  readonly session: Float32Array;
}

/** From episodes' own scores; what is hidden has scored 0. */
export function contextOf(group: GroupIndex, own: Float32Array): Context {
  const neighbours = new Float32Array(own.length);
  const asked = new Float32Array(own.length);
  const session = new Float32Array(own.length);
  for (const places of group.sessions.values()) {
    const top = [0, 0, 0];
    for (const place of places) keepBest(top, own[place] ?? 0);
    const fit = top.reduce((sum, score) => sum + score, 0) / top.length;
    let before = -1;
    for (let i = 0; i < places.length; i++) {
      const place = places[i] ?? 0;
      const said = own[before] ?? 0;
      neighbours[place] = Math.max(said, own[places[i + 1] ?? -1] ?? 0);
      if (before >= 0 && group.asks[before]) asked[place] = said;
      session[place] = fit;
      before = place;
    }
  }
  return { neighbours, asked, session };
}

/** Replaces the lowest of a descending list if the score is higher. */
function keepBest(top: number[], score: number): void {
  let at = top.length;
  while (at > 0 && score > (top[at - 1] ?? Infinity)) at--;
  if (at === top.length) return;
  top.splice(at, 0, score);
  top.pop();
}
