import "@/design/fonts.css";
import "@/design/tokens.css";
import "@/design/base.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { languages, preferredLanguage } from "@/i18n";
import { App } from "./App";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");

const application = createRoot(root);
void languages.use(preferredLanguage()).then(() =>
  application.render(
    <StrictMode>
      <App />
    </StrictMode>,
  ),
);
