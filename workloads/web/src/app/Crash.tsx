/** The last net: a page that broke says so and offers to load again. */
import { Component, type ReactNode } from "react";
import { Button } from "@/design/ui";
import { useTranslation } from "@/i18n";

export class Crash extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError(): { broken: boolean } {
    return { broken: true };
  }

  override render(): ReactNode {
    return this.state.broken ? <Broken /> : this.props.children;
  }
}

function Broken() {
  const { t } = useTranslation();
  return (
    <main role="alert" className="broken">
      <p>{t("app.crashed")}</p>
      <Button onClick={() => location.reload()}>{t("app.reload")}</Button>
    </main>
  );
}
