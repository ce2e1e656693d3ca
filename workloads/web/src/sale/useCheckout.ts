import { createStore, useStore } from "zustand";

interface CheckoutState {
  checkout: string | null;
  open(sku: string): void;
  close(): void;
}

/** One checkout at a time, for whichever article: the article's SKU, or null. */
const store = createStore<CheckoutState>((set) => ({
  checkout: null,
  open: (sku) => set({ checkout: sku }),
  close: () => set({ checkout: null }),
}));

export function useCheckout(): CheckoutState {
  return useStore(store);
}
