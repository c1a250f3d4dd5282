import { create } from "@bufbuild/protobuf";
import { testDatabase, describeOn } from "@soldier/storage/testing";
import { newId } from "@soldier/kernel/ids";
import { RelationKind, Scope } from "@soldier/proto/config/v1/rule";
import { StepSchema } from "@soldier/proto/config/v1/scenario";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { desk, documentOf } from "../domain/testing.ts";
import { type ConfigUnderTest, configUnderTest, faultOf } from "./testing.ts";

describeOn("configuration", testDatabase(), (backend) => {
  let under: ConfigUnderTest;
  beforeAll(async () => {
    under = await configUnderTest(backend);
  });
  afterAll(() => under[Symbol.asyncDispose]());

  /** An operator of a fresh tenant with an agent "desk". */
  async function operator() {
    const tenantId = newId();
    const calls = under.as({ tenantId });
    const { agent } = await calls.createAgent({ agent: { slug: "desk", name: "Desk" } });
    return { tenantId, calls, agent: agent! };
  }

  describe("an agent", () => {
    it("is made, read by id or slug, changed and deleted", async () => {
      const { calls, agent, tenantId } = await operator();
      expect(agent).toMatchObject({ slug: "desk", meta: { tenantId, etag: "1" } });
      expect((await calls.getAgent({ agentId: "desk" })).agent).toEqual(agent);
      expect((await calls.getAgent({ agentId: agent.id })).agent).toEqual(agent);
      const { agent: changed } = await calls.updateAgent({
        agent: { ...agent, instructions: "Be brief." },
      });
      expect(changed).toMatchObject({ instructions: "Be brief.", meta: { etag: "2" } });
      await calls.deleteAgent({ agentId: "desk" });
      expect(await faultOf(calls.getAgent({ agentId: "desk" }))).toMatchObject({
        kind: "not-found",
        reason: "AGENT_NOT_FOUND",
      });
    });

    it("that is not there is told with the one that was meant", async () => {
      const { calls } = await operator();
      const fault = await faultOf(calls.listRules({ agentId: "desc" }));
      expect(fault).toMatchObject({ reason: "AGENT_NOT_FOUND" });
      expect(fault.message).toContain('did you mean "desk"?');
    });

    it("has a slug of its own", async () => {
      const { calls } = await operator();
      expect(await faultOf(calls.createAgent({ agent: { slug: "desk" } }))).toMatchObject({
        kind: "already-exists",
        reason: "NAME_TAKEN",
      });
      await calls.createAgent({ agent: { slug: "other" } });
      const { agents, nextPageToken } = await calls.listAgents({ pageSize: 1 });
      expect(agents.map(({ slug }) => slug)).toEqual(["desk"]);
      const rest = await calls.listAgents({ pageSize: 1, pageToken: nextPageToken });
      expect([rest.agents[0]?.slug, rest.nextPageToken]).toEqual(["other", ""]);
    });

    it("can't be changed by those who only chat", async () => {
      const calls = under.as({ roles: ["chat"] });
      expect(await faultOf(calls.createAgent({ agent: { slug: "desk" } }))).toMatchObject({
        kind: "forbidden",
        reason: "ROLE_MISSING",
      });
    });
  });

  describe("a resource", () => {
    it("of every kind is made, read, listed, changed and deleted in the same way", async () => {
      const { calls } = await operator();
      const agentId = "desk";
      const a = { agentId };
      const ok = { name: "one" };
      const rules = (await calls.createRule({ ...a, rule: { ...ok, action: "a" } })).rule!;
      const group = { ...ok, ruleIds: ["one"] };
      const groups = (await calls.createRuleGroup({ ...a, ruleGroup: group })).ruleGroup!;
      const relation = {
        kind: RelationKind.ENTAILS,
        from: { target: { case: "groupId" as const, value: "one" } },
        to: [{ target: { case: "ruleId" as const, value: "one" } }],
      };
      const edges = (await calls.createRelation({ ...a, relation })).relation!;
      const steps = [{ id: "end", terminal: true }];
      const scenario = { ...ok, entryCondition: "c", steps };
      const flows = (await calls.createScenario({ ...a, scenario })).scenario!;
      const texts = (await calls.createTemplate({ ...a, template: { ...ok, text: "Hi" } }))
        .template!;
      const acts = (
        await calls.createTool({
          ...a,
          tool: { ...ok, kind: { case: "builtin", value: { name: "hand_off" } } },
        })
      ).tool!;
      const named = (await calls.createVariable({ ...a, variable: { ...ok, toolId: "one" } }))
        .variable!;
      const fields = (await calls.createFieldDefinition({ ...a, fieldDefinition: { name: "two" } }))
        .fieldDefinition!;
      expect(edges.name).toBe("entails:one:one");
      expect(edges.to[0]?.target.value).toBe(rules.id);
      expect(named.toolId).toBe(acts.id);
      expect(flows).toMatchObject({ version: 1n, entryStepId: "end" });

      const pages = [
        [rules, await calls.getRule({ ...a, ruleId: "one" }), await calls.listRules(a)],
        [
          groups,
          await calls.getRuleGroup({ ...a, ruleGroupId: "one" }),
          await calls.listRuleGroups(a),
        ],
        [
          edges,
          await calls.getRelation({ ...a, relationId: edges.id }),
          await calls.listRelations(a),
        ],
        [flows, await calls.getScenario({ ...a, scenarioId: "one" }), await calls.listScenarios(a)],
        [texts, await calls.getTemplate({ ...a, templateId: "one" }), await calls.listTemplates(a)],
        [acts, await calls.getTool({ ...a, toolId: "one" }), await calls.listTools(a)],
        [named, await calls.getVariable({ ...a, variableId: "one" }), await calls.listVariables(a)],
        [
          fields,
          await calls.getFieldDefinition({ ...a, fieldDefinitionId: "two" }),
          await calls.listFieldDefinitions(a),
        ],
      ] as const;
      for (const [made, got, listed] of pages) {
        expect(Object.values(got)).toContainEqual(made);
        expect(Object.values(listed)).toContainEqual([made]);
      }

      const changed = [
        (await calls.updateRule({ ...a, rule: { ...rules, action: "b" } })).rule,
        (await calls.updateRuleGroup({ ...a, ruleGroup: { ...groups, mode: 2 } })).ruleGroup,
        (await calls.updateRelation({ ...a, relation: { ...edges, name: "e" } })).relation,
        (await calls.updateScenario({ ...a, scenario: { ...flows, priority: 2 } })).scenario,
        (await calls.updateTemplate({ ...a, template: { ...texts, text: "Ho" } })).template,
        (await calls.updateTool({ ...a, tool: { ...acts, description: "d" } })).tool,
        (await calls.updateVariable({ ...a, variable: { ...named, description: "d" } })).variable,
        (await calls.updateFieldDefinition({ ...a, fieldDefinition: { ...fields, pii: true } }))
          .fieldDefinition,
      ];
      expect(changed.map((one) => Number(one?.meta?.etag))).toEqual([
        10, 11, 12, 13, 14, 15, 16, 17,
      ]);

      await calls.deleteRelation({ ...a, relationId: "e" });
      await calls.deleteRuleGroup({ ...a, ruleGroupId: "one" });
      await calls.deleteRule({ ...a, ruleId: "one" });
      await calls.deleteScenario({ ...a, scenarioId: "one" });
      await calls.deleteTemplate({ ...a, templateId: "one" });
      await calls.deleteVariable({ ...a, variableId: "one" });
      await calls.deleteTool({ ...a, toolId: "one" });
      await calls.deleteFieldDefinition({ ...a, fieldDefinitionId: "two" });
      expect(await faultOf(calls.getRule({ ...a, ruleId: rules.id }))).toMatchObject({
        kind: "not-found",
        reason: "RULE_NOT_FOUND",
      });
      const { document } = await calls.exportAgent(a);
      expect(document).toMatchObject({ rules: [], scenarios: [], tools: [], relations: [] });
    });

    it("is listed to the end, by name", async () => {
      const { calls } = await operator();
      for (const name of ["c", "a", "b"])
        await calls.createTemplate({ agentId: "desk", template: { name, text: "t" } });
      const names: string[] = [];
      let pageToken = "";
      do {
        const page = await calls.listTemplates({ agentId: "desk", pageSize: 2, pageToken });
        names.push(...page.templates.map(({ name }) => name));
        pageToken = page.nextPageToken;
      } while (pageToken);
      expect(names).toEqual(["a", "b", "c"]);
      const forged = calls.listTemplates({ agentId: "desk", pageToken: "nonsense" });
      expect(await faultOf(forged)).toMatchObject({
        kind: "invalid",
        fields: [{ field: "page_token" }],
      });
    });

    it("is hidden from another tenant", async () => {
      const { calls, agent } = await operator();
      await calls.createRule({ agentId: "desk", rule: { name: "mine", action: "a" } });
      const other = await operator();
      const stranger = other.calls.getRule({ agentId: agent.id, ruleId: "mine" });
      expect(await faultOf(stranger)).toMatchObject({ reason: "AGENT_NOT_FOUND" });
      expect((await other.calls.listRules({ agentId: "desk" })).rules).toEqual([]);
      await other.calls.deleteAgent({ agentId: "desk" });
      expect((await calls.getRule({ agentId: "desk", ruleId: "mine" })).rule?.name).toBe("mine");
    });

    it("has a name of its own in its agent and kind", async () => {
      const { calls } = await operator();
      const rule = { name: "one", action: "a" };
      await calls.createRule({ agentId: "desk", rule });
      expect(await faultOf(calls.createRule({ agentId: "desk", rule }))).toMatchObject({
        kind: "already-exists",
        reason: "NAME_TAKEN",
      });
    });

    it("is changed by one of many who read the same state", async () => {
      const { calls } = await operator();
      const { rule } = await calls.createRule({
        agentId: "desk",
        rule: { name: "one", action: "a" },
      });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, (_, i) =>
          calls.updateRule({ agentId: "desk", rule: { ...rule!, action: `action ${i}` } }),
        ),
      );
      const lost = outcomes.filter(({ status }) => status === "rejected");
      expect(lost).toHaveLength(9);
      expect(lost[0]).toMatchObject({ reason: { kind: "conflict", reason: "ETAG_MISMATCH" } });
      const stale = calls.deleteRule({ agentId: "desk", ruleId: "one", etag: rule!.meta!.etag });
      expect(await faultOf(stale)).toMatchObject({ reason: "ETAG_MISMATCH" });
    });

    it("that is saved as it is keeps its etag", async () => {
      const { calls, tenantId } = await operator();
      const { rule } = await calls.createRule({
        agentId: "desk",
        rule: { name: "one", action: "a" },
      });
      expect((await calls.updateRule({ agentId: "desk", rule: rule! })).rule).toEqual(rule);
      const { audited } = await under.committed(tenantId);
      expect(audited.map(({ event }) => event?.action)).toEqual(["agent.created", "rule.created"]);
      expect(audited[1]?.event).toMatchObject({ actor: "tester", resourceId: rule!.id });
    });

    it("is refused with all of its problems, by the fields that were sent", async () => {
      const { calls } = await operator();
      const fault = await faultOf(
        calls.createRule({
          agentId: "desk",
          rule: {
            name: "one",
            templateIds: ["nowhere"],
            guard: "customers.x",
            scope: Scope.STEP,
            checks: [{ kind: { case: "mustMatch", value: "(" } }],
          },
        }),
      );
      expect(fault).toMatchObject({ kind: "invalid", reason: "DRAFT_INVALID" });
      expect(fault.fields.map(({ field }) => field)).toEqual([
        "rule.template_ids[0]",
        "rule.scenario_id",
        "rule.step_id",
        "rule.guard",
        "rule.checks[0].must_match",
      ]);
      expect((await calls.listRules({ agentId: "desk" })).rules).toEqual([]);
    });

    it("that names another that is not there is told so", async () => {
      const { calls } = await operator();
      await calls.createTemplate({ agentId: "desk", template: { name: "hello", text: "Hi" } });
      const rule = { name: "one", action: "a", templateIds: ["helo"] };
      expect(await faultOf(calls.createRule({ agentId: "desk", rule }))).toMatchObject({
        reason: "REFERENCE_UNKNOWN",
        fields: [
          {
            field: "rule.template_ids[0]",
            description: 'no template is called "helo"; did you mean "hello"?',
          },
        ],
      });
    });

    it("that closes a circle is refused, naming it", async () => {
      const { calls } = await operator();
      for (const name of ["a", "b"])
        await calls.createRule({ agentId: "desk", rule: { name, action: "x" } });
      const relation = (from: string, to: string) => ({
        agentId: "desk",
        relation: {
          kind: RelationKind.OVERRIDES,
          from: { target: { case: "ruleId" as const, value: from } },
          to: [{ target: { case: "ruleId" as const, value: to } }],
        },
      });
      await calls.createRelation(relation("a", "b"));
      const fault = await faultOf(calls.createRelation(relation("b", "a")));
      expect(fault.message).toContain("overrides go in a circle: ");
      expect(fault.message).toMatch(/a → b → a|b → a → b/);
    });

    it("that others need stays, and they are named", async () => {
      const calls = under.as();
      await calls.applyAgent({ document: documentOf(desk()) });
      const a = { agentId: "desk" };
      expect(await faultOf(calls.deleteTool({ ...a, toolId: "find_order" }))).toMatchObject({
        kind: "precondition",
        reason: "IN_USE",
        metadata: { referrers: "rules/refund, variables/phone, templates/refund" },
      });
      const byText = calls.deleteVariable({ ...a, variableId: "phone" });
      expect(await faultOf(byText)).toMatchObject({ metadata: { referrers: "templates/hello" } });
      const fallback = calls.deleteTemplate({ ...a, templateId: "sorry" });
      expect(await faultOf(fallback)).toMatchObject({ metadata: { referrers: "agent" } });
      const { scenario } = await calls.getScenario({ ...a, scenarioId: "return" });
      const step = create(StepSchema, { id: "done", terminal: true, collects: ["order_id"] });
      const shorter = { ...scenario!, steps: [step], entryStepId: "" };
      const withoutStep = calls.updateScenario({ ...a, scenario: shorter });
      expect((await faultOf(withoutStep)).fields).toEqual([
        { field: "rules/calm.step_id", description: 'no step of return is called "ask"' },
      ]);
    });

    it("keeps its references when what they name gets another name", async () => {
      const calls = under.as();
      await calls.applyAgent({ document: documentOf(desk()) });
      const { template } = await calls.getTemplate({ agentId: "desk", templateId: "hello" });
      await calls.updateTemplate({ agentId: "desk", template: { ...template!, name: "welcome" } });
      const { document } = await calls.exportAgent({ agentId: "desk" });
      expect(document?.rules.find(({ name }) => name === "greet")?.templateIds).toEqual([
        "welcome",
      ]);
    });
  });
});
