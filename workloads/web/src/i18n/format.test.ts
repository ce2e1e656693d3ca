import { describe, expect, it } from "vitest";
import { discountPercent, formatCount, formatMoney, localTitle, twoDigits } from "./format";

const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");

describe("formatMoney", () => {
  it.each([
    [290_000, "BDT", "en", "৳2,900"],
    [290_050, "BDT", "en", "৳2,900.50"],
    [290_000, "BDT", "bn", "২,৯০০৳"],
    [12_500_000, "BDT", "bn", "১,২৫,০০০৳"],
    [1_500, "JPY", "en", "¥1,500"],
    [0, "BDT", "en", "৳0"],
  ])("%i %s in %s is %s", (amount, currency, language, text) => {
    expect(plain(formatMoney({ amount, currency }, language))).toBe(text);
  });
});

describe("numbers and names", () => {
  it("are written in the language's digits", () => {
    expect(formatCount(1_284, "bn")).toBe("১,২৮৪");
    expect(twoDigits(5, "bn")).toBe("০৫");
    expect(twoDigits(5, "en")).toBe("05");
  });

  it("boast of no discount that is none", () => {
    const of = (amount: number, currency = "BDT") => ({ amount, currency });
    expect(discountPercent(of(290), of(480))).toBe(39);
    expect(discountPercent(of(480), of(480))).toBeNull();
    expect(discountPercent(of(290), of(480, "USD"))).toBeNull();
    expect(discountPercent(of(290), null)).toBeNull();
  });

  it("fall back to the product's own title", () => {
    const product = { title: "Saree", titles: { bn: "শাড়ি" } };
    expect(localTitle(product, "bn")).toBe("শাড়ি");
    expect(localTitle(product, "en")).toBe("Saree");
    expect(localTitle({ title: "Saree", titles: undefined }, "bn")).toBe("Saree");
  });
});
