import { FieldType } from "@soldier/proto/config/v1/tool";
import type { Case } from "./case-file.ts";
import type { Document } from "./document.ts";
import { collectedBy } from "./document-scenarios.ts";
import { CannotBuild } from "./engine-words.ts";
import type { CaseNames } from "./names.ts";

const types: Readonly<Record<string, FieldType>> = {
  string: FieldType.STRING,
  number: FieldType.NUMBER,
  boolean: FieldType.BOOLEAN,
  date: FieldType.DATE,
  email: FieldType.EMAIL,
  phone: FieldType.PHONE,
};

/** The fields that a case defines, and those that it only uses. */
export function fieldsOf(
  { agent, given }: Case,
  { values }: CaseNames,
): NonNullable<Document["fieldDefinitions"]> {
  const defined = agent.fields.map(({ name, type, pattern, ask }) => {
    const known = types[type];
    if (known === undefined) throw new CannotBuild(`field type ${type}`);
    return {
      name: values.of(name),
      type: known,
      extractionPattern: pattern,
      collectionPrompt: ask,
    };
  });
  const asked = agent.scenario.flatMap((scenario) =>
    scenario.steps.flatMap((step) =>
      collectedBy(step, scenario).map((name) => ({ name, ask: step.do ?? "" })),
    ),
  );
  const used = [
    ...asked,
    ...[
      ...agent.scenario.flatMap(({ requires }) => requires),
      ...agent.scenario.flatMap(({ steps }) => steps.flatMap(({ requires }) => requires)),
      ...agent.templates.flatMap(({ requires_fields: names }) => names).filter(isBare),
      ...Object.keys({ ...given.profile, ...given.profile_unverified, ...given.fields }),
    ].map((name) => ({ name: name.replace(/!$/, ""), ask: "" })),
  ];
  /** Nothing else has this name: it is a fact of the customer. */
  function isBare(name: string): boolean {
    const others = [
      ...agent.variables.map((variable) => variable.name),
      ...agent.tools.flatMap((tool) => [
        ...Object.keys(tool.fields),
        ...(tool.returns instanceof Object ? Object.keys(tool.returns) : ["result"]),
      ]),
    ];
    return !name.includes(".") && !others.includes(name);
  }
  const known = new Set(defined.map(({ name }) => name));
  return [
    ...defined,
    ...used.flatMap(({ name, ask }) => {
      const engineName = values.of(name);
      if (known.has(engineName)) return [];
      known.add(engineName);
      return [{ name: engineName, label: name, type: FieldType.STRING, collectionPrompt: ask }];
    }),
  ];
}
