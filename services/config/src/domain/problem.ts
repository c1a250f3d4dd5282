import { Fault, type FieldViolation } from "@soldier/kernel/fault";
import { nearest } from "@soldier/kernel/nearest";

/** One thing wrong with a draft; the contract's Problem, and what refusals are made of. */
export interface Problem {
  /** Collection, name and field: "rules/returns-window.template_ids[0]". */
  readonly field: string;
  /** What is wrong and how to mend it. */
  readonly description: string;
  /** Stable, UPPER_SNAKE_CASE. */
  readonly reason: string;
  /** Set when the draft may be published all the same. */
  readonly warning?: true;
}

/** What a check found in one resource; fields are relative to it. */
export interface Notes {
  wrong(field: string, reason: string, description: string): void;
  doubtful(field: string, reason: string, description: string): void;
}

/** Notes on the thing at this place: each becomes a problem in `problems`. */
export function notesOn(place: string, problems: Problem[]): Notes {
  const where = (field: string) => (field ? `${place}.${field}` : place);
  return {
    wrong(field, reason, description) {
      problems.push({ field: where(field), reason, description });
    },
    doubtful(field, reason, description) {
      problems.push({ field: where(field), reason, description, warning: true });
    },
  };
}

/** `no template is called "refnd"; did you mean "refund"?` */
export function unknownName(kind: string, name: string, known: Iterable<string>): string {
  const meant = nearest(name, known);
  return `no ${kind} is called "${name}"${meant === undefined ? "" : `; did you mean "${meant}"?`}`;
}

/** More than so many are counted, not listed: the answer must stay readable and small. */
const listedMax = 200;

/**
 * The Fault "invalid" that lists the problems. `own` names the resource that the caller sent, so
 * that its fields read as in the request: { place: "rules/greet", field: "rule" }.
 */
export function refusal(
  problems: readonly Problem[],
  own?: { readonly place: string; readonly field: string },
): Fault {
  const fields: FieldViolation[] = problems.slice(0, listedMax).map(({ field, description }) => ({
    field: own ? asSent(field, own) : field,
    description,
  }));
  if (problems.length > listedMax)
    fields.push({ field: "", description: `and ${problems.length - listedMax} more` });
  const onlyReferences = problems.every(({ reason }) => reason === "REFERENCE_UNKNOWN");
  const reasons = [...new Set(problems.map(({ reason }) => reason))].toSorted();
  const [first] = fields;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
  return new Fault("invalid", `${first?.field}: ${first?.description}${more}`, {
    reason: onlyReferences ? "REFERENCE_UNKNOWN" : "DRAFT_INVALID",
    metadata: { problems: reasons.slice(0, listedMax).join(",") },
    fields,
  });
}

function asSent(path: string, own: { readonly place: string; readonly field: string }): string {
  if (path === own.place) return own.field;
  return path.startsWith(`${own.place}.`) ? own.field + path.slice(own.place.length) : path;
}
