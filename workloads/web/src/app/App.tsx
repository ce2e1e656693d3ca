/** Routes and what every page needs. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { Route, Switch } from "wouter";
import { ApiError } from "@/api/problem";
import { useTranslation } from "@/i18n";
import { backoffMs } from "@/room/backoff";
import { Crash } from "./Crash";
import { Message } from "./Message";

const ViewerPage = lazy(() => import("@/viewer/ViewerPage"));
const Market = lazy(() => import("./Market"));
const StudioPage = lazy(() => import("@/studio/StudioPage"));

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (count, error) => count < 3 && error instanceof ApiError && error.retryable,
      retryDelay: (count, error) => (error instanceof ApiError && error.retryAfterMs) || backoffMs(count),
      refetchOnWindowFocus: true,
    },
  },
});

export function App() {
  return (
    <Crash>
      <QueryClientProvider client={queries}>
        <Suspense>
          <Switch>
            <Route path="/" component={Market} />
            <Route path="/s/:ns/:name">
              {({ ns, name }) => <ViewerPage key={`${ns}/${name}`} id={`${ns}/${name}`} />}
            </Route>
            <Route path="/studio/:ns/:name">
              {({ ns, name }) => <StudioPage key={`${ns}/${name}`} id={`${ns}/${name}`} />}
            </Route>
            <Route component={NotFound} />
          </Switch>
        </Suspense>
      </QueryClientProvider>
    </Crash>
  );
}

function NotFound() {
  const { t } = useTranslation();
  return <Message title={t("app.notFound")} />;
}
