/** Haat's small parts: button, badge, icon button, price, product picture, panel, sheet's handle. */
import type { ButtonHTMLAttributes, ReactNode } from "react";
import type { Money } from "@/api/schemas";
import { useTranslation } from "@/i18n";
import { discountPercent, formatMoney, formatPercent } from "@/i18n/format";
import styles from "./ui.module.css";

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & {
  tone?: "accent" | "plain" | "good" | "glass";
  wide?: boolean;
};

export function Button({ tone = "accent", wide = false, className = "", ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      className={`${styles.button} ${styles[tone]} ${wide ? styles.wide : ""} ${className}`}
      {...rest}
    />
  );
}

export function IconButton({
  label,
  children,
  className = "",
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { label: string; children: ReactNode }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      className={`${styles.icon} ${className}`}
      {...rest}
    >
      {children}
    </button>
  );
}

export function Spinner() {
  return <span className={styles.spinner} aria-hidden="true" />;
}

export function Price({ price, list }: { price: Money; list?: Money | null | undefined }) {
  const { t, language } = useTranslation();
  const off = discountPercent(price, list);
  return (
    <span className={styles.price}>
      <strong>{formatMoney(price, language)}</strong>
      {off !== null && list && (
        <>
          <s>{formatMoney(list, language)}</s>
          <em>{t("product.off", { percent: formatPercent(off, language) })}</em>
        </>
      )}
    </span>
  );
}

export function ProductImage({ src, size }: { src: string | null | undefined; size: number }) {
  return src ? (
    <img
      className={styles.picture}
      src={src}
      alt=""
      width={size}
      height={size}
      loading="lazy"
      decoding="async"
    />
  ) : (
    <span className={styles.picture} style={{ width: size, height: size }} />
  );
}

export function Panel({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className={styles.panel}>
      <header className={styles.panelHead}>
        <h2>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

/** Haat in both scripts; the dot of the market's flag hangs on the head line. */
export function Wordmark() {
  return (
    <span className={styles.wordmark}>
      <img src="/haat.svg" alt="" width={26} height={26} />
      <span>haat</span>
      <span lang="bn" aria-hidden="true">
        হাট
      </span>
    </span>
  );
}
