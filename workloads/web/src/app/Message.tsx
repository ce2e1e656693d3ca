/** A page that has only something to say. */
import type { ReactNode } from "react";
import { Link } from "wouter";
import { Wordmark } from "@/design/ui";
import { useTranslation } from "@/i18n";
import styles from "./Message.module.css";

export function Message({ title, text, children }: { title: string; text?: string; children?: ReactNode }) {
  const { t } = useTranslation();
  return (
    <main className={styles.message}>
      <Link href="/?all" className={styles.brand}>
        <Wordmark />
      </Link>
      <h1>{title}</h1>
      {text && <p>{text}</p>}
      {children ?? (
        <p>
          <Link href="/?all">{t("app.home")}</Link>
        </p>
      )}
    </main>
  );
}
