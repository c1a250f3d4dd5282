import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { connectionFrom } from "./connection.ts";
import { folderWith } from "./testing.ts";

const here = { url: "http://127.0.0.1:8080", token: "ours", agent: "shop" };

function localFile(text = JSON.stringify(here)): string {
  return join(folderWith({ "local.json": text }), "local.json");
}

const nowhere = "/nowhere/local.json";

describe("a connection", () => {
  it("is to what the local start has left when nothing else is said", () => {
    expect(connectionFrom({}, localFile())).toEqual(here);
  });

  it("is to what is said, local start or not", () => {
    const said = { url: "https://soldier.example", token: "theirs" };
    expect(connectionFrom(said, nowhere)).toEqual({ ...said, agent: undefined });
    expect(connectionFrom(said, localFile())).toEqual({ ...said, agent: undefined });
    expect(connectionFrom({ token: "mine" }, localFile())).toEqual({ ...here, token: "mine" });
    expect(connectionFrom({ url: here.url }, localFile())).toEqual(here);
  });

  it("does not take the local token elsewhere", () => {
    expect(() => connectionFrom({ url: "https://soldier.example" }, localFile())).toThrow(
      "say by which token to ask https://soldier.example",
    );
  });

  it("is told how to come about when nothing runs", () => {
    expect(() => connectionFrom({}, nowhere)).toThrow("Start it with `npm start`");
    expect(() => connectionFrom({ token: "mine" }, nowhere)).toThrow("`npm start`");
  });

  it.each(["", "{", "{}", '{"url":"soldier","token":"x"}'])("is not made from %j", (text) => {
    expect(() => connectionFrom({}, localFile(text))).toThrow("is not what `npm start` leaves");
  });

  it("needs an address", () => {
    const said = { url: "soldier.example", token: "x" };
    expect(() => connectionFrom(said, nowhere)).toThrow("soldier.example is no address");
  });
});
