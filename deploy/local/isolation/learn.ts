import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { TestMesh } from "@soldier/chassis/testing";
import { answerOf } from "./call.ts";
import { contractServices } from "./contract.ts";
import { requestsFor, tokenOf } from "./requests.ts";
import type { World } from "./world.ts";

/** Reads every list of the contract as its owner: what things are called, and a page token of each. */
export async function learnLists(mesh: TestMesh, world: World): Promise<void> {
  const call = mesh.as(world.identity);
  for (const service of await contractServices())
    for (const method of service.methods) {
      if (!method.input.field["pageSize"] || method.methodKind !== "unary") continue;
      for (const request of requestsFor(method, world)) {
        const [all, first] = await Promise.all(
          [100, 1].map((pageSize) => answerOf(call, method, { ...request, pageSize } as Message)),
        );
        if (all?.kind === "answered")
          for (const message of all.messages) learnIn(world, method.output, message);
        if (first?.kind === "answered")
          for (const message of first.messages)
            world.ids.add(tokenOf(method), stringIn(message, "nextPageToken"));
      }
    }
}

function learnIn({ ids }: World, desc: DescMessage, message: Message): void {
  for (const field of desc.fields) {
    if (field.fieldKind !== "list" || field.listKind !== "message") continue;
    const held = (message as unknown as Record<string, unknown>)[field.localName];
    for (const item of held as Message[]) ids.learn(field.message, item);
  }
}

function stringIn(message: Message, field: string): string {
  const value = (message as unknown as Record<string, unknown>)[field];
  return typeof value === "string" ? value : "";
}
