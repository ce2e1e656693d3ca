/** Asks once for a name, before the first message. */
import { type FormEvent, useEffect, useRef, useState } from "react";
import { Button } from "@/design/ui";
import { useTranslation } from "@/i18n";
import styles from "./NameForm.module.css";

export default function NameForm({
  onJoin,
  onCancel,
}: {
  onJoin(name: string): Promise<void>;
  onCancel(): void;
}) {
  const { t } = useTranslation();
  const [name, setName] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!name.trim() || busy) return;
    setBusy(true);
    onJoin(name.trim()).catch((error: unknown) => {
      setBusy(false);
      setProblem(error instanceof Error ? error.message : t("error.generic"));
    });
  };
  return (
    <form
      className={styles.name}
      onSubmit={submit}
      onKeyDown={(event) => event.key === "Escape" && onCancel()}
    >
      <label>
        <b>{t("chat.namePrompt")}</b>
        <small>{t("chat.nameHelp")}</small>
        <input
          ref={input}
          data-testid="name-input"
          value={name}
          maxLength={40}
          placeholder={t("chat.namePlaceholder")}
          autoComplete="nickname"
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      {problem && <p role="alert">{problem}</p>}
      <Button type="submit" wide disabled={busy || !name.trim()} data-testid="name-send">
        {t("chat.nameSend")}
      </Button>
    </form>
  );
}
