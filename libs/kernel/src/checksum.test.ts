import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkedMessage, withChecksum } from "./checksum.ts";

const message = fc.uint8Array({ maxLength: 200 });

describe("a message with its checksum", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(message, (bytes) => {
        expect(Buffer.from(checkedMessage(withChecksum(bytes)))).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it("is refused when cut anywhere but to nothing", () => {
    fc.assert(
      fc.property(message, fc.nat(), (bytes, at) => {
        const whole = withChecksum(bytes);
        const cut = whole.subarray(0, 1 + (at % (whole.length - 1)));
        expect(() => checkedMessage(cut)).toThrow(/cut off|are left/);
      }),
    );
  });

  it("is refused when a byte behind the checksum is another", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), (bytes, at) => {
        const changed = withChecksum(bytes);
        const place = 13 + (at % bytes.length);
        changed[place] = (changed[place] ?? 0) ^ 1;
        expect(() => checkedMessage(changed)).toThrow(/not those that were written/);
      }),
    );
  });

  it("is merged with one behind it, which must be whole, too", () => {
    const both = Buffer.concat([
      withChecksum(Buffer.from("one")),
      withChecksum(Buffer.from("two")),
    ]);
    expect(Buffer.from(checkedMessage(both)).toString()).toBe("onetwo");
    expect(() => checkedMessage(both.subarray(0, -1))).toThrow("only 2 of 3 bytes are left");
  });

  it("may stand before one that has none, and one that has none is as it is", () => {
    const bytes = Buffer.concat([withChecksum(Buffer.from("one")), Buffer.from([8, 1])]);
    expect(Buffer.from(checkedMessage(bytes))).toEqual(Buffer.from([...Buffer.from("one"), 8, 1]));
    expect(checkedMessage(Buffer.from([8, 1]))).toEqual(Buffer.from([8, 1]));
    expect(checkedMessage(new Uint8Array(0))).toHaveLength(0);
  });
});
