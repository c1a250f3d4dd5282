import { type DescMethod, fromJson, type Message, toJson } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { Identity } from "@soldier/chassis/identity";
import { type TestMesh, testIdentity, testSettings } from "@soldier/chassis/testing";
import { openApi } from "@soldier/cli/api";
import { mintToken } from "@soldier/cli/token";
import { type Answer, answerOf, codeOf, toldIn, wireOf } from "./call.ts";
import { longName, neededRole } from "./contract.ts";
import { differences, type Dump } from "./dump.ts";
import { overConnect, overRest } from "./edge.ts";
import { overGrpc } from "./edge-stream.ts";
import { ghosted, gist, idsIn, leaksIn, type Secrets } from "./leaks.ts";
import { depthOf, idPaths, pathName, planted } from "./plant.ts";
import { requestsFor, tokenOf } from "./requests.ts";
import { plainVoice } from "./voice.ts";
import { allRoles, subject, type World } from "./world.ts";

/** What is intruded upon, and by whom. */
export interface Target {
  readonly mesh: TestMesh;
  readonly owner: World;
  readonly intruder: World;
  readonly secrets: Secrets;
  /** The owner's rows now, and as they were. */
  readonly dump: () => Promise<Dump>;
  readonly before: Dump;
}

/** What was found of one RPC, or one class of statements. */
export interface Finding {
  readonly name: string;
  readonly note: string;
  readonly problems: readonly string[];
  readonly isBuilt: boolean;
}

const problemsMax = 8;

/** Makes every attempt on the RPC that a caller of another tenant has. */
export async function intrude(target: Target, method: DescMethod): Promise<Finding> {
  const problems = new Set<string>();
  const codes = new Set<string>();
  const requests = requestsFor(method, { ids: target.owner.ids, voice: plainVoice });
  for (const [way, request] of requests.entries()) {
    const answer = await asStranger(target, method, request, problems);
    codes.add(codeOf(answer));
    await withEachRole(target, method, request, problems);
    await withoutTenant(target, method, request, problems);
    await atTheEdge(target, method, request, problems, way);
  }
  const fields = await withPlantedIds(target, method, problems);
  const changed = differences(target.before, await target.dump());
  for (const change of changed) problems.add(`changed what is another's: ${change}`);
  const told = [...codes].map((code) =>
    code === "OK" ? "OK with its own alone" : `refused ${code}`,
  );
  const note = `${told.join(", ")}; nothing leaked, nothing changed, ids in ${fields} fields`;
  return {
    name: longName(method),
    note: problems.size === 0 ? note : told.join(", "),
    problems: [...problems].slice(0, problemsMax),
    isBuilt: true,
  };
}

/**
 * A tenant that has nothing asks with what is the owner's, and then with what nobody has: it must be
 * told the same.
 */
async function asStranger(
  { mesh, secrets }: Target,
  method: DescMethod,
  request: Message,
  problems: Set<string>,
): Promise<Answer> {
  const ask = (message: Message) => answerOf(mesh.as(strangerWith(allRoles)), method, message);
  const answer = await ask(request);
  noteLeaks(secrets, method, request, answer, "a stranger", problems);
  const apart = await toldApart(secrets, method, request, answer, ask);
  if (apart) problems.add(`another tenant's things are told from nobody's: ${apart}`);
  return answer;
}

/** Of two things that are missing, either may be told first. */
const ghostsMax = 6;

/** How the answer differs from that to the same request with what nobody has; undefined: it does not. */
async function toldApart(
  secrets: Secrets,
  method: DescMethod,
  request: Message,
  answer: Answer,
  ask: (message: Message) => Promise<Answer>,
): Promise<string | undefined> {
  const told = gistOf(method, answer);
  const ghost = ghostOf(method, request, secrets);
  let other = "";
  for (let i = 0; i < ghostsMax; i++) {
    other = gistOf(method, await ask(ghost));
    if (told === other) return undefined;
  }
  return firstDifference(told, other);
}

function gistOf(method: DescMethod, answer: Answer): string {
  return gist(`${codeOf(answer)} ${toldIn(method, answer)}`);
}

async function withEachRole(
  { mesh, secrets }: Target,
  method: DescMethod,
  request: Message,
  problems: Set<string>,
): Promise<void> {
  const needed = neededRole(method);
  for (const roles of [[], ...allRoles.map((role) => [role])]) {
    const answer = await answerOf(mesh.as(strangerWith(roles)), method, request);
    const who = `a stranger with the roles [${roles.join(" ")}]`;
    noteLeaks(secrets, method, request, answer, who, problems);
    const isRefused = answer.kind === "refused" && answer.fault.reason === "ROLE_MISSING";
    if (needed && !roles.includes(needed) && !isRefused)
      problems.add(`${who} was not refused with ROLE_MISSING: ${codeOf(answer)}`);
  }
}

async function withoutTenant(
  { mesh, secrets }: Target,
  method: DescMethod,
  request: Message,
  problems: Set<string>,
): Promise<void> {
  const nobody = testIdentity({ tenantId: "", roles: [...allRoles] });
  for (const [who, call] of [
    ["a caller without an identity", mesh.call],
    ["a caller without a tenant", mesh.as(nobody)],
  ] as const) {
    const answer = await answerOf(call, method, request);
    noteLeaks(secrets, method, request, answer, who, problems);
    if (codeOf(answer) !== "UNAUTHENTICATED")
      problems.add(`${who} was not refused as UNAUTHENTICATED: ${codeOf(answer)}`);
  }
}

