import { RelationKind, Scope } from "@soldier/proto/config/v1/rule";
import { TemplateMode } from "@soldier/proto/config/v1/template";
import { describe, expect, it } from "vitest";
import { AgentFilesError, readAgentFiles } from "./agent-files.ts";
import { folderWith } from "./testing.ts";

const agent = "agent:\n  slug: shop\n  name: Shop\n";

/** What is told about the files, without the folder's own path. */
async function problemsOf(files: Record<string, string>): Promise<readonly string[]> {
  const directory = folderWith(files);
  try {
    await readAgentFiles(directory);
    return [];
  } catch (error) {
    if (!(error instanceof AgentFilesError)) throw error;
    return error.problems.map((problem) => problem.replaceAll(`${directory}/`, ""));
  }
}

describe("an agent's files", () => {
  it("are put together from every folder below", async () => {
    const { document } = await readAgentFiles(
      folderWith({
        "agent.yaml": agent,
        "a/rules.yaml": "rules:\n  - name: greet\n",
        "b/c/rules.yml": "rules:\n  - name: bye\n---\ntemplates:\n",
        ".hidden/agent.yaml": agent,
        "node_modules/x/agent.yaml": agent,
        "empty.yaml": "# nothing yet\n",
        "notes.txt": "agent:",
      }),
    );
    expect(document.agent?.slug).toBe("shop");
    expect(document.rules.map(({ name }) => name)).toEqual(["greet", "bye"]);
  });

  it("may use short enums, durations, either case of names and lists of one", async () => {
    const { document } = await readAgentFiles(
      folderWith({
        "agent.yaml": `
agent: { slug: shop, settings: { turn_timeout: 10s, busyPolicy: QUEUE } }
ruleGroups:
  - { name: polite, rule_ids: [greet] }
rules:
  - { name: greet, scope: SCOPE_STEP }
  - { name: bye, scope: STEP, fires_per_session_max: 2 }
templates:
  - { name: hello, text: Hello, mode: EXCLUSIVE }
variables:
  - { name: phone, defaultValue: "030", cache_ttl: 0.5s }
  - { name: nothing, default_value: null }
relations:
  - kind: OVERRIDES
    from: rule:greet
    to: [rule:bye, "group: polite", { scenario_id: tour }]
  - kind: ENTAILS
    from: { ruleId: bye }
    to: scenario:tour
`,
      }),
    );
    const { settings } = document.agent ?? {};
    expect([settings?.turnTimeout?.seconds, document.ruleGroups.length]).toEqual([10n, 1]);
    expect(document.rules.map(({ scope }) => scope)).toEqual([Scope.STEP, Scope.STEP]);
    expect(document.templates[0]?.mode).toBe(TemplateMode.EXCLUSIVE);
    expect(document.variables[0]?.cacheTtl?.nanos).toBe(500_000_000);
    expect(document.variables[1]?.defaultValue?.kind.case).toBe("nullValue");
    const ends = document.relations.map(({ from, to }) => [from, ...to].map((end) => end?.target));
    expect(document.relations[0]?.kind).toBe(RelationKind.OVERRIDES);
    expect(ends).toEqual([
      [
        { case: "ruleId", value: "greet" },
        { case: "ruleId", value: "bye" },
        { case: "groupId", value: "polite" },
        { case: "scenarioId", value: "tour" },
      ],
      [
        { case: "ruleId", value: "bye" },
        { case: "scenarioId", value: "tour" },
      ],
    ]);
  });

  it.each(["shop", "bank"])("of the example %s are an agent", async (name) => {
    const { document } = await readAgentFiles(`examples/${name}`);
    expect(document.agent?.slug).toBe(name);
    expect(document.rules.length).toBeGreaterThanOrEqual(40);
    expect(document.scenarios.length).toBeGreaterThanOrEqual(3);
  });

  const wrong: readonly (readonly [
    what: string,
    files: Record<string, string>,
    told: readonly unknown[],
  ])[] = [
    [
      "an unknown key",
      { "a.yaml": `${agent}rule: []\n`, "b.yaml": "xyzzy: 1\n" },
      [
        "a.yaml:4: rule: there is no such key; did you mean rules?",
        expect.stringMatching(/^b.yaml:1: xyzzy: there is no such key; there are agent, rules, /),
      ],
    ],
    [
      "an unknown field",
      { "a.yaml": `${agent}rules:\n  - name: greet\n    conditon: x\n` },
      ["a.yaml:6: rules/greet.conditon: there is no such field; did you mean condition?"],
    ],
    [
      "a wrong type",
      { "a.yaml": `${agent}rules:\n  - name: greet\n    priority: high\n    tags:\n      - 2\n` },
      [
        'a.yaml:6: rules/greet.priority: expected a whole number of 32 bits, got "high"',
        "a.yaml:8: rules/greet.tags[0]: expected text, got 2",
      ],
    ],
    [
      "no such enum value",
      { "a.yaml": `${agent}templates:\n  - name: hi\n    text: Hi\n    mode: EXCLUSIV\n` },
      [
        "a.yaml:7: templates/hi.mode: is none of SUGGEST, EXCLUSIVE, FALLBACK; did you mean EXCLUSIVE?",
      ],
    ],
    [
      "no such duration",
      { "a.yaml": "agent:\n  slug: shop\n  settings:\n    turn_timeout: 10\n" },
      [
        "a.yaml:4: agent.settings.turn_timeout: expected a duration in seconds like 10s or 0.5s, got 10",
      ],
    ],
    [
      "no such end of a relation",
      { "a.yaml": `${agent}relations:\n  - kind: ENTAILS\n    from: greet\n    to: [rules:x]\n` },
      [
        'a.yaml:6: relations[0].from: expected one of rule:NAME, scenario:NAME, group:NAME, got "greet"',
        'a.yaml:7: relations[0].to[0]: expected one of rule:NAME, scenario:NAME, group:NAME, got "rules:x"',
      ],
    ],
    [
      "names given twice, across files",
      {
        "a.yaml": `${agent}rules:\n  - name: greet\n`,
        "b.yaml": "rules:\n  - condition: x\n    name: greet\n",
        "c.yaml": "templates:\n  - { name: greet, text: x }\n",
      },
      ["b.yaml:3: rules/greet.name: is already the name of the one at a.yaml:5"],
    ],
    [
      "what the contract forbids",
      {
        "a.yaml": "agent:\n  slug: My Shop\n",
        "b.yaml":
          "tools:\n  - name: find\n    retries_max: 9\n    http: { method: LOOK, url: x }\n",
      },
      [
        expect.stringMatching(/^a.yaml:2: agent.slug: .*pattern/),
        expect.stringMatching(/^b.yaml:3: tools\/find.retries_max: /),
        expect.stringMatching(/^b.yaml:4: tools\/find.http.method: /),
      ],
    ],
    [
      "that there is no agent",
      { "a.yaml": "rules: []\n" },
      ["agent: is missing: a file must say which agent it is"],
    ],
    [
      "two agents",
      { "a.yaml": agent, "b/c.yaml": agent },
      ["b/c.yaml:1: agent: is the second one, after that at a.yaml:1"],
    ],
    [
      "what is no YAML, beside everything else",
      {
        "a.yaml": "rules:\n  - name: x\n   - name: y\n",
        "b.yaml": "rules:\n  - nam: x\n",
        "c.yaml": `${agent}agent: { slug: x }\n`,
        "d.yaml": `${agent}rules:\n  - name: !secret x\n`,
      },
      [
        expect.stringMatching(/^a.yaml:3: not valid YAML: /),
        "b.yaml:2: rules[0].nam: there is no such field; did you mean name?",
        expect.stringMatching(/^c.yaml:4: not valid YAML: .*unique/),
        expect.stringMatching(/^d.yaml:5: not valid YAML: .*!secret/),
      ],
    ],
    [
      "a list or a text where an object belongs",
      { "a.yaml": "- rules\n", "b.yaml": `${agent}rules: {}\n`, "c.yaml": "rules: [greet]\n" },
      [
        expect.stringMatching(/^a.yaml:1: expected an object with some of agent, /),
        "b.yaml:4: rules: expected a list",
        'c.yaml:1: rules[0]: expected an object, got "greet"',
      ],
    ],
    [
      "aliases of nothing",
      { "a.yaml": `${agent}rules:\n  - name: *greet\n` },
      ["a.yaml:5: rules[0]: has an alias (*name) of nothing, or far too many of them"],
    ],
  ];

  it.each(wrong)("are told %s, with file and line", async (_, files, told) => {
    expect(await problemsOf(files)).toEqual(told);
  });

  it("must be there", async () => {
    const notes = folderWith({ "notes.md": "x" });
    await expect(readAgentFiles(notes)).rejects.toThrow(`there are no YAML files in ${notes}`);
    await expect(readAgentFiles("/nowhere")).rejects.toThrow("/nowhere cannot be read (ENOENT)");
    await expect(readAgentFiles("package.json")).rejects.toThrow("package.json is no folder");
  });

  it.each([
    ["rules/greet.guard", "more.yaml:6"],
    ["rules/greet.tool_ids[1]", "more.yaml:5"],
    ["document.rules[1].tool_ids[1]", "more.yaml:9"],
    ["document.rules[0].name", "more.yaml:2"],
    ["rules/greet.priority", "more.yaml:2"],
    ["relations/depends_all:greet:bye:later.to[1]", "more.yaml:14"],
    ["relations/a.b[c].from", "more.yaml:16"],
    ['tools/find.arguments["order id"].from', "tools.yaml:6"],
    ["tools/find.input_schema", "tools.yaml:7"],
    ["agent.settings.fallback_template_id", "agent.yaml:1"],
    ["document.agent.slug", "agent.yaml:2"],
    ["rules/nobody.guard", undefined],
    ["draft_etag", undefined],
    ["", undefined],
  ])("are where a service's problem with %s is told", async (field, place) => {
    const directory = folderWith({
      "agent.yaml": agent,
      "more.yaml": `rules:
  - name: greet
    tool_ids:
      - find
      - &missing misssing
    guard: profile.age >
  - name: bye
    tool_ids:
      [find, *missing]
relations:
  - kind: DEPENDS_ALL
    from: rule:greet
    to:
      [rule:bye, rule:later]
  - { kind: ENTAILS, name: "a.b[c]", to: rule:bye,
      from: rule:greet }
`,
      "tools.yaml": `tools:
  - name: find
    http: { method: GET, url: x }
    arguments:
      order id:
        from: fields.order
    inputSchema: {}
`,
    });
    const files = await readAgentFiles(directory);
    expect(files.placeOf(field)).toBe(place && `${directory}/${place}`);
  });
});
