import { useEffect, useState } from "react";
import { useRoom } from "@/room/RoomProvider";

/** The server's time, drawn anew as often as a countdown needs it. */
export function useServerNow(everyMs = 250): number {
  const { clock } = useRoom();
  const [now, setNow] = useState(() => clock.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(clock.now()), everyMs);
    return () => clearInterval(timer);
  }, [clock, everyMs]);
  return now;
}
