/** The host's desk: opens with a host token only. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import { ApiError } from "@/api/problem";
import { Message } from "@/app/Message";
import { useTranslation } from "@/i18n";
import { RoomProvider } from "@/room/RoomProvider";
import { takeHostToken } from "./hostToken";
import { StreamingStudio } from "./StreamingStudio";
import styles from "./StreamingStudio.module.css";

const POLL_MS = 2_000;

export default function StudioPage({ id }: { id: string }) {
  const { t } = useTranslation();
  const [token] = useState(() => takeHostToken(id));
  if (!token) {
    return (
      <Message title={t("studio.noToken")} text={t("studio.noTokenText")}>
        <HowTo id={id} />
      </Message>
    );
  }
  return <Opened id={id} token={token} />;
}

function Opened({ id, token }: { id: string; token: string }) {
  const { t } = useTranslation();
  const [hostToken] = useState(() => () => Promise.resolve(token));
  const info = useQuery({
    queryKey: ["studio", id],
    queryFn: ({ signal }) => api.studio(id, token, { signal }),
    refetchInterval: POLL_MS,
    retry: false,
  });
  if (info.error instanceof ApiError && [401, 403].includes(info.error.status)) {
    return (
      <Message title={t("studio.refused")} text={t("studio.refusedText")}>
        <HowTo id={id} />
      </Message>
    );
  }
  return (
    <RoomProvider stream={id} token={hostToken}>
      <StreamingStudio id={id} token={token} info={info.data ?? null} away={info.isError} />
    </RoomProvider>
  );
}

function HowTo({ id }: { id: string }) {
  return (
    <>
      <code className={styles.command}>.venv/bin/haat token --role host --stream {id}</code>
      <code className={styles.command}>
        {location.origin}/studio/{id}#token=…
      </code>
    </>
  );
}
