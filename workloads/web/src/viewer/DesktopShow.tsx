/** Three columns: what there is, the picture, the talk. */
import { Suspense } from "react";
import { Link } from "wouter";
import { Panel, Wordmark } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { LiveChatWindow } from "./LiveChatWindow";
import ProductShowcase from "./ProductShowcase";
import { Pinned, type ShowProps, Stage, Tickets, useNaming } from "./parts";
import { StreamDiscovery, useStreams } from "./StreamDiscovery";
import styles from "./ViewerPage.module.css";

export default function DesktopShow(show: ShowProps) {
  const { t } = useTranslation();
  const name = useNaming();
  const streams = useStreams();
  return (
    <main className={styles.desktop}>
      <aside className={styles.side}>
        <Link href="/?all" className={styles.brand}>
          <Wordmark />
        </Link>
        <Panel title={t("product.tray")}>
          <Suspense>
            <ProductShowcase {...show} />
          </Suspense>
        </Panel>
        <Panel title={t("streams.title")}>
          <StreamDiscovery streams={streams.data?.items ?? []} current={show.id} />
        </Panel>
      </aside>
      <div className={styles.frame}>
        <Stage {...show} />
        <div className={styles.overPicture}>
          <Pinned {...show} />
        </div>
      </div>
      <aside className={styles.talk}>
        <Tickets {...show} />
        <LiveChatWindow channel={show.channel} over="page" {...name} />
      </aside>
    </main>
  );
}
