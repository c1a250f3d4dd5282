import type { ServiceImpl } from "@connectrpc/connect";
import { type Route, route } from "@soldier/chassis/service";
import { ConfigService } from "@soldier/proto/config/v1/config_service";
import { kinds } from "../domain/kinds.ts";
import { agentHandlers } from "./agents.ts";
import { documentHandlers } from "./apply-rpc.ts";
import { bundleHandlers } from "./bundle-rpc.ts";
import type { Parts } from "./parts.ts";
import { resources } from "./resources.ts";
import { valueHandlers } from "./values-rpc.ts";
import { versionHandlers } from "./versions-rpc.ts";

export function configRpc(parts: Parts): Route {
  return route(ConfigService, {
    ...agentHandlers(parts),
    ...ruleHandlers(parts),
    ...flowHandlers(parts),
    ...valueSourceHandlers(parts),
    ...documentHandlers(parts),
    ...versionHandlers(parts),
    ...bundleHandlers(parts),
    ...valueHandlers(parts),
  });
}

type Handlers = Partial<ServiceImpl<typeof ConfigService>>;

/** Rules, their groups and relations. */
function ruleHandlers(parts: Parts): Handlers {
  const all = resources(parts, kinds.rules);
  const groups = resources(parts, kinds.rule_groups);
  const edges = resources(parts, kinds.relations);
  return {
    createRule: async ({ agentId, rule }, ctx) => ({
      rule: await all.create(agentId, rule, ctx),
    }),
    getRule: async ({ agentId, ruleId }, ctx) => ({
      rule: await all.get(agentId, ruleId, ctx),
    }),
    async listRules({ agentId, ...page }, ctx) {
      const { items: rules, ...found } = await all.list(agentId, page, ctx);
      return { rules, ...found };
    },
    updateRule: async ({ agentId, rule }, ctx) => ({
      rule: await all.update(agentId, rule, ctx),
    }),
    async deleteRule({ agentId, ruleId, etag }, ctx) {
      await all.delete(agentId, ruleId, etag, ctx);
      return {};
    },

    createRuleGroup: async ({ agentId, ruleGroup }, ctx) => ({
      ruleGroup: await groups.create(agentId, ruleGroup, ctx),
    }),
    getRuleGroup: async ({ agentId, ruleGroupId }, ctx) => ({
      ruleGroup: await groups.get(agentId, ruleGroupId, ctx),
    }),
    async listRuleGroups({ agentId, ...page }, ctx) {
      const { items: ruleGroups, ...found } = await groups.list(agentId, page, ctx);
      return { ruleGroups, ...found };
    },
    updateRuleGroup: async ({ agentId, ruleGroup }, ctx) => ({
      ruleGroup: await groups.update(agentId, ruleGroup, ctx),
    }),
    async deleteRuleGroup({ agentId, ruleGroupId, etag }, ctx) {
      await groups.delete(agentId, ruleGroupId, etag, ctx);
      return {};
    },

    createRelation: async ({ agentId, relation }, ctx) => ({
      relation: await edges.create(agentId, relation, ctx),
    }),
    getRelation: async ({ agentId, relationId }, ctx) => ({
      relation: await edges.get(agentId, relationId, ctx),
    }),
    async listRelations({ agentId, ...page }, ctx) {
      const { items: relations, ...found } = await edges.list(agentId, page, ctx);
      return { relations, ...found };
    },
    updateRelation: async ({ agentId, relation }, ctx) => ({
      relation: await edges.update(agentId, relation, ctx),
    }),
    async deleteRelation({ agentId, relationId, etag }, ctx) {
      await edges.delete(agentId, relationId, etag, ctx);
      return {};
    },
  };
}

