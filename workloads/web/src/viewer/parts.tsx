/** What the show consists of, whatever the width: picture, pin, sale, and the name for the chat. */
import { lazy, Suspense, useCallback, useState } from "react";
import type { Product, Sale } from "@/api/schemas";
import { sessions } from "@/app/sessions";
import { LiveStreamPlayer } from "@/player/LiveStreamPlayer";
import { useRoom, useRoomState } from "@/room/RoomProvider";
import { ConnectionBanner } from "./ConnectionBanner";
import { ProductPinningOverlay } from "./ProductPinningOverlay";
import { StreamHeader } from "./StreamHeader";
import styles from "./ViewerPage.module.css";

const SaleTicket = lazy(() => import("@/sale/SaleTicket"));

export interface ShowProps {
  id: string;
  title: string;
  channel: string;
  phase: string | null;
  products: Product[];
  sale: Sale | null;
  selected: string | null;
  trayOpen: boolean;
  onSelect(sku: string | null): void;
  onTray(open: boolean): void;
}

export function Stage({ id, title, channel, phase }: ShowProps) {
  const playable = phase === "Live" || phase === "Interrupted";
  return (
    <div className={styles.stage}>
      <LiveStreamPlayer src={playable ? `/hls/${id}/master.m3u8` : null} title={title} phase={phase}>
        <div className={styles.scrim} />
        <div className={styles.top}>
          <StreamHeader title={title} channel={channel} phase={phase} />
        </div>
        <ConnectionBanner />
      </LiveStreamPlayer>
    </div>
  );
}

export function Pinned({ products, sale, onSelect }: ShowProps) {
  const pin = useRoomState((state) => state.pins.at(-1));
  if (!pin) return null;
  const product = products.find((item) => item.sku === pin.sku);
  const onSale = isCurrent(sale) && sale.items.some((item) => item.sku === pin.sku);
  return <ProductPinningOverlay key={pin.sku} pin={pin} product={product} onSale={onSale} onSee={onSelect} />;
}

export function Tickets({ sale, products }: ShowProps) {
  if (!isCurrent(sale)) return null;
  return (
    <Suspense>
      {sale.items.map((item) => (
        <SaleTicket
          key={`${sale.id}/${item.sku}`}
          sale={sale}
          item={item}
          product={products.find((product) => product.sku === item.sku)}
        />
      ))}
    </Suspense>
  );
}

/** A sale that is over stays on screen for a while: those who hold or paid something want to see it. */
function isCurrent(sale: Sale | null): sale is Sale {
  return sale !== null && sale.phase !== "Cancelled";
}

/** The name for the chat: a new session, and the room again under it. */
export function useNaming(): { named: boolean; onName(name: string): Promise<void> } {
  const { client, store } = useRoom();
  const [named, setNamed] = useState(() => sessions.current?.named ?? false);
  const onName = useCallback(
    async (name: string) => {
      const identity = await sessions.rename(name);
      client.reconnectNow();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 5_000);
        const stop = store.subscribe((state) => {
          if (state.user?.id !== identity.userId) return;
          clearTimeout(timer);
          stop();
          resolve();
        });
      });
      setNamed(true);
    },
    [client, store],
  );
  return { named, onName };
}
