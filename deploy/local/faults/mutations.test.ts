import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { controls, failpoints } from "./mutations.ts";

const root = join(import.meta.dirname, "../../..");

it.each([...failpoints, ...controls.flatMap(({ mutations }) => mutations)])(
  "the place of $name is in its file, once",
  ({ file, find }) => {
    expect(readFileSync(join(root, file), "utf8").split(find)).toHaveLength(2);
  },
);