/** The same at the chat-gateway, from outside, by Connect (gRPC for streams both ways) and by REST. */
async function atTheEdge(
  { mesh, secrets }: Target,
  method: DescMethod,
  request: Message,
  problems: Set<string>,
  way: number,
): Promise<void> {
  const url = mesh.url ?? "";
  const token = await strangersToken();
  const isPublic = neededRole(method) !== undefined;
  const open = method.methodKind === "bidi_streaming" || !isPublic ? overGrpc : openApi;
  const answer = await answerOf(open({ url, token, agent: "" }), method, request);
  noteLeaks(secrets, method, request, answer, "a stranger at the edge", problems);
  if (!isPublic) {
    const { status } = await overConnect(url, token, method, request);
    if (codeOf(answer) !== "UNIMPLEMENTED" || ![404, 415, 501].includes(status))
      problems.add(`the mesh's own RPC is open at the edge: ${codeOf(answer)}, ${status}`);
  }
  const rest = await overRest(url, await strangersToken(), method, request);
  if (!rest) return;
  const sent = idsIn(JSON.stringify(toJson(method.input, request)));
  for (const leak of leaksIn(rest.text, secrets, sent))
    problems.add(`a stranger's REST request is told ${leak}`);
  const isOk = rest.status < 300;
  if (isOk !== (answer.kind === "answered"))
    problems.add(
      `way ${way}: REST answers ${rest.status} and Connect ${codeOf(answer)}: ${rest.text.slice(0, 200)}`,
    );
}

/**
 * A tenant with a world of its own, in whose good requests one id after the other is the owner's.
 * Returns how many fields have held one.
 */
async function withPlantedIds(
  { mesh, owner, intruder, secrets }: Target,
  method: DescMethod,
  problems: Set<string>,
): Promise<number> {
  const bases = requestsFor(method, intruder);
  const paths = idPaths(method.input);
  const isRead = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  const ask = (message: Message) => answerOf(mesh.as(intruder.identity), method, message);
  // Reads come before anything is planted, so these must be good ones.
  for (const base of isRead ? bases : []) {
    const answer = await ask(base);
    if (answer.kind === "refused" && answer.fault.kind !== "unimplemented")
      problems.add(`not proven: the intruder's own request is refused: ${answer.fault.message}`);
  }
  for (const path of paths) {
    const field = path.at(-1);
    if (!field) continue;
    const value =
      field.name === "page_token"
        ? (owner.ids.find(tokenOf(method)) ?? "")
        : owner.ids.fitting(field);
    const [base] = bases.toSorted((a, b) => depthOf(b, path) - depthOf(a, path));
    if (!base) throw new Error(`there is no request for ${method.name}`);
    const request = planted(method.input, base, path, value);
    const answer = await ask(request);
    if (codeOf(answer) === "UNIMPLEMENTED") continue;
    if (value === "") problems.add(`not proven: there is no page token of the owner's`);
    const who = `one with the owner's ${pathName(path)}`;
    noteLeaks(secrets, method, request, answer, who, problems);
    if (answer.kind === "refused" && answer.fault.reason === "VALIDATION_FAILED")
      problems.add(`not proven: ${pathName(path)} = ${value}: ${answer.fault.message}`);
    if (!isRead) continue;
    const apart = await toldApart(secrets, method, request, answer, ask);
    if (apart) problems.add(`${who} is told what one with nobody's is not: ${apart}`);
  }
  return paths.length;
}

function strangersToken(): Promise<string> {
  const { tenantId } = strangerWith([]);
  return mintToken(testSettings(), { tenant: tenantId, subject, roles: allRoles, hours: 1 });
}

/** A tenant of which nobody has heard. */
function strangerWith(roles: readonly string[]): Identity {
  return testIdentity({ subject, roles });
}

function ghostOf(method: DescMethod, request: Message, secrets: Secrets): Message {
  const json = ghosted(JSON.stringify(toJson(method.input, request)), secrets);
  return fromJson(method.input, JSON.parse(json));
}

/** The intruder's own past: what it has planted in its own world may come back to it. */
const sentBefore = new WeakMap<Secrets, Set<string>>();

function noteLeaks(
  secrets: Secrets,
  method: DescMethod,
  request: Message,
  answer: Answer,
  who: string,
  problems: Set<string>,
): void {
  const sent = idsIn(JSON.stringify(toJson(method.input, request)));
  const past = sentBefore.get(secrets) ?? new Set<string>();
  sentBefore.set(secrets, past);
  const isPlanting = who.startsWith("one with");
  if (isPlanting) for (const id of sent) past.add(id);
  const allowed = isPlanting ? past : sent;
  const text = `${toldIn(method, answer)}\n${wireOf(method, answer)}`;
  for (const leak of leaksIn(text, secrets, allowed)) problems.add(`${who} is told ${leak}`);
}

function firstDifference(told: string, other: string): string {
  let at = 0;
  while (at < told.length && told[at] === other[at]) at++;
  const from = Math.max(0, at - 60);
  return `"${told.slice(from, at + 120)}" and "${other.slice(from, at + 120)}"`;
}
