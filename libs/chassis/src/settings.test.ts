import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { documentOf, readSettings, SettingsError, settingsFor } from "./settings.ts";

const tables = {
  shop: z.strictObject({
    name: z.string(),
    seats: z.int().min(1),
    open: z.boolean(),
    days: z.array(z.string()),
    secret: z.string().min(8),
    inner: z.strictObject({ depth: z.number() }),
    free: z.record(z.string(), z.string()),
  }),
};

const defaults = `
[shop]
name = "corner"
seats = 4
open = true
days = ["mon"]
secret = "long enough"
free = {}
[shop.inner]
depth = 1.5
`;

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

describe("settings", () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "soldier-settings-"));
    writeFileSync(join(directory, "default.toml"), defaults);
    writeFileSync(join(directory, "development.toml"), "");
    writeFileSync(join(directory, "production.toml"), `[shop]\nname = "main street"\n`);
    writeFileSync(join(directory, "secret"), "from a mounted file\n");
    writeFileSync(join(directory, "broken.toml"), `[shop]\nname = "a"\nseats = = 3\n`);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const file = (name: string, text: string) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const read = (env: Record<string, string>, files: readonly string[] = []) =>
    settingsFor({ settings: tables }, readSettings({ directory, files, env })).shop;

  it("come from the defaults, then the environment's file, then files, then variables", () => {
    const late = file("late.toml", "[shop]\nseats = 5\n[shop.inner]\ndepth = 9.0\n");
    const env = { SOLDIER_ENV: "production", SOLDIER_SHOP__INNER__DEPTH: "2.5" };
    expect(read(env, [late])).toMatchObject({
      name: "main street",
      seats: 5,
      open: true,
      inner: { depth: 2.5 },
    });
  });

  it("take variables in the type of their default", () => {
    const env = {
      SOLDIER_SHOP__SEATS: "12",
      SOLDIER_SHOP__OPEN: "false",
      SOLDIER_SHOP__DAYS: "tue, wed",
      SOLDIER_SHOP__FREE__COLOUR: "blue",
    };
    expect(read(env)).toMatchObject({
      seats: 12,
      open: false,
      days: ["tue", "wed"],
      free: { colour: "blue" },
    });
  });

  it("take a secret from the file that a variable names", () => {
    const env = { SOLDIER_SHOP__SECRET_FILE: join(directory, "secret") };
    expect(read(env).secret).toBe("from a mounted file");
  });
  it("read a secret that is mounted below a table open to any name", () => {
    const env = { SOLDIER_SHOP__FREE__KEY_FILE: join(directory, "secret") };
    expect(read(env).free).toEqual({ key: "from a mounted file" });
  });

  it("leave variables alone that are not ours", () => {
    expect(read({ PATH: "/bin", SOLDIER_TEST_POSTGRES: "x", SOLDIER_URL: "x" }).seats).toBe(4);
  });

  it("tell every problem at once, with its key, what was found and where", () => {
    const bad = file("bad.toml", `[shop]\nseats = "many"\nsecret = "short"\ncolour = "red"\n`);
    const env = { SOLDIER_SHOP__NMAE: "x", SOLDIER_SHOP__INNER__DEPTH: "deep" };
    const problems = problemsOf(() => read(env, [bad]));
    expect(problems).toEqual([
      expect.stringMatching(/^shop\.colour: there is no such setting.*bad\.toml/),
      "SOLDIER_SHOP__NMAE: there is no such setting; did you mean SOLDIER_SHOP__NAME?",
      "SOLDIER_SHOP__INNER__DEPTH: expected a number; found a string of 4 characters",
      expect.stringMatching(/^shop\.seats: expected number; found a string.*bad\.toml/),
      expect.stringMatching(/^shop\.secret: .*found a string of 5 characters.*bad\.toml/),
    ]);
  });

  it("never show a value, which may be a secret", () => {
    const problems = problemsOf(() => read({ SOLDIER_SHOP__SECRET: "hunter2" }));
    expect(problems.join()).toContain("shop.secret");
    expect(problems.join()).not.toContain("hunter2");
  });

  it("suggest the key that was meant", () => {
    const typo = file("typo.toml", "[shop]\nseat = 5\n");
    expect(problemsOf(() => read({}, [typo]))[0]).toContain("did you mean shop.seats?");
  });

  it("name the variable that was meant by one underscore too few", () => {
    const [problem] = problemsOf(() => read({ SOLDIER_SHOP_SEATS: "5" }));
    expect(problem).toContain("did you mean SOLDIER_SHOP__SEATS?");
  });

  it("say where a file is no TOML, and nothing that follows from it", () => {
    const problems = problemsOf(() => read({}, [join(directory, "broken.toml")]));
    expect(problems).toEqual([expect.stringMatching(/broken\.toml:3:9: not valid TOML/)]);
  });

  it("say which file cannot be read", () => {
    const problems = problemsOf(() => read({}, [join(directory, "nowhere.toml")]));
    expect(problems).toEqual([expect.stringMatching(/nowhere\.toml: cannot be read \(ENOENT\)/)]);
  });

  it("refuse an environment that there is no file for", () => {
    const problems = problemsOf(() => read({ SOLDIER_ENV: "prodution" }));
    expect(problems).toEqual([expect.stringContaining("did you mean production?")]);
  });

  it("may come from text, for programs that embed services", () => {
    const document = documentOf(defaults, { shop: { seats: 7 } });
    expect(settingsFor({ settings: tables }, document).shop.seats).toBe(7);
  });

  it("say what is missing", () => {
    const problems = problemsOf(() => settingsFor({ settings: tables }, documentOf("[shop]\n")));
    expect(problems).toContain("shop.name: is missing; it must be set");
  });

  it("of the repository are sound in every environment", () => {
    for (const name of ["development", "test", "staging", "production"]) {
      const document = readSettings({ env: { SOLDIER_ENV: name } });
      expect(document.problems).toEqual([]);
    }
  });
});
