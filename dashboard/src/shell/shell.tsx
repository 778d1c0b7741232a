import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { Navigate, Outlet, useLocation, useNavigationType } from "react-router";
import { queryClient } from "@/api/query-client";
import { connect, disconnect } from "@/live/live";
import { patchByEvents } from "@/live/patch";
import { fits } from "@/pages/runs/filters";
import { useSessionQuery } from "@/session/session";
import { Announcer } from "@/ui/announce";
import { ErrorBoundary } from "@/ui/error-boundary";
import { whenNeeded } from "@/ui/notify";
import { ErrorState, Skeleton } from "@/ui/states";
import { ConnectionNote } from "./connection-note";
import { Header } from "./header";
import { JobNotices } from "./job-notices";
import { Navigation } from "./navigation";
import classes from "./shell.module.css";

const Notices = lazy(() => import("./notices"));

/** What stands around every page of those who are signed in. */
export function Shell() {
  const session = useSessionQuery();
  const { pathname, search, hash } = useLocation();
  const signedIn = Boolean(session.data);
  useFreshStart(pathname);
  useEffect(() => {
    if (!signedIn) return;
    const stop = patchByEvents(queryClient, fits);
    // A worker takes a while to start; the rows come first. What happens until then is read again at its hello.
    const timer = setTimeout(connect, 300);
    return () => {
      clearTimeout(timer);
      stop();
      disconnect();
    };
  }, [signedIn]);

  if (session.isError) return <ErrorState error={session.error} again={() => void session.refetch()} />;
  if (session.data === null) return <Navigate to={`/sign-in?next=${encodeURIComponent(pathname + search + hash)}`} replace />;
  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#main">
        To the content
      </a>
      <Header session={session.data} />
      <nav className={classes.navigation} aria-label="Pages">
        <Navigation role={session.data?.account.role ?? "viewer"} />
      </nav>
      <main id="main" tabIndex={-1} className={classes.main}>
        <ConnectionNote />
        <ErrorBoundary at={pathname}>
          <Suspense fallback={<Skeleton />}>
            {/* Pages ask for themselves while the session is still asked for: both are on their way at once. */}
            {session.data ? <Outlet /> : <Skeleton />}
          </Suspense>
        </ErrorBoundary>
      </main>
      <Announcer />
      {session.data && <JobNotices />}
      <NoticesOnceNeeded />
    </div>
  );
}

function NoticesOnceNeeded() {
  const [needed, setNeeded] = useState(false);
  useEffect(() => {
    whenNeeded(() => setNeeded(true));
    return () => whenNeeded(null);
  }, []);
  return <Suspense>{needed && <Notices />}</Suspense>;
}

/** Another page begins at its top, and the keyboard in it if what had the focus went with the page before. */
function useFreshStart(pathname: string): void {
  const how = useNavigationType();
  const before = useRef(pathname);
  useEffect(() => {
    if (before.current === pathname) return;
    before.current = pathname;
    if (how !== "POP") scrollTo({ top: 0 });
    if (document.activeElement === document.body) document.getElementById("main")?.focus({ preventScroll: true });
  }, [pathname, how]);
}
