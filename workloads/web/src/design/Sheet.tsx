/**
 * A sheet from the bottom (from the side on wide screens). Not modal: the video behind it plays on and stays in reach.
 */
import { X } from "lucide-react";
import { Dialog } from "radix-ui";
import type { ReactNode } from "react";
import { useTranslation } from "@/i18n";
import styles from "./Sheet.module.css";
import { IconButton } from "./ui";

interface SheetProps {
  open: boolean;
  title: string;
  onClose(): void;
  children: ReactNode;
}

export default function Sheet({ open, title, onClose, children }: SheetProps) {
  const { t } = useTranslation();
  return (
    <Dialog.Root open={open} modal={false} onOpenChange={(next) => !next && onClose()}>
      <Dialog.Content
        className={styles.sheet}
        aria-describedby={undefined}
        onInteractOutside={(event) => event.preventDefault()}
      >
        <header className={styles.head}>
          <Dialog.Title className={styles.title}>{title}</Dialog.Title>
          <Dialog.Close asChild>
            <IconButton label={t("sheet.close")}>
              <X />
            </IconButton>
          </Dialog.Close>
        </header>
        <div className={styles.body}>{children}</div>
      </Dialog.Content>
    </Dialog.Root>
  );
}
