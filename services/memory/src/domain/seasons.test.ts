import { expect, it } from "vitest";
import { seasonsIn } from "./seasons.ts";

const months = (text: string, at: string, tense?: "past" | "future") =>
  seasonsIn(text, new Date(at), tense).map(({ start, end, from, to }) => [
    text.slice(start, end),
    from.toISOString().slice(0, 7),
    to.toISOString().slice(0, 7),
  ]);

it.each([
  ["We move next spring.", "2026-01-10", "next spring", "2026-03", "2026-06"],
  ["We move next spring.", "2026-05-10", "next spring", "2027-03", "2027-06"],
  ["We moved last summer.", "2026-05-10", "last summer", "2025-06", "2025-09"],
  ["We moved last summer.", "2026-07-10", "last summer", "2025-06", "2025-09"],
  ["We moved last summer.", "2026-10-10", "last summer", "2026-06", "2026-09"],
  ["I was in Rome last winter.", "2026-01-10", "last winter", "2024-12", "2025-03"],
  ["I was in Rome last winter.", "2026-05-10", "last winter", "2025-12", "2026-03"],
  ["I moved this winter.", "2026-01-10", "this winter", "2025-12", "2026-03"],
  ["I moved this autumn.", "2026-11-10", "this autumn", "2026-09", "2026-12"],
  ["We signed in the summer of 2021.", "2026-05-10", "summer of 2021", "2021-06", "2021-09"],
  ["since winter 2021", "2026-05-10", "winter 2021", "2021-12", "2022-03"],
  ["I moved in the fall.", "2026-05-10", "fall", "2025-09", "2025-12"],
])("reads a season: %s, said on %s", (text, at, said, from, to) => {
  expect(months(text, at)).toEqual([[said, from, to]]);
});

it("reads one alone as what is to come where the sentence does", () => {
  expect(months("I will move in summer", "2026-05-10", "future")).toEqual([
    ["summer", "2026-06", "2026-09"],
  ]);
});

it.each([
  "I fall asleep.",
  "The spring is broken.",
  "He fell in the summer before last.",
  "My daughter Summer called.",
])("reads none where there is none: %s", (text) => {
  expect(months(text, "2026-05-10")).toEqual([]);
});
