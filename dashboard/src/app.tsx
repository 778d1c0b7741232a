// In this order, and before any component: their own styles override these.
import "@mantine/core/styles.css";
import "virtual:theme-variables.css";
import "@/styles/global.css";
import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { BrowserRouter, Navigate, Route, Routes } from "react-router";
import { queryClient } from "@/api/query-client";
import { DETAIL_PAGES, PAGES } from "@/pages/registry";
import { Shell } from "@/shell/shell";
import { theme } from "@/theme";

const SignIn = lazy(() => import("@/pages/sign-in/sign-in-page"));
const Setup = lazy(() => import("@/pages/setup/setup-page"));
const NotFound = lazy(() => import("@/pages/not-found"));

export function App() {
  return (
    // The variables are a stylesheet of the build (theme-variables.ts): no <style> is ever put into the page.
    <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <QueryClientProvider client={queryClient}>
        <BrowserRouter>
          <Suspense>
            <Routes>
              <Route path="/sign-in" element={<SignIn />} />
              <Route path="/setup" element={<Setup />} />
              <Route element={<Shell />}>
                <Route index element={<Navigate to="/runs" replace />} />
                {[...PAGES, ...DETAIL_PAGES].map(({ path, page: Page }) => (
                  <Route key={path} path={path} element={<Page />} />
                ))}
                <Route path="*" element={<NotFound />} />
              </Route>
            </Routes>
          </Suspense>
        </BrowserRouter>
      </QueryClientProvider>
    </MantineProvider>
  );
}
