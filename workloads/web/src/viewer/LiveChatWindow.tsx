/** The room's talk: fades over the picture on a phone, a column on a desktop. A polite live region with a rate cap. */
import { SendHorizontal } from "lucide-react";
import { type FormEvent, lazy, type ReactNode, Suspense, useEffect, useRef, useState } from "react";
import { IconButton } from "@/design/ui";
import { useTranslation } from "@/i18n";
import { useRoom, useRoomState } from "@/room/RoomProvider";
import type { ChatMessage } from "@/room/state";
import styles from "./LiveChatWindow.module.css";

const NameForm = lazy(() => import("./NameForm"));

interface LiveChatWindowProps {
  channel: string;
  over: "picture" | "page";
  /** False until the viewer has chosen a name. */
  named: boolean;
  onName(name: string): Promise<void>;
  /** Beside the input (the product tray's button on a phone). */
  aside?: ReactNode;
}

const MAX_LENGTH = 300;
const SPEAK_EVERY_MS = 8_000;

export function LiveChatWindow({ channel, over, named, onName, aside }: LiveChatWindowProps) {
  const { t } = useTranslation();
  const chat = useRoomState((state) => state.chat);
  return (
    <section className={`${styles.chat} ${styles[over]}`} aria-label={t("chat.title")}>
      <Messages chat={chat} channel={channel} quiet={over === "picture"} />
      <Spoken chat={chat} />
      <Problem />
      <Composer named={named} onName={onName} aside={aside} />
    </section>
  );
}

function Messages({ chat, channel, quiet }: { chat: ChatMessage[]; channel: string; quiet: boolean }) {
  const { t } = useTranslation();
  const list = useRef<HTMLOListElement>(null);
  const stick = useRef(true);
  const newest = chat.at(-1);
  const last = newest && `${newest.key} ${newest.status}`;
  useEffect(() => {
    const element = list.current;
    if (element && last && stick.current) element.scrollTop = element.scrollHeight;
  }, [last]);
  const onScroll = () => {
    const element = list.current;
    if (element) stick.current = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
  };
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls must be reachable by keyboard
    <ol ref={list} className={styles.list} data-testid="chat-list" tabIndex={0} onScroll={onScroll}>
      {chat.length === 0 && !quiet && <li className={styles.empty}>{t("chat.empty", { channel })}</li>}
      {chat.map((message) => (
        <Message key={message.key} message={message} />
      ))}
    </ol>
  );
}

function Message({ message }: { message: ChatMessage }) {
  const { t } = useTranslation();
  const { author } = message;
  return (
    <li className={styles.message} data-own={message.own} data-status={message.status}>
      <b dir="auto">{author.name}</b>
      {author.role === "host" && <i>{t("chat.host")}</i>}
      {author.role === "moderator" && <i>{t("chat.moderator")}</i>} <span dir="auto">{message.text}</span>
      {message.status === "failed" && (
        <em>{t("chat.failed", { reason: message.problem || t("chat.unreachable") })}</em>
      )}
    </li>
  );
}

/** Screen readers hear a summary every few seconds, not each line of a busy room. */
function Spoken({ chat }: { chat: ChatMessage[] }) {
  const { t } = useTranslation();
  const [spoken, setSpoken] = useState("");
  const latest = useRef(chat);
  latest.current = chat;
  useEffect(() => {
    let heard = latest.current.length;
    let key = latest.current.at(-1)?.key;
    const timer = setInterval(() => {
      const now = latest.current;
      const newest = now.at(-1);
      if (!newest || newest.key === key) return;
      const index = now.findIndex((message) => message.key === key);
      const count = index >= 0 ? now.length - 1 - index : Math.max(1, now.length - heard);
      heard = now.length;
      key = newest.key;
      if (newest.own) return;
      setSpoken(
        count === 1
          ? `${newest.author.name}: ${newest.text}`
          : t("chat.newMessages", { count, name: newest.author.name }),
      );
    }, SPEAK_EVERY_MS);
    return () => clearInterval(timer);
  }, [t]);
  return (
    <p className="visually-hidden" aria-live="polite">
      {spoken}
    </p>
  );
}

function Problem() {
  const { t } = useTranslation();
  const problem = useRoomState((state) => state.chatProblem);
  if (!problem) return null;
  const seconds = Math.max(1, Math.ceil(problem.retryAfterSeconds ?? 1));
  const known: Record<string, string> = {
    slow_mode: t("chat.slow", { seconds }),
    rate_limited: t("chat.slow", { seconds }),
    moderated: t("chat.refused"),
    blocked: t("chat.refused"),
  };
  return (
    <p className={styles.problem} role="alert">
      {known[problem.code] ?? problem.detail}
    </p>
  );
}

function Composer({ named, onName, aside }: Pick<LiveChatWindowProps, "named" | "onName" | "aside">) {
  const { t } = useTranslation();
  const { say } = useRoom();
  const [draft, setDraft] = useState("");
  const [asking, setAsking] = useState(false);
  const send = (event: FormEvent) => {
    event.preventDefault();
    const text = draft.trim();
    if (!text) return;
    if (!named) {
      setAsking(true);
      return;
    }
    say(text);
    setDraft("");
  };
  const join = async (name: string) => {
    await onName(name);
    setAsking(false);
    if (draft.trim()) say(draft.trim());
    setDraft("");
  };
  if (asking) {
    return (
      <Suspense>
        <NameForm onJoin={join} onCancel={() => setAsking(false)} />
      </Suspense>
    );
  }
  return (
    <form className={styles.composer} onSubmit={send}>
      <label className={styles.field}>
        <span className="visually-hidden">{t("chat.placeholder")}</span>
        <input
          data-testid="chat-input"
          value={draft}
          maxLength={MAX_LENGTH}
          placeholder={t("chat.placeholder")}
          autoComplete="off"
          enterKeyHint="send"
          onChange={(event) => setDraft(event.target.value)}
        />
        <IconButton label={t("chat.send")} type="submit" data-testid="chat-send" disabled={!draft.trim()}>
          <SendHorizontal />
        </IconButton>
      </label>
      {aside}
    </form>
  );
}
