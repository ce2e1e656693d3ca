/** The rungs of the ladder to choose from; automatic is the first choice. A chunk of its own. */
import { Check, SlidersHorizontal } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { useTranslation } from "@/i18n";
import styles from "./MultiQualitySelector.module.css";
import type { Quality } from "./types";

interface MultiQualitySelectorProps {
  qualities: Quality[];
  selected: number;
  playing: number;
  onSelect(index: number): void;
}

export default function MultiQualitySelector({
  qualities,
  selected,
  playing,
  onSelect,
}: MultiQualitySelectorProps) {
  const { t } = useTranslation();
  const now = qualities.find((quality) => quality.index === playing);
  const automatic = now ? t("player.autoNow", { height: String(now.height) }) : t("player.auto");
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className={styles.trigger} aria-label={t("player.quality")}>
        <SlidersHorizontal aria-hidden="true" />
        {now && <span>{t("player.level", { height: String(now.height) })}</span>}
      </DropdownMenu.Trigger>
      <DropdownMenu.Content className={styles.menu} align="end" sideOffset={8}>
        <DropdownMenu.RadioGroup value={String(selected)} onValueChange={(value) => onSelect(Number(value))}>
          <Choice value="-1" label={automatic} />
          {qualities.map((quality) => (
            <Choice
              key={quality.index}
              value={String(quality.index)}
              label={t("player.level", { height: String(quality.height) })}
            />
          ))}
        </DropdownMenu.RadioGroup>
      </DropdownMenu.Content>
    </DropdownMenu.Root>
  );
}

function Choice({ value, label }: { value: string; label: string }) {
  return (
    <DropdownMenu.RadioItem className={styles.choice} value={value}>
      <span className={styles.mark}>
        <DropdownMenu.ItemIndicator>
          <Check aria-hidden="true" />
        </DropdownMenu.ItemIndicator>
      </span>
      {label}
    </DropdownMenu.RadioItem>
  );
}
