import { describe, expect, it } from "vitest";
import { reasonOf } from "../testing-shop.ts";
import { admitted, isPrivate, type Resolve } from "./egress.ts";

const publicly: Resolve = async () => [{ address: "93.184.216.34", family: 4 }];

describe("where tools may go", () => {
  it.each([
    "127.0.0.1",
    "10.1.2.3",
    "172.20.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "::1",
    "fd00::1",
    "fe80::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
  ])("is not %s", (address) => expect(isPrivate(address)).toBe(true));
  it.each(["93.184.216.34", "2606:4700::1111"])("may be %s", (address) =>
    expect(isPrivate(address)).toBe(false),
  );
  it("is refused for every name that leads to a private address, unless it is allowed", async () => {
    const inside: Resolve = async () => [
      { address: "93.184.216.34", family: 4 },
      { address: "10.0.0.7", family: 4 },
    ];
    const to = (url: string, allowed: string[] = [], resolve = inside) =>
      reasonOf(admitted(new URL(url), new Set(allowed), resolve));
    expect(await to("http://shop.example/")).toBe("EGRESS_REFUSED");
    expect(await to("http://shop.example/", ["shop.example:80"])).toBe("nothing");
    expect(await to("http://shop.example:81/", ["shop.example:80"])).toBe("EGRESS_REFUSED");
    expect(await to("https://shop.example/", [], publicly)).toBe("nothing");
    expect(await to("http://[::1]/")).toBe("EGRESS_REFUSED");
    expect(await to("http://2130706433/")).toBe("EGRESS_REFUSED"); // 127.0.0.1 as one number
  });
  it("is nowhere for a name without an address", async () => {
    const lost = admitted(new URL("http://nowhere.invalid/"), new Set(), () =>
      Promise.reject(new Error("ENOTFOUND")),
    );
    expect(await reasonOf(lost)).toBe("TOOL_UNREACHABLE");
  });
});
