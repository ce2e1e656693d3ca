/** Says when the room is away, and for a moment that it is back. */
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "@/i18n";
import { useRoomState } from "@/room/RoomProvider";
import styles from "./ConnectionBanner.module.css";

const PATIENCE_MS = 1_200;
const BACK_MS = 2_500;

export function ConnectionBanner() {
  const { t } = useTranslation();
  const joined = useRoomState((state) => state.joined);
  const open = useRoomState((state) => state.connection === "open");
  const [shown, setShown] = useState<"lost" | "back" | null>(null);
  const wasLost = useRef(false);
  useEffect(() => {
    if (!joined) return;
    if (!open) {
      const timer = setTimeout(() => {
        wasLost.current = true;
        setShown("lost");
      }, PATIENCE_MS);
      return () => clearTimeout(timer);
    }
    if (!wasLost.current) return;
    wasLost.current = false;
    setShown("back");
    const timer = setTimeout(() => setShown(null), BACK_MS);
    return () => clearTimeout(timer);
  }, [joined, open]);
  return (
    <div className={styles.place} role="status">
      {shown && (
        <p className={styles.banner} data-kind={shown} data-testid="connection-banner">
          {shown === "lost" ? t("connection.lost") : t("connection.back")}
        </p>
      )}
    </div>
  );
}
