import { Sessions } from "@/api/session";
import { languages } from "@/i18n";

/** The visitor's session, one for all pages. Its made-up name is in the visitor's language. */
export const sessions = new Sessions(() => {
  const number = String(1000 + Math.floor(Math.random() * 9000));
  return languages.current.t("guest.name", { number });
});