/** Scenarios and templates. */
function flowHandlers(parts: Parts): Handlers {
  const flows = resources(parts, kinds.scenarios);
  const texts = resources(parts, kinds.templates);
  return {
    createScenario: async ({ agentId, scenario }, ctx) => ({
      scenario: await flows.create(agentId, scenario, ctx),
    }),
    getScenario: async ({ agentId, scenarioId }, ctx) => ({
      scenario: await flows.get(agentId, scenarioId, ctx),
    }),
    async listScenarios({ agentId, ...page }, ctx) {
      const { items: scenarios, ...found } = await flows.list(agentId, page, ctx);
      return { scenarios, ...found };
    },
    updateScenario: async ({ agentId, scenario }, ctx) => ({
      scenario: await flows.update(agentId, scenario, ctx),
    }),
    async deleteScenario({ agentId, scenarioId, etag }, ctx) {
      await flows.delete(agentId, scenarioId, etag, ctx);
      return {};
    },

    createTemplate: async ({ agentId, template }, ctx) => ({
      template: await texts.create(agentId, template, ctx),
    }),
    getTemplate: async ({ agentId, templateId }, ctx) => ({
      template: await texts.get(agentId, templateId, ctx),
    }),
    async listTemplates({ agentId, ...page }, ctx) {
      const { items: templates, ...found } = await texts.list(agentId, page, ctx);
      return { templates, ...found };
    },
    updateTemplate: async ({ agentId, template }, ctx) => ({
      template: await texts.update(agentId, template, ctx),
    }),
    async deleteTemplate({ agentId, templateId, etag }, ctx) {
      await texts.delete(agentId, templateId, etag, ctx);
      return {};
    },
  };
}

/** Variables, tools and field definitions. */
function valueSourceHandlers(parts: Parts): Handlers {
  const named = resources(parts, kinds.variables);
  const acts = resources(parts, kinds.tools);
  const fields = resources(parts, kinds.field_definitions);
  return {
    createVariable: async ({ agentId, variable }, ctx) => ({
      variable: await named.create(agentId, variable, ctx),
    }),
    getVariable: async ({ agentId, variableId }, ctx) => ({
      variable: await named.get(agentId, variableId, ctx),
    }),
    async listVariables({ agentId, ...page }, ctx) {
      const { items: variables, ...found } = await named.list(agentId, page, ctx);
      return { variables, ...found };
    },
    updateVariable: async ({ agentId, variable }, ctx) => ({
      variable: await named.update(agentId, variable, ctx),
    }),
    async deleteVariable({ agentId, variableId, etag }, ctx) {
      await named.delete(agentId, variableId, etag, ctx);
      return {};
    },

    createTool: async ({ agentId, tool }, ctx) => ({
      tool: await acts.create(agentId, tool, ctx),
    }),
    getTool: async ({ agentId, toolId }, ctx) => ({
      tool: await acts.get(agentId, toolId, ctx),
    }),
    async listTools({ agentId, ...page }, ctx) {
      const { items: tools, ...found } = await acts.list(agentId, page, ctx);
      return { tools, ...found };
    },
    updateTool: async ({ agentId, tool }, ctx) => ({
      tool: await acts.update(agentId, tool, ctx),
    }),
    async deleteTool({ agentId, toolId, etag }, ctx) {
      await acts.delete(agentId, toolId, etag, ctx);
      return {};
    },

    createFieldDefinition: async ({ agentId, fieldDefinition }, ctx) => ({
      fieldDefinition: await fields.create(agentId, fieldDefinition, ctx),
    }),
    getFieldDefinition: async ({ agentId, fieldDefinitionId }, ctx) => ({
      fieldDefinition: await fields.get(agentId, fieldDefinitionId, ctx),
    }),
    async listFieldDefinitions({ agentId, ...page }, ctx) {
      const { items: fieldDefinitions, ...found } = await fields.list(agentId, page, ctx);
      return { fieldDefinitions, ...found };
    },
    updateFieldDefinition: async ({ agentId, fieldDefinition }, ctx) => ({
      fieldDefinition: await fields.update(agentId, fieldDefinition, ctx),
    }),
    async deleteFieldDefinition({ agentId, fieldDefinitionId, etag }, ctx) {
      await fields.delete(agentId, fieldDefinitionId, etag, ctx);
      return {};
    },
  };
}
