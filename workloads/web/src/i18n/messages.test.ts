import { describe, expect, it } from "vitest";
import { compileMessage } from "../../scripts/icu-messages";
import { languages } from ".";
import { helpersOf, type Message, type Values } from "./messages";

function say(text: string, values: Values, locale = "en"): string {
  const message = new Function(`return ${compileMessage(text)}`)() as Message;
  return typeof message === "string" ? message : message(values, helpersOf(locale));
}

describe("compiled ICU messages", () => {
  const items = "{count, plural, =0 {nothing} one {# item} other {# items}} for {name}";
  it.each([
    [0, "nothing for Rina"],
    [1, "1 item for Rina"],
    [1_200, "1,200 items for Rina"],
  ])("%i: %s", (count, text) => {
    expect(say(items, { count, name: "Rina" })).toBe(text);
  });

  it("select, nest and keep quotes and markup as text", () => {
    const text = '{who, select, host {the "host"} other {{count, plural, other {# <b>guests</b>}}}}';
    expect(say(text, { who: "host", count: 2 })).toBe('the "host"');
    expect(say(text, { who: "x", count: 2 }, "bn-BD")).toBe("২ <b>guests</b>");
  });

  it("refuse what browsers could not run", () => {
    expect(() => compileMessage("{when, date, short}")).toThrow(/not supported/);
  });

  it("come with both languages", async () => {
    await languages.use("bn");
    expect(languages.current.t("product.count", { count: 5 })).toBe("৫টি পণ্য");
    expect(document.documentElement.lang).toBe("bn");
    await languages.use("en");
    expect(languages.current.t("product.count", { count: 1 })).toBe("1 product");
  });
});
