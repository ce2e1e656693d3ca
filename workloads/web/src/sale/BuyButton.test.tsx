import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { SaleItem } from "@/api/schemas";
import { languages } from "@/i18n";
import { RoomProvider } from "@/room/RoomProvider";
import { BuyButton } from "./BuyButton";
import { type ButtonView, type BuyState, IDLE } from "./buy";

const item: SaleItem = {
  sku: "A",
  title: "Saree",
  image: "",
  price: { amount: 290_000, currency: "BDT" },
  stock: 2,
  left: 1,
  per_user_limit: 1,
};

function show(view: ButtonView, state: BuyState = IDLE) {
  const purchase = { state, buy: vi.fn(), pay: vi.fn(), dismiss: vi.fn() };
  const onOpenCheckout = vi.fn();
  // The room never gets a token here: the button needs its clock only.
  const never = () => new Promise<string>(() => undefined);
  render(
    <RoomProvider stream="shop/launch" token={never}>
      <BuyButton purchase={purchase} view={view} item={item} onOpenCheckout={onOpenCheckout} />
    </RoomProvider>,
  );
  return { purchase, onOpenCheckout, button: screen.getByTestId("buy-button") };
}

beforeAll(() => languages.use("en"));

describe("BuyButton", () => {
  it("buys once per tap when it may", async () => {
    const { purchase, button } = show("buy");
    await userEvent.click(button);
    expect(purchase.buy).toHaveBeenCalledOnce();
  });

  it.each<ButtonView>(["countdown", "opening", "waiting", "holdOn", "soldOut", "limit", "closed", "paused"])(
    "does nothing while %s",
    async (view) => {
      const { purchase, button } = show(
        view,
        view === "waiting" ? { kind: "waiting", id: "k", holdOn: false } : IDLE,
      );
      await userEvent.click(button);
      expect(purchase.buy).not.toHaveBeenCalled();
      expect(button).toBeDisabled();
      expect(screen.getByTestId("order-state")).not.toBeEmptyDOMElement();
    },
  );

  it("leads to the checkout while something is held", async () => {
    const expiresMs = Date.now() + 90_500;
    const state: BuyState = { kind: "reserved", orderId: "o1", expiresMs, paying: false, problem: null };
    const { purchase, onOpenCheckout, button } = show("reserved", state);
    expect(button).toHaveTextContent(/Pay · 01:3\d/);
    await userEvent.click(button);
    expect(onOpenCheckout).toHaveBeenCalledOnce();
    expect(purchase.buy).not.toHaveBeenCalled();
  });
});
