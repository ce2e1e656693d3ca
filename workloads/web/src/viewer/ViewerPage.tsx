/** The show: one upright picture with everything over it on a phone, three columns on a desktop. */
import { ShoppingBag } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { ApiError } from "@/api/problem";
import type { StreamDetail } from "@/api/schemas";
import { Message } from "@/app/Message";
import { sessions } from "@/app/sessions";
import { IconButton } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { formatCount } from "@/i18n/format";
import { RoomProvider, useRoomState } from "@/room/RoomProvider";
import { LiveChatWindow } from "./LiveChatWindow";
import { Pinned, type ShowProps, Stage, Tickets, useNaming } from "./parts";
import { useStreamDetail } from "./useStreamDetail";
import { useWide } from "./useWide";
import styles from "./ViewerPage.module.css";

const Sheet = lazy(() => import("@/design/Sheet"));
const DesktopShow = lazy(() => import("./DesktopShow"));
const ProductShowcase = lazy(() => import("./ProductShowcase"));

const guestToken = (refused: boolean) => sessions.token(refused);

export default function ViewerPage({ id }: { id: string }) {
  const { t } = useTranslation();
  const detail = useStreamDetail(id);
  if (detail.error instanceof ApiError && detail.error.status === 404) {
    return <Message title={t("stream.unknown")} text={t("stream.unknownText")} />;
  }
  return (
    <RoomProvider key={id} stream={id} token={guestToken}>
      <Show id={id} detail={detail.data ?? null} />
    </RoomProvider>
  );
}

function Show({ id, detail }: { id: string; detail: StreamDetail | null }) {
  const wide = useWide();
  const roomPhase = useRoomState((state) => state.phase);
  const roomSale = useRoomState((state) => state.sale);
  const [tray, setTray] = useState<{ open: boolean; sku: string | null }>({ open: false, sku: null });
  const phase = roomPhase ?? detail?.phase ?? null;
  const show: ShowProps = {
    id,
    title: detail?.title || id,
    channel: detail?.channel ?? "",
    phase,
    products: detail?.products ?? [],
    sale: roomSale ?? detail?.sale ?? null,
    selected: tray.sku,
    trayOpen: tray.open,
    onSelect: (sku) => setTray({ open: true, sku }),
    onTray: (open) => setTray({ open, sku: null }),
  };
  return wide ? (
    <Suspense>
      <DesktopShow {...show} />
    </Suspense>
  ) : (
    <Phone {...show} />
  );
}

function Phone(show: ShowProps) {
  const { t, language } = useTranslation();
  const name = useNaming();
  const count = show.products.length;
  return (
    <main className={styles.phone}>
      <Stage {...show} />
      <div className={styles.bottom}>
        <LiveChatWindow
          channel={show.channel}
          over="picture"
          {...name}
          aside={
            <IconButton
              label={t("product.tray")}
              className={styles.bag}
              data-testid="tray-button"
              onClick={() => show.onTray(true)}
            >
              <ShoppingBag />
              {count > 0 && <span aria-hidden="true">{formatCount(count, language)}</span>}
            </IconButton>
          }
        />
        <div className={styles.table}>
          <Pinned {...show} />
          <Tickets {...show} />
        </div>
      </div>
      {show.trayOpen && (
        <Suspense>
          <Sheet open title={t("product.tray")} onClose={() => show.onTray(false)}>
            <ProductShowcase {...show} />
          </Sheet>
        </Suspense>
      )}
    </main>
  );
}
