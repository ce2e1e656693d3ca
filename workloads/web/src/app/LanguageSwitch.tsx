/** The other languages, each under its own name. */
import { LANGUAGES, type Language, switchLanguage, useTranslation } from "@/i18n";
import styles from "./LanguageSwitch.module.css";

const SHORT: Record<Language, string> = { en: "EN", bn: "বাং" };

export function LanguageSwitch() {
  const { language: current } = useTranslation();
  const others = (Object.keys(LANGUAGES) as Language[]).filter((language) => language !== current);
  return others.map((language) => (
    <button
      key={language}
      type="button"
      lang={language}
      className={styles.switch}
      aria-label={LANGUAGES[language]}
      title={LANGUAGES[language]}
      data-testid={`language-${language}`}
      onClick={() => void switchLanguage(language)}
    >
      {SHORT[language]}
    </button>
  ));
}
